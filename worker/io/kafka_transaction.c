/* The blocking steps of a transaction: see kafka_transaction.h.
 *
 * What an end may claim follows from what was seen with held, lost and repeated requests: an answer
 * within KAFKA_TRANSACTION_RETRY_MS is definite. A later one is true, but a copy of the request may
 * still be on its way, so the producer is not used again: a new one has a new epoch, and the broker
 * refuses the copy. No answer, or an error that may hide a success, is unclear. */
#include "worker/io/kafka_transaction.h"

#include "worker/base/failpoint.h"
#include "worker/io/clock.h"
#include "worker/io/offload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* With a margin for the jitter of newer librdkafka. */
#define DEFINITE_MS (KAFKA_TRANSACTION_RETRY_MS * 7 / 10)

/* How long to wait for room in librdkafka's queue before looking again. */
#define ROOM_MS 20

struct running {
	struct kafka_step *step; /* Owned */
	struct offload *offload; /* Owned */
	kafka_step_cb finished;
	void *owner;
};

static void note_error(struct kafka_step *s, const char *what, const char *text)
{
	if (!s->error[0])
		snprintf(s->error, sizeof(s->error), "%s: %s", what, text);
}

static bool is_definite(instant_t began)
{
	return instant_since(clock_now(), began).us < duration_ms(DEFINITE_MS).us;
}

