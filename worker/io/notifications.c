/* Notifications in, outcomes out: see notifications.h.
 *
 *   RUNNING --stop--> DRAINING --all stored--> FLUSHING --committed--> CLOSING --> gone
 *
 * From DRAINING and FLUSHING it also goes on when its time is over.
 *
 * A partition that the group takes is given back at once: what is not stored yet is written again
 * by the next owner, with the same outcomeId. */
#include "worker/io/notifications.h"

#include "worker/base/slots.h"
#include "worker/core/ledger.h"
#include "worker/core/notification.h"
#include "worker/io/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

/* Outcomes of a partition without a result: from so many on it is paused, until half of them. */
#define OUTCOMES_OPEN_MAX 1000

/* Junk comes in masses when it comes: one line in so long. */
#define JUNK_LOG_MS 10000

enum notifications_state {
	NOTIFICATIONS_RUNNING,
	NOTIFICATIONS_DRAINING,
	NOTIFICATIONS_FLUSHING,
	NOTIFICATIONS_FAILING, /* Closes in the next turn of the loop: a part may be calling now */
	NOTIFICATIONS_CLOSING
};

struct source {
	struct source *prev, *next;
	int32_t number;
	bool is_paused;
	bool is_revoked;
	size_t n_open; /* Outcomes that are not stored */
	struct ledger ledger;
};

/* A record of which outcomes are on their way. */
struct taken {
	struct ledger_entry entry; /* First member: a ledger's entries are these */
	struct source *source;     /* NULL: its partition is not ours any more */
	size_t n_open;             /* Outcomes without a result */
	bool is_held;              /* One of them was refused for good: the offset stays open */
};

/* One outcome on its way. */
struct outgoing {
	struct taken *taken;
	bool has_failed; /* The operation, as it says */
};

struct notifications {
	uv_loop_t *loop;
	struct notifications_options options;
	notifications_stopped_cb stopped;
	void *owner;
	const struct log *log;
	struct metrics *metrics;
	struct metrics group_metrics; /* Of another group than the one that the worker tells of */
	enum notifications_state state;
	bool has_failed;
	bool is_releasing;
	struct delivery *delivery; /* Owned, as what follows */
	struct source *sources;
	struct slots writes; /* What is outgoing */
	size_t n_open;
	struct buffer text;
	instant_t junk_logged;
	uint64_t n_junk; /* Since then */
	uv_timer_t deadline;
	unsigned open_parts;
};

static void on_deadline(uv_timer_t *timer);
static void check_drained(struct notifications *n);

/* Nothing is lost by this: what is not stored is read again. */
static void fail(struct notifications *n, const char *message)
{
	char quoted[LOG_QUOTE_SIZE];

	if (n->state >= NOTIFICATIONS_FAILING)
		return;
	log_error(n->log, "notifications.fatal", "error=%s", log_quote(bytes_of(message), quoted));
	n->state = NOTIFICATIONS_FAILING;
	n->has_failed = true;
	uv_timer_start(&n->deadline, on_deadline, 0, 0);
}

static struct source *find_source(const struct notifications *n, int32_t number)
{
	struct source *source;

	DL_FOREACH (n->sources, source) {
		if (source->number == number)
			return source;
	}
	return NULL;
}

static void balance(struct notifications *n, struct source *s)
{
	size_t limit = s->is_paused ? OUTCOMES_OPEN_MAX / 2 : OUTCOMES_OPEN_MAX;
	bool pause = s->n_open >= limit;

	if (pause == s->is_paused)
		return;
	s->is_paused = pause;
	if (pause)
		delivery_pause(n->delivery, s->number);
	else
		delivery_resume(n->delivery, s->number);
}

