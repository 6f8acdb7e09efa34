/* Replies, dead letters and offsets in one Kafka transaction: see transaction.h.
 *
 *                     init
 *   STARTING -----------------------> IDLE --- writes ---> FILLING --- flushed ---> WAITING
 *      ^                               ^ ^                    |                        | granted
 *      | old producer gone             | | aborted            v                        v
 *   RENEWING <-- any, when the         | '------ ABORTING <---+----- reset ---      ENDING
 *                producer is not to    |                                               | committed
 *                be used again         '---------------------------- VERIFYING <-------'
 *                                                     (only after a renewal)
 *
 * VERIFYING reads the offsets back: of a request of the old producer that arrives behind those of
 * the new one it was seen that it takes the new offsets away although everything was reported as
 * done.
 *
 * A record that the broker refused spoils its transaction. It is a suspect then: it is tried alone
 * in a transaction of its own, every other time, and only what is refused alone is reported as
 * refused.
 */
#include "worker/io/transaction.h"

#include "worker/io/clock.h"
#include "worker/io/kafka_transaction.h"
#include "worker/io/offload.h"
#include "worker/io/outbox.h"
#include "worker/io/positions.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TRANSACTION_TICK_MS  500
#define TRANSACTION_RETRY_MS 100   /* After something failed */
#define TRANSACTION_STEP_MS  3000  /* For each call that waits */
#define TRANSACTION_RENEW_MS 10000 /* For an old producer to go */
#define TRANSACTION_GRACE_MS 1000  /* For the producer to go at the end */
#define TRANSACTION_READS    5     /* Attempts to read the offsets back */
#define TRANSACTION_RENEWALS 10    /* Producers in a row that commit nothing */

enum state {
	STATE_STARTING,
	STATE_IDLE,
	STATE_FILLING,
	STATE_WAITING,
	STATE_ENDING,
	STATE_VERIFYING,
	STATE_ABORTING,
	STATE_RENEWING,
	STATE_CLOSING,
	STATES
};

static const char *const state_names[STATES] = { "starting", "idle",     "filling",
	                                         "waiting",  "ending",   "verifying",
	                                         "aborting", "renewing", "closing" };

struct transaction {
	uv_loop_t *loop; /* Borrowed, as what follows */
	struct consumer *consumer;
	struct committer *committer;
	const struct log *log;
	struct transaction_options options; /* Not its texts */
	struct transaction_callbacks callbacks;
	struct kafka_properties properties; /* Owned, as what follows */
	char *transactional_id;

	enum state state;
	struct kafka_client *client; /* Owned */
	struct offload *step;        /* Owned: the step under way, or NULL */
	bool is_broken;              /* An end was unclear: nothing goes on before a reset */
	bool is_fatal;               /* Was reported */
	bool is_staged;              /* `staged` has fired, and nothing that ends it */
	bool must_verify;            /* The producer is new */
	unsigned reads;              /* Attempts to read back */
	unsigned renewals;           /* Since the last commit */

	struct outbox outbox;
	struct positions_copy offsets; /* Of the open transaction, to be read back */
	instant_t next_at;             /* The next transaction may begin */

	void (*reset_done)(void *owner);
	void *reset_owner;
	void (*closed)(void *owner);
	void *closed_owner;
	bool is_late; /* The deadline of the close has passed */

	uv_timer_t timer; /* What is to happen next by itself */
	uv_timer_t tick;
	uv_timer_t deadline;
	unsigned open_parts; /* The timers and the client */
};

static void set_state(struct transaction *t, enum state state)
{
	log_debug(t->log, "transaction.state", "from=%s to=%s", state_names[t->state],
	          state_names[state]);
	t->state = state;
}

static void on_timer(uv_timer_t *timer);

static void act_in(struct transaction *t, duration_t pause)
{
	uv_timer_start(&t->timer, on_timer, (uint64_t)((pause.us + 999) / 1000), 0);
}

static void act_soon(struct transaction *t)
{
	if (t->state != STATE_CLOSING)
		act_in(t, duration_ms(0));
}

static void report_fatal(struct transaction *t, const char *message)
{
	if (t->is_fatal)
		return;
	t->is_fatal = true;
	t->is_broken = true;
	log_error(t->log, "transaction.fatal", "error=\"%s\"", message);
	t->callbacks.fatal(t->callbacks.owner, message);
}

/* The open transaction is over, and its writes count for nothing: they wait again, unless they are
 * to be forgotten. */
