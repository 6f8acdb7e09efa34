/* What must be known of an assignment before it is taken: the committed offsets, and how many
 * partitions the topic has. */
#ifndef WORKER_IO_LOOKUP_H
#define WORKER_IO_LOOKUP_H

#include "worker/io/kafka_client.h"

struct lookup;

struct lookup_result {
	rd_kafka_resp_err_t error;
	const rd_kafka_topic_partition_list_t *partitions; /* With committed offsets, or negative */
	int32_t partitions_of_topic;
};

/* 'result' is borrowed for the call, and NULL when the look-up was cancelled. The look-up is
 * gone after the call. */
typedef void (*lookup_cb)(void *owner, const struct lookup_result *result);

/* Ask the brokers, off the loop. Copies 'topic' and 'partitions'. NULL when it could not begin;
 * nothing fires then. */
struct lookup *lookup_start(uv_loop_t *loop, struct kafka_client *client, const char *topic,
                            const rd_kafka_topic_partition_list_t *partitions, lookup_cb cb,
                            void *owner, struct err *err) MUST_CHECK;

/* Have the callback fire soon without a result. */
void lookup_cancel(struct lookup *l);

#endif