static void report_junk(struct notifications *n, const struct record *record, const char *problem)
{
	instant_t now = clock_now();

	metrics_add(n->metrics, METRIC_notifications_junk, 1);
	n->n_junk++;
	if (n->junk_logged.us != 0 &&
	    instant_since(now, n->junk_logged).us < duration_ms(JUNK_LOG_MS).us)
		return;
	log_warn(n->log, "notifications.junk",
	         "partition=%" PRId32 " offset=%" PRId64 " problem=\"%s\" records=%" PRIu64,
	         record->partition, record->offset, problem, n->n_junk);
	n->junk_logged = now;
	n->n_junk = 0;
}

/* The last of its outcomes has a result: its offset may be committed, unless one was refused. */
static void settle(struct notifications *n, struct taken *taken)
{
	struct source *source = taken->source;

	if (source && taken->is_held)
		return;
	if (source) {
		ledger_settle(&source->ledger, &taken->entry);
		delivery_touch(n->delivery, source->number);
	}
	free(taken);
}

static bool write_one(struct notifications *n, struct taken *taken, const struct ending *ending)
{
	struct outgoing *outgoing = malloc(sizeof(*outgoing));
	uint64_t id;

	buffer_clear(&n->text);
	ending_write(ending, bytes_of(n->options.commands_topic), &n->text);
	if (!outgoing || !buffer_ok(&n->text)) {
		free(outgoing);
		return false;
	}
	*outgoing = (struct outgoing){ .taken = taken, .has_failed = ending->has_failed };
	id = slots_put(&n->writes, outgoing);
	if (id == SLOTS_NONE) {
		free(outgoing);
		return false;
	}
	taken->n_open++;
	taken->source->n_open++;
	n->n_open++;
	delivery_write(n->delivery, &(struct publisher_write){ .id = id,
	                                                       .topic = n->options.outcomes_topic,
	                                                       .has_key = true,
	                                                       .key = ending->call_id,
	                                                       .value = buffer_bytes(&n->text) });
	return true;
}

/* False when there is no memory. */
static bool write_all(struct notifications *n, struct taken *taken, const struct record *record)
{
	struct notification notification;
	struct ending ending;
	const char *problem;
	bool ok = true;

	switch (notification_open(record, &notification, &problem)) {
	case NOTIFICATION_READ:
		break;
	case NOTIFICATION_JUNK:
		report_junk(n, record, problem);
		return true;
	case NOTIFICATION_NO_MEMORY:
		return false;
	}
	while (ok && notification_next(&notification, &ending))
		ok = write_one(n, taken, &ending);
	if (notification.n_junk > 0)
		report_junk(n, record, "an operation that does not say which it is");
	notification_close(&notification);
	return ok;
}

static void on_record(void *owner, const struct record *record)
{
	struct notifications *n = owner;
	struct source *source = find_source(n, record->partition);
	struct taken *taken;

	if (n->state != NOTIFICATIONS_RUNNING || !source || source->is_revoked)
		return;
	taken = calloc(1, sizeof(*taken));
	if (!taken || !ledger_reserve(&source->ledger)) {
		free(taken);
		fail(n, "no memory");
		return;
	}
	taken->source = source;
	if (!ledger_arrive(&source->ledger, &taken->entry, record->offset)) {
		free(taken);
		return;
	}
	metrics_add(n->metrics, METRIC_notifications_read, 1);
	if (!write_all(n, taken, record))
		fail(n, "no memory");
	else if (taken->n_open == 0)
		settle(n, taken);
	balance(n, source);
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	struct notifications *n = owner;
	struct source *source = find_source(n, partition);

	if (source && n->state == NOTIFICATIONS_RUNNING) {
		ledger_advance(&source->ledger, offset);
		delivery_touch(n->delivery, partition);
	}
}

static void note_stored(struct notifications *n, const struct outgoing *outgoing)
{
	metrics_add(n->metrics,
	            outgoing->has_failed ? METRIC_outcomes_failed : METRIC_outcomes_completed, 1);
	if (outgoing->taken->source)
		outgoing->taken->source->n_open--;
}