static void put_back(struct transaction *t)
{
	bool was_staged = t->is_staged;

	t->is_staged = false;
	positions_copy_close(&t->offsets);
	if (t->reset_done) {
		outbox_forget_batch(&t->outbox);
		return;
	}
	outbox_put_back(&t->outbox);
	if (was_staged)
		t->callbacks.unstaged(t->callbacks.owner);
}

/* Tell what became of a write, and free it. */
static void report(struct transaction *t, struct kafka_write *w, const char *error)
{
	uint64_t id = w->id;

	kafka_write_free(w);
	if (!t->reset_done)
		t->callbacks.written(t->callbacks.owner, id, error);
}

static void report_stored(struct transaction *t)
{
	struct kafka_write *w;

	t->is_staged = false;
	positions_copy_close(&t->offsets);
	while ((w = outbox_stored(&t->outbox)))
		report(t, w, NULL);
}

static int open_client(struct transaction *t, struct err *err);
static void begin_close(struct transaction *t);
static void part_is_closed(struct transaction *t);

static void on_old_closed(void *owner)
{
	struct transaction *t = owner;
	struct err err;

	t->client = NULL;
	if (t->is_late) {
		t->open_parts--;
		begin_close(t);
		return;
	}
	if (open_client(t, &err) < 0) {
		t->open_parts--;
		report_fatal(t, err.msg);
	}
	set_state(t, STATE_STARTING);
	act_soon(t);
}

/* Drop what is still on the way, so that the handle ends at once. On the client's thread. */
static void purge(rd_kafka_t *rk)
{
	rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
	                       RD_KAFKA_PURGE_F_NON_BLOCKING);
}

/* Throw the producer away and make it anew. */
static void renew(struct transaction *t, const char *why)
{
	log_warn(t->log, "transaction.renewed", "why=\"%s\"", why);
	set_state(t, STATE_RENEWING);
	t->must_verify = true;
	if (++t->renewals > TRANSACTION_RENEWALS)
		report_fatal(t, "producers are made anew again and again without a commit");
	kafka_client_close(t->client, duration_ms(TRANSACTION_RENEW_MS), purge, on_old_closed);
}

static void be_idle(struct transaction *t, duration_t pause)
{
	t->next_at = instant_add(clock_now(), pause);
	set_state(t, STATE_IDLE);
	act_soon(t);
}

/* After a step: go on with this producer or with a new one. */
static void go_on(struct transaction *t, const struct kafka_step *step, duration_t pause)
{
	if (step->must_renew || kafka_client_fatal(t->client))
		renew(t, step->error[0] ? step->error : "an answer came late");
	else
		be_idle(t, pause);
}

static void on_step(void *owner, struct kafka_step *step, bool done);

static bool start_step(struct transaction *t, enum state state, struct kafka_step *step)
{
	struct err err;

	step->client = t->client;
	step->timeout_ms = TRANSACTION_STEP_MS;
	step->writes = t->outbox.batch;
	t->outbox.batch = NULL;
	t->step = kafka_step_start(t->loop, step, on_step, t, &t->outbox.batch, &err);
	if (!t->step) {
		log_error(t->log, "transaction.no-thread", "error=\"%s\"", err.msg);
		return false;
	}
	set_state(t, state);
	return true;
}

static struct kafka_step *new_step(enum kafka_step_kind kind)
{
	struct kafka_step *step = calloc(1, sizeof(*step));

	CHECK(step);
	step->kind = kind;
	return step;
}

/* Without a thread nothing can be ended: the new producer ends it. */
static void abort_batch(struct transaction *t)
{
	if (!start_step(t, STATE_ABORTING, new_step(KAFKA_STEP_ABORT))) {
		put_back(t);
		renew(t, "no thread");
	}
}

static void on_granted(void *owner, const struct consumer_position *positions, size_t n)
{
	struct transaction *t = owner;
	struct kafka_step *step = new_step(KAFKA_STEP_COMMIT);

	uv_timer_stop(&t->timer);
	positions_copy_init(&t->offsets, positions, n);
	step->group = kafka_group_copy(consumer_group_metadata(t->consumer));
	step->offsets = rd_kafka_topic_partition_list_new((int)n);
	for (size_t i = 0; i < n; i++)
		consumer_position_add(&positions[i], consumer_topic(t->consumer), step->offsets);
	if (step->group && start_step(t, STATE_ENDING, step))
		return;
	/* Not a member any more: the commit would be refused, or worse, taken. */
	if (!step->group) {
		rd_kafka_topic_partition_list_destroy(step->offsets);
		free(step);
	}
	committer_end(t->committer, COMMITTER_UNCLEAR);
	t->is_broken = true;
	abort_batch(t);
}

