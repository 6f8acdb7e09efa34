/* Records and offsets in one transaction, for a tool: see reposter.h. */
#include "worker/io/reposter.h"

#include "worker/io/kafka_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPOSTER_ERROR_SIZE 200

/* How long to wait for room in librdkafka's queue before looking again. */
#define ROOM_MS 50

struct reposter {
	rd_kafka_t *rk;                            /* Owned */
	rd_kafka_consumer_group_metadata_t *group; /* Owned */
	char *source, *target;                     /* Owned */
	bool is_open;                              /* A transaction is */
	char last_error[REPOSTER_ERROR_SIZE];      /* Of a connection, or of a record */
	rd_kafka_resp_err_t refused;               /* A record was not stored: why */
};

static int timeout_ms(void)
{
	return (int)duration_to_ms(REPOSTER_TIMEOUT);
}

static void on_error(rd_kafka_t *rk, int error, const char *text, void *opaque)
{
	struct reposter *r = opaque;

	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(r->last_error, sizeof(r->last_error), "%s", text);
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct reposter *r = opaque;

	(void)rk;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && r->refused == RD_KAFKA_RESP_ERR_NO_ERROR)
		r->refused = message->err;
}

static rd_kafka_conf_t *make_conf(const struct reposter_options *options, struct reposter *r,
                                  struct err *err)
{
	/* As the contract asks of all producers. */
	static const struct kafka_property defaults[] = { { "partitioner", "murmur2_random" } };
	char timeout[16];
	const struct kafka_property ours[] = {
		{ "transactional.id", options->transactional_id },
		{ "transaction.timeout.ms", timeout },
		{ "enable.idempotence", "true" },
		{ "log_level", "0" },
	};
	const struct kafka_conf_options conf_options = {
		.role = KAFKA_PRODUCER,
		.defaults = { defaults, 1 },
		.user = *options->kafka,
		.ours = { ours, sizeof(ours) / sizeof(ours[0]) },
	};
	rd_kafka_conf_t *conf;

	snprintf(timeout, sizeof(timeout), "%d", timeout_ms());
	conf = kafka_conf_new(&conf_options, err);
	if (conf) {
		rd_kafka_conf_set_opaque(conf, r);
		rd_kafka_conf_set_error_cb(conf, on_error);
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
	}
	return conf;
}

struct reposter *reposter_new(const struct reposter_options *options, struct err *err)
{
	struct reposter *r = calloc(1, sizeof(*r));
	char why[REPOSTER_ERROR_SIZE] = "";
	rd_kafka_conf_t *conf;

	CHECK(r);
	r->source = strdup(options->source);
	r->target = strdup(options->target);
	r->group = rd_kafka_consumer_group_metadata_new(options->group);
	CHECK(r->source && r->target && r->group);
	conf = make_conf(options, r, err);
	if (!conf)
		goto fail;
	r->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!r->rk) {
		rd_kafka_conf_destroy(conf);
		err_set(err, "librdkafka: %s", why);
		goto fail;
	}
	return r;
fail:
	reposter_free(r);
	return NULL;
}

void reposter_free(struct reposter *r)
{
	if (!r)
		return;
	if (r->rk && r->is_open) {
		rd_kafka_error_t *error = rd_kafka_abort_transaction(r->rk, timeout_ms());

		if (error)
			rd_kafka_error_destroy(error);
	}
	if (r->rk)
		rd_kafka_destroy(r->rk);
	if (r->group)
		rd_kafka_consumer_group_metadata_destroy(r->group);
	free(r->source);
	free(r->target);
	free(r);
}

static bool is_refusal(rd_kafka_resp_err_t error)
{
	static const rd_kafka_resp_err_t refusals[] = {
		RD_KAFKA_RESP_ERR__FENCED,
		RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
		RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
		RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
		RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
		RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i] == error)
			return true;
	return false;
}