/* Its offset is held, and counts against the bound: it is read again after a restart. */
static void note_refused(struct notifications *n, const struct outgoing *outgoing,
                         const char *error)
{
	char quoted[LOG_QUOTE_SIZE];

	metrics_add(n->metrics, METRIC_outcomes_refused, 1);
	outgoing->taken->is_held = true;
	log_error(n->log, "notifications.refused", "topic=%s offset=%" PRId64 " error=%s",
	          n->options.outcomes_topic, outgoing->taken->entry.offset,
	          log_quote(bytes_of(error), quoted));
}

static void on_written(void *owner, uint64_t id, const char *error)
{
	struct notifications *n = owner;
	struct outgoing *outgoing = slots_find(&n->writes, id);
	struct taken *taken;
	struct source *source;

	if (!outgoing || n->state == NOTIFICATIONS_CLOSING)
		return;
	taken = outgoing->taken;
	source = taken->source;
	if (error)
		note_refused(n, outgoing, error);
	else
		note_stored(n, outgoing);
	slots_remove(&n->writes, id);
	free(outgoing);
	n->n_open--;
	if (--taken->n_open == 0)
		settle(n, taken);
	if (source && n->state == NOTIFICATIONS_RUNNING)
		balance(n, source);
	check_drained(n);
}

static bool on_map(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
                   struct buffer *text)
{
	struct notifications *n = owner;
	struct source *source = find_source(n, partition);

	(void)view;
	(void)text;
	if (!source)
		return false;
	*ret_offset = ledger_frontier(&source->ledger);
	return *ret_offset >= 0;
}

/* Partitions come and go. */

static bool add_source(struct notifications *n, const struct consumer_offer *offer)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return false;
	source->number = offer->partition;
	ledger_init(&source->ledger);
	if (offer->offset >= 0)
		ledger_advance(&source->ledger, offer->offset);
	DL_APPEND(n->sources, source);
	return true;
}

/* Its outcomes that are on their way are no longer waited for; the last of them takes its record
 * along. */
static void drop_source(struct notifications *n, struct source *source)
{
	while (source->ledger.count > 0) {
		struct taken *taken = (struct taken *)ledger_first(&source->ledger);

		ledger_settle(&source->ledger, &taken->entry);
		taken->source = NULL;
		if (taken->n_open == 0)
			free(taken);
	}
	ledger_close(&source->ledger);
	DL_DELETE(n->sources, source);
	free(source);
}

static void on_assigned(void *owner, const struct consumer_offer *offers, size_t count,
                        int32_t partitions_of_topic)
{
	struct notifications *n = owner;

	(void)partitions_of_topic;
	if (n->state != NOTIFICATIONS_RUNNING)
		return;
	for (size_t i = 0; i < count; i++) {
		if (!find_source(n, offers[i].partition) && !add_source(n, &offers[i])) {
			fail(n, "no memory");
			return;
		}
	}
	log_info(n->log, "notifications.assigned", "partitions=%zu", count);
	delivery_accept(n->delivery);
}

static void on_revoke_settled(void *owner)
{
	struct notifications *n = owner;
	struct source *source, *next;

	n->is_releasing = false;
	DL_FOREACH_SAFE (n->sources, source, next) {
		if (source->is_revoked) {
			delivery_forget(n->delivery, source->number);
			drop_source(n, source);
		}
	}
	delivery_release(n->delivery);
	check_drained(n);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t count, bool lost)
{
	struct notifications *n = owner;

	if (n->state != NOTIFICATIONS_RUNNING && n->state != NOTIFICATIONS_DRAINING)
		return;
	log_info(n->log, "notifications.revoked", "partitions=%zu", count);
	for (size_t i = 0; i < count; i++) {
		struct source *source = find_source(n, partitions[i]);

		if (source)
			source->is_revoked = true;
	}
	if (n->is_releasing)
		return;
	n->is_releasing = true;
	delivery_settle(n->delivery, lost, on_revoke_settled, n);
}

static void on_fatal(void *owner, const char *message)
{
	fail(owner, message);
}

/* The end. */