/* Destroys 'error'. True when the transaction is known to be gone. */
static bool abort_open(struct kafka_step *s)
{
	instant_t began = clock_now();
	rd_kafka_error_t *error =
	    rd_kafka_abort_transaction(kafka_client_handle(s->client), s->timeout_ms);
	bool ok = !error;

	if (error) {
		note_error(s, "abort", rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
	}
	if (!ok || !is_definite(began))
		s->must_renew = true;
	return ok;
}

static void init(struct kafka_step *s)
{
	rd_kafka_error_t *error =
	    rd_kafka_init_transactions(kafka_client_handle(s->client), s->timeout_ms);

	if (!error) {
		s->end = KAFKA_STEP_DONE;
		return;
	}
	note_error(s, "init", rd_kafka_error_string(error));
	s->end = rd_kafka_error_is_retriable(error) ? KAFKA_STEP_AGAIN : KAFKA_STEP_FATAL;
	rd_kafka_error_destroy(error);
}

/* Produce all. False when the transaction cannot take more; single records may be refused. */
static bool produce_all(struct kafka_step *s, instant_t end)
{
	rd_kafka_t *rk = kafka_client_handle(s->client);
	struct kafka_write *w;

	DL_FOREACH (s->writes, w) {
		rd_kafka_resp_err_t error;

		while ((error = kafka_write_produce(w, rk, w)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
		       instant_before(clock_now(), end))
			rd_kafka_flush(rk, ROOM_MS);
		if (error != RD_KAFKA_RESP_ERR_NO_ERROR && !kafka_write_is_refusal(error)) {
			note_error(s, "produce", rd_kafka_err2str(error));
			return false;
		}
	}
	return true;
}

/* True when every record that librdkafka took is stored. */
static bool all_stored(struct kafka_step *s)
{
	const struct kafka_write *w;

	DL_FOREACH (s->writes, w) {
		if (w->is_taken && !w->is_stored) {
			note_error(s, "flush", "a record was not stored in time");
			return false;
		}
	}
	return true;
}

/* Nothing is staged before the offsets are, so an unknown end does no harm here: the next producer
 * aborts what is open. Records that librdkafka refused at once do not spoil the others; those that
 * the broker refused do. */
static void fill(struct kafka_step *s)
{
	rd_kafka_t *rk = kafka_client_handle(s->client);
	instant_t end = instant_add(clock_now(), duration_ms(s->timeout_ms));
	rd_kafka_error_t *error = rd_kafka_begin_transaction(rk);
	bool ok;

	s->end = KAFKA_STEP_ABORTED;
	if (error) {
		note_error(s, "begin", rd_kafka_error_string(error));
		rd_kafka_error_destroy(error);
		s->must_renew = true;
		return;
	}
	FAILPOINT(reply_after_begin);
	ok = produce_all(s, end);
	FAILPOINT(reply_after_produce);
	/* A copy of what was not acknowledged may still come: after the abort it would open a
	 * transaction that nobody ends (KIP-890). A new producer's epoch keeps it out. */
	if (ok && rd_kafka_flush(rk, s->timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		note_error(s, "flush", "not done in time");
		s->must_renew = true;
	}
	FAILPOINT(reply_after_flush);
	if (ok && !s->error[0] && all_stored(s))
		s->end = KAFKA_STEP_DONE;
	else
		abort_open(s);
}

static bool is_stale(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	       code == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
	       code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

/* What an error in the exclusive part means. Destroys it. */
static void judge(struct kafka_step *s, const char *what, rd_kafka_error_t *error, instant_t began)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	bool refused = rd_kafka_error_txn_requires_abort(error) && is_definite(began);

	note_error(s, what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	s->end = KAFKA_STEP_UNCLEAR;
	if (!refused || !abort_open(s) || !is_definite(began))
		s->must_renew = true;
	else if (!is_stale(code))
		s->end = KAFKA_STEP_ABORTED;
}

static void commit(struct kafka_step *s)
{
	rd_kafka_t *rk = kafka_client_handle(s->client);
	instant_t began = clock_now();
	rd_kafka_error_t *error;

	FAILPOINT(reply_before_offsets);
	error = rd_kafka_send_offsets_to_transaction(rk, s->offsets, s->group, s->timeout_ms);

	if (error) {
		judge(s, "offsets", error, began);
		return;
	}
	FAILPOINT(reply_after_offsets);
	error = rd_kafka_commit_transaction(rk, s->timeout_ms);
	if (error) {
		judge(s, "commit", error, began);
		return;
	}
	FAILPOINT(reply_after_commit);
	s->end = KAFKA_STEP_DONE;
	if (!is_definite(began))
		s->must_renew = true;
}

static void on_thread(void *arg)
{
	struct kafka_step *s = ((struct running *)arg)->step;

	switch (s->kind) {
	case KAFKA_STEP_INIT:
		init(s);
		break;
	case KAFKA_STEP_FILL:
		fill(s);
		break;
	case KAFKA_STEP_COMMIT:
		commit(s);
		break;
	case KAFKA_STEP_ABORT:
		s->end = KAFKA_STEP_ABORTED;
		abort_open(s);
		break;
	}
	kafka_client_leave(s->client);
}

static void on_finished(void *arg, bool done)
{
	struct running *r = arg;

	r->finished(r->owner, r->step, done);
	offload_release(r->offload);
}

static void drop(void *arg)
{
	struct running *r = arg;
	struct kafka_step *s = r->step;
	struct kafka_write *w, *next;

	DL_FOREACH_SAFE (s->writes, w, next)
		kafka_write_free(w);
	if (s->offsets)
		rd_kafka_topic_partition_list_destroy(s->offsets);
	if (s->group)
		rd_kafka_consumer_group_metadata_destroy(s->group);
	free(s);
	free(r);
}

struct offload *kafka_step_start(uv_loop_t *loop, struct kafka_step *step, kafka_step_cb finished,
                                 void *owner, struct kafka_write **ret_writes, struct err *err)
{
	struct running *r = calloc(1, sizeof(*r));
	struct offload_job job = {
		.arg = r, .work = on_thread, .finished = on_finished, .drop = drop
	};

	CHECK(r);
	r->step = step;
	r->finished = finished;
	r->owner = owner;
	kafka_client_enter(step->client);
	r->offload = offload_start(loop, &job, err);
	if (r->offload)
		return r->offload;
	kafka_client_leave(step->client);
	*ret_writes = step->writes;
	step->writes = NULL;
	drop(r);
	return NULL;
}

/* On the thread of the step, which owns the writes. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_write *w = message->_private;

	(void)rk;
	if (kafka_client_is_closing(opaque))
		return;
	w->is_stored = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
	w->error = message->err;
}

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static const struct kafka_property default_properties[] = {
	{ "linger.ms", "1" },
	/* A topic that is missing must show before the transaction is too old. */
	{ "topic.metadata.propagation.max.ms", "1500" },
};

struct kafka_client *kafka_transaction_client_new(uv_loop_t *loop,
                                                  const struct kafka_transaction_client *options,
                                                  const struct log *log, struct err *err)
{
	char timeout[24], retry[24];
	struct kafka_property ours[] = {
		{ "enable.idempotence", "true" },
		{ "acks", "all" },
		{ "transactional.id", options->transactional_id },
		{ "transaction.timeout.ms", timeout },
		{ "message.timeout.ms", timeout },
		{ "retry.backoff.ms", retry },
	};
	struct kafka_client_options client = {
		.name = "transaction",
		.conf = { .role = KAFKA_PRODUCER,
		          .defaults = { default_properties, 2 },
		          .user = options->properties,
		          .ours = { ours, sizeof(ours) / sizeof(*ours) } },
		.configure = configure,
		.turn = options->turn,
		.owner = options->owner,
	};

	snprintf(timeout, sizeof(timeout), "%" PRId64, duration_to_ms(options->timeout));
	snprintf(retry, sizeof(retry), "%d", KAFKA_TRANSACTION_RETRY_MS);
	return kafka_client_new(loop, &client, log, err);
}

rd_kafka_consumer_group_metadata_t *
kafka_group_copy(const rd_kafka_consumer_group_metadata_t *group)
{
	rd_kafka_consumer_group_metadata_t *copy = NULL;
	rd_kafka_error_t *error;
	void *text;
	size_t size;

	if (!group)
		return NULL;
	error = rd_kafka_consumer_group_metadata_write(group, &text, &size);
	if (!error) {
		error = rd_kafka_consumer_group_metadata_read(&copy, text, size);
		rd_kafka_mem_free(NULL, text);
	}
	if (error) {
		rd_kafka_error_destroy(error);
		return NULL;
	}
	return copy;
}