/* Ask for the lane with what was flushed. */
static void stage(struct transaction *t)
{
	uint64_t *ids;
	const struct kafka_write *w;
	size_t n;

	DL_COUNT(t->outbox.batch, w, n);
	ids = calloc(n, sizeof(*ids));
	CHECK(ids);
	n = 0;
	DL_FOREACH (t->outbox.batch, w)
		ids[n++] = w->id;
	t->is_staged = true;
	set_state(t, STATE_WAITING);
	act_in(t, (duration_t){ t->options.timeout.us / 2 });
	t->callbacks.staged(t->callbacks.owner, ids, n);
	free(ids);
	if (t->state == STATE_WAITING)
		committer_begin(t->committer, on_granted, t);
}

static void report_refused(struct transaction *t)
{
	bool alone = t->outbox.batch && !t->outbox.batch->next;
	struct kafka_write *w;

	while ((w = outbox_refused(&t->outbox, alone))) {
		const char *error = rd_kafka_err2str(w->error);

		report(t, w, error);
	}
}

static void after_fill(struct transaction *t, const struct kafka_step *step)
{
	if (step->end != KAFKA_STEP_DONE)
		log_warn(t->log, "transaction.aborted", "error=\"%s\"", step->error);
	report_refused(t);
	if (step->end == KAFKA_STEP_DONE && !t->reset_done && t->outbox.batch) {
		stage(t);
	} else if (step->end == KAFKA_STEP_DONE) {
		abort_batch(t);
	} else {
		put_back(t);
		go_on(t, step, duration_ms(TRANSACTION_RETRY_MS));
	}
}

/* The end is known, and it is a commit. */
static void finish_commit(struct transaction *t, enum committer_end end)
{
	t->renewals = 0;
	committer_end(t->committer, end);
	if (end == COMMITTER_UNCLEAR) {
		t->is_broken = true;
		put_back(t);
	} else {
		report_stored(t);
	}
}

static void judge_read(struct transaction *t, const struct consumer_offer *committed, size_t n)
{
	enum committer_end end = COMMITTER_COMMITTED;

	if (!committed && ++t->reads < TRANSACTION_READS && !consumer_is_lost(t->consumer)) {
		act_in(t, duration_ms(TRANSACTION_RETRY_MS));
		return;
	}
	if (!committed) {
		end = COMMITTER_UNCLEAR;
	} else if (!positions_copy_is(&t->offsets, committed, n)) {
		log_warn(t->log, "transaction.overwritten", "%s", "");
		end = COMMITTER_OVERWRITTEN;
	}
	t->must_verify = false;
	finish_commit(t, end);
	be_idle(t, t->options.gap);
}

static void on_read(void *owner, const struct consumer_offer *committed, size_t n)
{
	struct transaction *t = owner;

	if (t->state == STATE_VERIFYING)
		judge_read(t, committed, n);
	part_is_closed(t);
}

static void read_back(struct transaction *t)
{
	struct err err;

	set_state(t, STATE_VERIFYING);
	t->open_parts++;
	if (consumer_read_committed(t->consumer, t->offsets.list, t->offsets.n, on_read, t, &err) <
	    0)
		on_read(t, NULL, 0);
}

static void after_commit(struct transaction *t, const struct kafka_step *step)
{
	if (step->end != KAFKA_STEP_DONE)
		log_warn(t->log, "transaction.not-committed", "error=\"%s\"", step->error);
	if (step->end == KAFKA_STEP_DONE && t->must_verify && !step->must_renew) {
		t->reads = 0;
		read_back(t);
		return;
	}
	if (step->end == KAFKA_STEP_DONE) {
		finish_commit(t, COMMITTER_COMMITTED);
	} else if (step->end == KAFKA_STEP_ABORTED) {
		committer_end(t->committer, COMMITTER_ABORTED);
		put_back(t);
	} else {
		t->is_broken = true;
		committer_end(t->committer, COMMITTER_UNCLEAR);
		put_back(t);
	}
	go_on(t, step,
	      step->end == KAFKA_STEP_DONE ? t->options.gap : duration_ms(TRANSACTION_RETRY_MS));
}

