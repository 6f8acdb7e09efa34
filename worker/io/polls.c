/* Questions for operations that run, and outcomes: see polls.h. */
#include "worker/io/polls.h"

#include "worker/io/clock.h"
#include "worker/io/publisher.h"

#include <stdlib.h>

/* Outcomes without a result: from so many on nothing is asked. */
#define OUTCOMES_PENDING_MAX 1000

struct polls {
	struct polls_options options;
	struct polls_callbacks callbacks;
	const struct log *log;
	struct metrics *metrics;
	struct poll *poll;           /* Owned, as what follows */
	struct publisher *publisher; /* Its ids tell how the operation ended */
	struct graph *graph;         /* Borrowed; NULL: nothing was followed yet */
	bool is_closing;
	uv_timer_t timer;
	unsigned open_parts;
	void (*closed)(void *owner);
	void *closed_owner;
};

enum { ID_COMPLETED, ID_FAILED };

static void on_timer(uv_timer_t *timer);

/* The next questions now, or later. */
static void ask(struct polls *p)
{
	struct effect_look look;
	instant_t now = clock_now();
	instant_t at;

	metrics_set(p->metrics, METRIC_operations_followed, (int64_t)poll_count(p->poll));
	uv_timer_stop(&p->timer);
	if (publisher_pending(p->publisher) >= OUTCOMES_PENDING_MAX)
		return;
	while (poll_next(p->poll, now, &look))
		graph_look(p->graph, &look);
	at = poll_wake_at(p->poll);
	if (!instant_is_never(at)) {
		duration_t pause = instant_since(at, now);

		uv_timer_start(&p->timer, on_timer,
		               pause.us > 0 ? (uint64_t)duration_to_ms(pause) + 1 : 0, 0);
	}
}

static void on_timer(uv_timer_t *timer)
{
	ask(timer->data);
}

static void write_record(struct polls *p, const struct poll_record *record)
{
	publisher_write(p->publisher, &(struct publisher_write){
	                                  .id = record->has_failed ? ID_FAILED : ID_COMPLETED,
	                                  .topic = p->options.outcomes_topic,
	                                  .has_key = true,
	                                  .key = record->key,
	                                  .value = record->value,
	                              });
}

static void on_written(void *owner, uint64_t id, const char *error)
{
	struct polls *p = owner;
	char quoted[LOG_QUOTE_SIZE];

	if (error) {
		metrics_add(p->metrics, METRIC_outcomes_refused, 1);
		log_error(p->log, "polls.refused", "topic=%s error=%s", p->options.outcomes_topic,
		          log_quote(bytes_of(error), quoted));
	} else {
		metrics_add(p->metrics,
		            id == ID_FAILED ? METRIC_outcomes_failed : METRIC_outcomes_completed,
		            1);
	}
	if (!p->is_closing)
		ask(p);
}

static void on_fatal(void *owner, const char *message)
{
	struct polls *p = owner;

	if (!p->is_closing)
		p->callbacks.fatal(p->callbacks.owner, message);
}

static void note(struct polls *p, enum poll_result result, const struct poll_record *record)
{
	switch (result) {
	case POLL_RUNNING:
		break;
	case POLL_ENDED:
		metrics_add(p->metrics, METRIC_polls_ended, 1);
		write_record(p, record);
		break;
	case POLL_GONE:
		metrics_add(p->metrics, METRIC_polls_gone, 1);
		break;
	case POLL_LEFT:
		metrics_add(p->metrics, METRIC_polls_left, 1);
		break;
	}
	ask(p);
}

void polls_follow(struct polls *p, struct graph *graph, const struct effect_follow *operation)
{
	struct poll_record record;

	if (p->is_closing)
		return;
	p->graph = graph;
	note(p, poll_follow(p->poll, operation, clock_now(), &record), &record);
}

void polls_answered(struct polls *p, uint64_t look_id, const struct answer *answer)
{
	struct poll_record record;

	note(p, poll_answered(p->poll, look_id, answer, clock_now(), clock_wall(), &record),
	     &record);
}

static void on_part_closed(void *owner)
{
	struct polls *p = owner;
	void (*closed)(void *) = p->closed;
	void *closed_owner = p->closed_owner;

	if (--p->open_parts > 0)
		return;
	poll_free(p->poll);
	free(p);
	closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(handle->data);
}

void polls_close(struct polls *p, void (*closed)(void *owner), void *owner)
{
	CHECK(!p->is_closing);
	p->is_closing = true;
	p->closed = closed;
	p->closed_owner = owner;
	p->open_parts = 2;
	metrics_set(p->metrics, METRIC_operations_followed, 0);
	uv_close((uv_handle_t *)&p->timer, on_timer_closed);
	publisher_close(p->publisher, p->options.leave_deadline, on_part_closed, p);
}

struct polls *polls_new(uv_loop_t *loop, const struct polls_options *options,
                        const struct polls_callbacks *callbacks, const struct log *log,
                        struct metrics *metrics, struct err *err)
{
	struct polls *p = calloc(1, sizeof(*p));

	if (!p) {
		err_set(err, "no memory");
		return NULL;
	}
	p->options = *options;
	p->callbacks = *callbacks;
	p->log = log;
	p->metrics = metrics;
	p->poll = poll_new(&options->policy, clock_now());
	if (p->poll)
		p->publisher =
		    publisher_new(loop, &options->kafka, on_written, p, on_fatal, log, err);
	else
		err_set(err, "no memory");
	if (!p->publisher) {
		poll_free(p->poll);
		free(p);
		return NULL;
	}
	uv_timer_init(loop, &p->timer);
	p->timer.data = p;
	return p;
}