static void free_all(struct notifications *n)
{
	while (n->sources)
		drop_source(n, n->sources);
	for (uint32_t i = 0; i < n->writes.capacity; i++) {
		struct outgoing *outgoing = slots_at(&n->writes, i);

		if (outgoing && --outgoing->taken->n_open == 0)
			free(outgoing->taken);
		free(outgoing);
	}
	slots_close(&n->writes);
	buffer_close(&n->text);
	free(n);
}

static void on_part_closed(void *owner)
{
	struct notifications *n = owner;

	if (--n->open_parts > 0)
		return;
	n->stopped(n->owner, n->has_failed);
	free_all(n);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(handle->data);
}

static void close_parts(struct notifications *n)
{
	n->state = NOTIFICATIONS_CLOSING;
	n->open_parts = 2;
	uv_close((uv_handle_t *)&n->deadline, on_timer_closed);
	delivery_close(n->delivery, on_part_closed, n);
}

static void on_drain_settled(void *owner)
{
	struct notifications *n = owner;

	if (n->state == NOTIFICATIONS_FLUSHING)
		close_parts(n);
}

/* A commit that the broker does not answer must not hold up the end. */
static void settle_and_close(struct notifications *n)
{
	n->state = NOTIFICATIONS_FLUSHING;
	uv_timer_start(&n->deadline, on_deadline,
	               (uint64_t)duration_to_ms(n->options.delivery.leave_deadline), 0);
	delivery_settle(n->delivery, false, on_drain_settled, n);
}

static void check_drained(struct notifications *n)
{
	if (n->state == NOTIFICATIONS_DRAINING && n->n_open == 0 && !n->is_releasing)
		settle_and_close(n);
}

static void on_deadline(uv_timer_t *timer)
{
	struct notifications *n = timer->data;

	if (n->state == NOTIFICATIONS_FAILING || n->state == NOTIFICATIONS_FLUSHING) {
		close_parts(n);
	} else if (n->state == NOTIFICATIONS_DRAINING) {
		log_warn(n->log, "notifications.drain-timeout", "outcomes=%zu", n->n_open);
		settle_and_close(n);
	}
}

void notifications_stop(struct notifications *n)
{
	if (n->state != NOTIFICATIONS_RUNNING)
		return;
	n->state = NOTIFICATIONS_DRAINING;
	uv_timer_start(&n->deadline, on_deadline,
	               (uint64_t)duration_to_ms(n->options.drain_timeout), 0);
	check_drained(n);
}

/* The beginning. */

/* No marks are asked for, and at-least-once delivery stages nothing. */
static struct delivery *make_delivery(struct notifications *n, struct err *err)
{
	const struct delivery_callbacks callbacks = {
		.owner = n,
		.record = on_record,
		.position = on_position,
		.assigned = on_assigned,
		.revoked = on_revoked,
		.map = on_map,
		.written = on_written,
		.fatal = on_fatal,
	};

	CHECK(!n->options.delivery.exactly_once);
	return delivery_new(n->loop, &n->options.delivery, &callbacks, n->log, &n->group_metrics,
	                    err);
}

struct notifications *notifications_new(uv_loop_t *loop,
                                        const struct notifications_options *options,
                                        notifications_stopped_cb stopped, void *owner,
                                        const struct log *log, struct metrics *metrics,
                                        struct err *err)
{
	struct notifications *n = calloc(1, sizeof(*n));

	if (!n) {
		err_set(err, "no memory");
		return NULL;
	}
	n->loop = loop;
	n->options = *options;
	n->stopped = stopped;
	n->owner = owner;
	n->log = log;
	n->metrics = metrics;
	slots_init(&n->writes);
	buffer_init(&n->text, ENDING_SIZE_MAX);
	n->delivery = make_delivery(n, err);
	if (!n->delivery) {
		free_all(n);
		return NULL;
	}
	uv_timer_init(loop, &n->deadline);
	n->deadline.data = n;
	return n;
}

int notifications_start(struct notifications *n, struct err *err)
{
	return delivery_start(n->delivery, err);
}