static void after_init(struct transaction *t, const struct kafka_step *step)
{
	if (step->end == KAFKA_STEP_DONE) {
		kafka_client_works(t->client);
		be_idle(t, duration_ms(0));
		return;
	}
	if (step->end == KAFKA_STEP_FATAL)
		report_fatal(t, step->error);
	act_in(t, duration_ms(TRANSACTION_RETRY_MS));
}

/* One step after the other. An abandoned step keeps its writes: the process is about to exit. */
static void on_step(void *owner, struct kafka_step *step, bool done)
{
	struct transaction *t = owner;

	t->step = NULL;
	if (!done) {
		if (t->state == STATE_ENDING)
			committer_end(t->committer, COMMITTER_UNCLEAR);
		begin_close(t);
		return;
	}
	t->outbox.batch = step->writes;
	step->writes = NULL;
	switch (step->kind) {
	case KAFKA_STEP_INIT:
		after_init(t, step);
		break;
	case KAFKA_STEP_FILL:
		after_fill(t, step);
		break;
	case KAFKA_STEP_COMMIT:
		after_commit(t, step);
		break;
	case KAFKA_STEP_ABORT:
		put_back(t);
		go_on(t, step, t->options.gap);
		break;
	}
	if (t->is_late && !t->step && t->state != STATE_CLOSING)
		begin_close(t);
}

static void finish_reset(struct transaction *t)
{
	void (*done)(void *) = t->reset_done;

	t->reset_done = NULL;
	t->is_broken = t->is_fatal;
	done(t->reset_owner);
}

/* Nothing is open: what is next? */
static void advance(struct transaction *t)
{
	duration_t wait = instant_since(t->next_at, clock_now());

	if (t->reset_done)
		finish_reset(t);
	if (t->state != STATE_IDLE)
		return;
	if (t->closed && (t->outbox.pending == 0 || t->is_broken || t->is_late)) {
		begin_close(t);
	} else if (t->is_broken || !t->outbox.waiting) {
		return;
	} else if (wait.us > 0) {
		act_in(t, wait);
	} else {
		outbox_take(&t->outbox, t->options.max_writes);
		if (!start_step(t, STATE_FILLING, new_step(KAFKA_STEP_FILL))) {
			put_back(t);
			be_idle(t, duration_ms(TRANSACTION_RETRY_MS));
		}
	}
}

/* The lane did not come in time: the broker would end the transaction soon. */
static void give_up_lane(struct transaction *t)
{
	log_warn(t->log, "transaction.no-lane", "%s", "");
	committer_end(t->committer, COMMITTER_ABORTED);
	abort_batch(t);
}

/* No producer can be made: what is asked for is done nevertheless. */
static void finish_dead(struct transaction *t)
{
	if (t->reset_done)
		finish_reset(t);
	if (t->closed && t->state == STATE_STARTING)
		begin_close(t);
}

static void on_timer(uv_timer_t *timer)
{
	struct transaction *t = timer->data;

	if (t->state == STATE_STARTING && (t->is_fatal || !t->client)) {
		finish_dead(t);
	} else if (t->state == STATE_STARTING && t->closed && t->outbox.pending == 0) {
		begin_close(t);
	} else if (t->state == STATE_STARTING && !t->step) {
		if (!start_step(t, STATE_STARTING, new_step(KAFKA_STEP_INIT)))
			act_in(t, duration_ms(TRANSACTION_RETRY_MS));
	} else if (t->state == STATE_IDLE) {
		advance(t);
	} else if (t->state == STATE_WAITING) {
		give_up_lane(t);
	} else if (t->state == STATE_VERIFYING) {
		read_back(t);
	}
}

/* While a step has the producer it serves what librdkafka says. */
static void serve(struct transaction *t)
{
	if (t->step || !t->client || t->state == STATE_RENEWING || t->state == STATE_CLOSING)
		return;
	rd_kafka_poll(kafka_client_handle(t->client), 0);
	if (t->state == STATE_IDLE && kafka_client_fatal(t->client))
		renew(t, kafka_client_fatal(t->client));
}

static void on_turn(void *owner)
{
	serve(owner);
}

static void on_tick(uv_timer_t *tick)
{
	serve(tick->data);
}

static int open_client(struct transaction *t, struct err *err)
{
	struct kafka_transaction_client client = { .properties = t->properties,
		                                   .transactional_id = t->transactional_id,
		                                   .timeout = t->options.timeout,
		                                   .turn = on_turn,
		                                   .owner = t };

	t->client = kafka_transaction_client_new(t->loop, &client, t->log, err);
	return t->client ? 0 : -1;
}

