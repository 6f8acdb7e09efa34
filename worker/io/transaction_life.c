/* How transactions begin, take writes, are reset and end: see transaction.h. */
#include "worker/io/offload.h"
#include "worker/io/transaction_state.h"

#include <stdlib.h>
#include <string.h>

#define TRANSACTION_TICK_MS  500
#define TRANSACTION_GRACE_MS 1000 /* For the producer to go at the end */

static void free_transaction(struct transaction *t)
{
	outbox_close(&t->outbox);
	positions_copy_close(&t->offsets);
	kafka_properties_close(&t->properties);
	free(t->transactional_id);
	free(t);
}

static void on_tick(uv_timer_t *tick)
{
	transaction_serve(tick->data);
}

struct transaction *transaction_new(uv_loop_t *loop, struct consumer *consumer,
                                    struct committer *committer,
                                    const struct transaction_options *options,
                                    const struct transaction_callbacks *callbacks,
                                    const struct log *log, struct err *err)
{
	struct transaction *t = calloc(1, sizeof(*t));

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
	if (transaction_open_client(t, err) < 0) {
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
	transaction_act_soon(t);
	return t;
}

void transaction_write(struct transaction *t, const struct publisher_write *write)
{
	CHECK(!t->closed);
	outbox_add(&t->outbox, write);
	if (t->state == STATE_IDLE && !uv_is_active((uv_handle_t *)&t->timer))
		transaction_act_soon(t);
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
		transaction_abort(t);
	} else if (t->state == STATE_IDLE || (t->state == STATE_STARTING && !t->step)) {
		transaction_act_soon(t);
	}
}

void transaction_part_is_closed(struct transaction *t)
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
	transaction_part_is_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	transaction_part_is_closed(handle->data);
}

void transaction_begin_close(struct transaction *t)
{
	if (t->state == STATE_WAITING)
		committer_end(t->committer, COMMITTER_ABORTED);
	else if (t->state == STATE_VERIFYING)
		committer_end(t->committer, COMMITTER_UNCLEAR);
	transaction_set_state(t, STATE_CLOSING);
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
	uv_close((uv_handle_t *)&t->tick, on_timer_closed);
	uv_close((uv_handle_t *)&t->deadline, on_timer_closed);
	if (t->client)
		kafka_client_close(t->client, duration_ms(TRANSACTION_GRACE_MS), kafka_client_purge,
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
		transaction_begin_close(t);
}

void transaction_close(struct transaction *t, duration_t deadline, void (*closed)(void *owner),
                       void *owner)
{
	CHECK(!t->closed);
	t->closed = closed;
	t->closed_owner = owner;
	uv_timer_start(&t->deadline, on_deadline, (uint64_t)duration_to_ms(deadline), 0);
	if (t->state == STATE_IDLE || (t->state == STATE_STARTING && !t->step))
		transaction_act_soon(t);
}