/* What an error comes to; 'step' says what was tried. */
static enum reposter_result conclude(struct reposter *r, rd_kafka_resp_err_t code, const char *step,
                                     struct err *err)
{
	if (r->refused != RD_KAFKA_RESP_ERR_NO_ERROR)
		code = r->refused;
	if (is_refusal(code)) {
		err_set(err, "%s: %s", step, rd_kafka_err2str(code));
		return REPOSTER_REFUSED;
	}
	err_set(err, "%s: %s%s%s", step, rd_kafka_err2str(code), *r->last_error ? ": " : "",
	        r->last_error);
	return REPOSTER_UNREACHABLE;
}

/* The same for an object, which it destroys; NULL is no error. */
static enum reposter_result conclude_error(struct reposter *r, rd_kafka_error_t *error,
                                           const char *step, struct err *err)
{
	rd_kafka_resp_err_t code;

	if (!error)
		return REPOSTER_OK;
	rd_kafka_poll(r->rk, 0);
	code = rd_kafka_error_code(error);
	rd_kafka_error_destroy(error);
	return conclude(r, code, step, err);
}

enum reposter_result reposter_begin(struct reposter *r, struct err *err)
{
	return conclude_error(r, rd_kafka_init_transactions(r->rk, timeout_ms()),
	                      "taking the transactional id", err);
}

static rd_kafka_resp_err_t produce(struct reposter *r, const struct record *record)
{
	rd_kafka_headers_t *headers = kafka_write_headers(record->headers, record->n_headers);
	/* An empty key stays an empty key; librdkafka takes NULL for none. */
	const char *key = record->key.size ? record->key.data : "";
	rd_kafka_resp_err_t error = rd_kafka_producev(
	    r->rk, RD_KAFKA_V_TOPIC(r->target),
	    RD_KAFKA_V_PARTITION(record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition),
	    RD_KAFKA_V_KEY(record->has_key ? (void *)(uintptr_t)key : NULL, record->key.size),
	    RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.data, record->value.size),
	    RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	return error;
}

enum reposter_result reposter_put(struct reposter *r, const struct record *record, struct err *err)
{
	rd_kafka_resp_err_t error;

	if (!r->is_open) {
		enum reposter_result result = conclude_error(r, rd_kafka_begin_transaction(r->rk),
		                                             "beginning a transaction", err);

		if (result != REPOSTER_OK)
			return result;
		r->is_open = true;
	}
	while ((error = produce(r, record)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_poll(r->rk, ROOM_MS);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return REPOSTER_OK;
	return conclude(r, error, "putting a record back", err);
}

static rd_kafka_topic_partition_list_t *
make_offsets(const struct reposter *r, const struct reposter_position *positions, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++) {
		rd_kafka_topic_partition_t *p =
		    rd_kafka_topic_partition_list_add(list, r->source, positions[i].partition);

		p->offset = positions[i].offset;
		p->metadata = strndup(positions[i].metadata.data, positions[i].metadata.size);
		CHECK(p->metadata);
		p->metadata_size = positions[i].metadata.size;
	}
	return list;
}

enum reposter_result reposter_commit(struct reposter *r, const struct reposter_position *positions,
                                     size_t n, struct err *err)
{
	rd_kafka_topic_partition_list_t *offsets;
	enum reposter_result result;

	if (!r->is_open)
		return REPOSTER_OK;
	offsets = make_offsets(r, positions, n);
	result = conclude_error(
	    r, rd_kafka_send_offsets_to_transaction(r->rk, offsets, r->group, timeout_ms()),
	    "committing offsets", err);
	rd_kafka_topic_partition_list_destroy(offsets);
	if (result != REPOSTER_OK)
		return result;
	result = conclude_error(r, rd_kafka_commit_transaction(r->rk, timeout_ms()),
	                        "committing the transaction", err);
	r->is_open = result != REPOSTER_OK;
	return result;
}
