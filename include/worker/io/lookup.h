/* What must be known of an assignment before it is taken: the committed offsets with their
 * metadata, where reading begins, and how many partitions the topic has. */
#ifndef WORKER_IO_LOOKUP_H
#define WORKER_IO_LOOKUP_H

#include "worker/io/kafka_client.h"

struct lookup;

struct lookup_question {
	struct kafka_client *client; /* Borrowed; the rest is copied */
	const char *topic;
	const rd_kafka_topic_partition_list_t *partitions;
	uint32_t history; /* So many records before the committed offset are read again */
	bool only_committed;
};

struct lookup_result {
	rd_kafka_resp_err_t error;
	/* With their committed offsets, or negative ones, read with stable offsets: no transaction
	 * is open on them. Metadata is not to be trusted: any size, any bytes. */
	const rd_kafka_topic_partition_list_t *partitions;
	const int64_t *first; /* For each, the offset where reading begins */
	int32_t partitions_of_topic;
};

/* 'result' is borrowed for the call, and NULL when the look-up was cancelled. The look-up is gone
 * after the call. */
typedef void (*lookup_cb)(void *owner, const struct lookup_result *result);

/* Ask the brokers, off the loop. NULL when it could not begin; nothing fires then. */
struct lookup *lookup_start(uv_loop_t *loop, const struct lookup_question *question, lookup_cb cb,
                            void *owner, struct err *err) MUST_CHECK;

/* Have the callback fire soon without a result. */
void lookup_cancel(struct lookup *l);

/* The metadata of a committed offset. librdkafka keeps what follows a NUL only by length, and reads
 * it from memory that is not its own: it ends behind the first NUL here, which no valid text has.
 */
struct bytes lookup_metadata(const rd_kafka_topic_partition_t *committed);

#endif
