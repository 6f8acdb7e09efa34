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
 * done. Such a request may be about any partition, so that the first transaction of a producer
 * commits all of them.
 *
 * A record that the broker refused spoils its transaction. It is a suspect then: it is tried alone
 * in a transaction of its own, every other time, and only what is refused alone is reported as
 * refused.
 */
#include "worker/io/transaction_state.h"

#include "worker/io/clock.h"
#include "worker/io/offload.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TRANSACTION_RETRY_MS 100   /* After something failed */
#define TRANSACTION_STEP_MS  3000  /* For each call that waits */
#define TRANSACTION_RENEW_MS 10000 /* For an old producer to go */
#define TRANSACTION_READS    5     /* Attempts to read the offsets back */
#define TRANSACTION_RENEWALS 10    /* Producers in a row that commit nothing */

static const char *const state_names[STATES] = { "starting", "idle",     "filling",
	                                         "waiting",  "ending",   "verifying",
	                                         "aborting", "renewing", "closing" };

void transaction_set_state(struct transaction *t, enum transaction_state state)
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

void transaction_act_soon(struct transaction *t)
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

/* Tell what became of a write, and free it. During a reset too: what is stored now must be in the
 * maps that are committed from here on. */
static void report(struct transaction *t, struct kafka_write *w, const char *error)
{
	uint64_t id = w->id;

	kafka_write_free(w);
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

static void on_old_closed(void *owner)
{
	struct transaction *t = owner;
	struct err err;

	t->client = NULL;
	if (t->is_late) {
		t->open_parts--;
		transaction_begin_close(t);
		return;
	}
	if (transaction_open_client(t, &err) < 0) {
		t->open_parts--;
		report_fatal(t, err.msg);
	}
	transaction_set_state(t, STATE_STARTING);
	transaction_act_soon(t);
}

/* Throw the producer away and make it anew. */
static void renew(struct transaction *t, const char *why)
{
	log_warn(t->log, "transaction.renewed", "why=\"%s\"", why);
	transaction_set_state(t, STATE_RENEWING);
	t->must_verify = true;
	if (++t->renewals > TRANSACTION_RENEWALS)
		report_fatal(t, "producers are made anew again and again without a commit");
	kafka_client_close(t->client, duration_ms(TRANSACTION_RENEW_MS), kafka_client_purge,
	                   on_old_closed);
}

static void be_idle(struct transaction *t, duration_t pause)
{
	t->next_at = instant_add(clock_now(), pause);
	transaction_set_state(t, STATE_IDLE);
	transaction_act_soon(t);
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

static bool start_step(struct transaction *t, enum transaction_state state, struct kafka_step *step)
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
	transaction_set_state(t, state);
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
void transaction_abort(struct transaction *t)
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
	transaction_abort(t);
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
	transaction_set_state(t, STATE_WAITING);
	act_in(t, (duration_t){ t->options.timeout.us / 2 });
	t->callbacks.staged(t->callbacks.owner, ids, n);
	free(ids);
	if (t->state == STATE_WAITING)
		committer_begin(t->committer, t->must_verify, on_granted, t);
}

static void report_refused(struct transaction *t)
{
	bool alone = outbox_is_alone(&t->outbox);
	struct kafka_write *w;

	while ((w = outbox_refused(&t->outbox, alone))) {
		const char *error = rd_kafka_err2str(w->error);

		report(t, w, error);
	}
}

/* A dead letter that librdkafka refused was replaced by a shorter one, which waits: its reply waits
 * for that. */
static void after_fill(struct transaction *t, const struct kafka_step *step)
{
	if (step->end != KAFKA_STEP_DONE)
		log_warn(t->log, "transaction.aborted", "error=\"%s\"", step->error);
	report_refused(t);
	if (step->end == KAFKA_STEP_DONE && !t->reset_done && t->outbox.batch &&
	    outbox_is_whole(&t->outbox)) {
		stage(t);
	} else if (step->end == KAFKA_STEP_DONE) {
		transaction_abort(t);
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
	transaction_part_is_closed(t);
}

static void read_back(struct transaction *t)
{
	struct err err;

	transaction_set_state(t, STATE_VERIFYING);
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

static void finish_reset(struct transaction *t)
{
	void (*done)(void *) = t->reset_done;

	t->reset_done = NULL;
	t->is_broken = t->is_fatal;
	done(t->reset_owner);
}

/* Without a broker nothing can be ended here: what an old producer left open ends by its timeout,
 * or by the next producer of its name. */
static void after_init(struct transaction *t, const struct kafka_step *step)
{
	if (step->end == KAFKA_STEP_DONE) {
		kafka_client_works(t->client);
		be_idle(t, duration_ms(0));
		return;
	}
	if (step->end == KAFKA_STEP_FATAL)
		report_fatal(t, step->error);
	if (t->reset_done)
		finish_reset(t);
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
		transaction_begin_close(t);
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
		transaction_begin_close(t);
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
		transaction_begin_close(t);
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
	transaction_abort(t);
}

/* No producer can be made: what is asked for is done nevertheless. */
static void finish_dead(struct transaction *t)
{
	if (t->reset_done)
		finish_reset(t);
	if (t->closed && t->state == STATE_STARTING)
		transaction_begin_close(t);
}

static void on_timer(uv_timer_t *timer)
{
	struct transaction *t = timer->data;

	if (t->state == STATE_STARTING && (t->is_fatal || !t->client)) {
		finish_dead(t);
	} else if (t->state == STATE_STARTING && t->closed && t->outbox.pending == 0) {
		transaction_begin_close(t);
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
void transaction_serve(struct transaction *t)
{
	if (t->step || !t->client || t->state == STATE_RENEWING || t->state == STATE_CLOSING)
		return;
	rd_kafka_poll(kafka_client_handle(t->client), 0);
	if (t->state == STATE_IDLE && kafka_client_fatal(t->client))
		renew(t, kafka_client_fatal(t->client));
}

static void on_turn(void *owner)
{
	transaction_serve(owner);
}

int transaction_open_client(struct transaction *t, struct err *err)
{
	struct kafka_transaction_client client = { .properties = t->properties,
		                                   .transactional_id = t->transactional_id,
		                                   .timeout = t->options.timeout,
		                                   .turn = on_turn,
		                                   .owner = t };

	t->client = kafka_transaction_client_new(t->loop, &client, t->log, err);
	return t->client ? 0 : -1;
}