static void free_transaction(struct transaction *t)
{
	outbox_close(&t->outbox);
	positions_copy_close(&t->offsets);
	kafka_properties_close(&t->properties);
	free(t->transactional_id);
	free(t);
}

struct transaction *transaction_new(uv_loop_t *loop, struct consumer *consumer,
                                    struct committer *committer,
                                    const struct transaction_options *options,
                                    const struct transaction_callbacks *callbacks,
                                    const struct log *log, struct metrics *metrics, struct err *err)
{
	struct transaction *t = calloc(1, sizeof(*t));

	(void)metrics; /* The committer counts commits, the engine what is refused */
	if (!t) {
		err_set(err, "out of memory");
		return NULL;
	}
	CHECK(options->max_writes > 0);
	t->loop = loop;
	t->consumer = consumer;
	t->committer = committer;
	t->log = log;
	t->options = *options;
	t->callbacks = *callbacks;
	t->properties = kafka_properties_copy(options->kafka);
	t->transactional_id = strdup(options->transactional_id);
	CHECK(t->transactional_id);
	if (open_client(t, err) < 0) {
		free_transaction(t);
		return NULL;
	}
	uv_timer_init(loop, &t->timer);
	uv_timer_init(loop, &t->tick);
	uv_timer_init(loop, &t->deadline);
	t->timer.data = t->tick.data = t->deadline.data = t;
	t->must_verify = true; /* A process before this one may have left requests on their way */
	t->open_parts = 4;
	uv_timer_start(&t->tick, on_tick, TRANSACTION_TICK_MS, TRANSACTION_TICK_MS);
	act_soon(t);
	return t;
}

void transaction_write(struct transaction *t, const struct publisher_write *write)
{
	CHECK(!t->closed);
	outbox_add(&t->outbox, write);
	if (t->state == STATE_IDLE && !uv_is_active((uv_handle_t *)&t->timer))
		act_soon(t);
}

size_t transaction_pending(const struct transaction *t)
{
	return t->outbox.pending;
}

/* What is open ends first; then, in the idle state, `done` fires. */
void transaction_reset(struct transaction *t, void (*done)(void *owner), void *owner)
{
	CHECK(!t->reset_done);
	t->reset_done = done;
	t->reset_owner = owner;
	outbox_forget_waiting(&t->outbox);
	if (t->state == STATE_WAITING) {
		uv_timer_stop(&t->timer);
		committer_end(t->committer, COMMITTER_ABORTED);
		abort_batch(t);
	} else if (t->state == STATE_IDLE || (t->state == STATE_STARTING && !t->step)) {
		act_soon(t);
	}
}

static void part_is_closed(struct transaction *t)
{
	void (*closed)(void *) = t->closed;
	void *closed_owner = t->closed_owner;

	CHECK(t->open_parts > 0);
	if (--t->open_parts > 0)
		return;
	free_transaction(t);
	closed(closed_owner);
}

static void on_client_closed(void *owner)
{
	part_is_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	part_is_closed(handle->data);
}

static void begin_close(struct transaction *t)
{
	if (t->state == STATE_WAITING)
		committer_end(t->committer, COMMITTER_ABORTED);
	else if (t->state == STATE_VERIFYING)
		committer_end(t->committer, COMMITTER_UNCLEAR);
	set_state(t, STATE_CLOSING);
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
	uv_close((uv_handle_t *)&t->tick, on_timer_closed);
	uv_close((uv_handle_t *)&t->deadline, on_timer_closed);
	if (t->client)
		kafka_client_close(t->client, duration_ms(TRANSACTION_GRACE_MS), purge,
		                   on_client_closed);
}

static void on_deadline(uv_timer_t *timer)
{
	struct transaction *t = timer->data;

	t->is_late = true;
	log_warn(t->log, "transaction.unfinished", "writes=%zu", t->outbox.pending);
	if (t->step)
		offload_abandon(t->step);
	else if (t->state != STATE_RENEWING)
		begin_close(t);
}

void transaction_close(struct transaction *t, duration_t deadline, void (*closed)(void *owner),
                       void *owner)
{
	CHECK(!t->closed);
	t->closed = closed;
	t->closed_owner = owner;
	uv_timer_start(&t->deadline, on_deadline, (uint64_t)duration_to_ms(deadline), 0);
	if (t->state == STATE_IDLE || (t->state == STATE_STARTING && !t->step))
		act_soon(t);
}
