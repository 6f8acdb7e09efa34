/* Which partitions of the topic the group gave us: offered, owned, to be given back; and which
 * of them are paused. */
#ifndef WORKER_IO_ASSIGNMENT_H
#define WORKER_IO_ASSIGNMENT_H

#include "worker/io/consumer.h"
#include "worker/io/kafka_client.h"

struct assignment;

/* As in consumer_callbacks. */
struct assignment_callbacks {
	void *owner;
	void (*assigned)(void *owner, const struct consumer_offer *offers, size_t n,
	                 int32_t partitions_of_topic);
	void (*revoked)(void *owner, const int32_t *partitions, size_t n, bool lost);
};

struct assignment_options {
	struct kafka_client *client; /* Borrowed, as all of these */
	const char *topic;
	uint32_t history; /* As in consumer_options */
	const struct log *log;
	struct metrics *metrics;
	struct assignment_callbacks callbacks;
};

struct assignment *assignment_new(uv_loop_t *loop, const struct assignment_options *options);

/* What librdkafka's rebalance callback says. Only notes it down: see assignment_serve(). */
void assignment_note(struct assignment *a, rd_kafka_resp_err_t what,
                     const rd_kafka_topic_partition_list_t *partitions);

/* Work off what was noted; the callbacks fire from here, or later from the loop. */
void assignment_serve(struct assignment *a);

/* Begin a look-up that failed once more. To be called now and then. */
void assignment_retry(struct assignment *a);

/* False when the offer no longer stands. */
bool assignment_accept(struct assignment *a);
void assignment_release(struct assignment *a);

/* The client is about to go: everything that it held is lost, and `revoked` says so. From
 * assignment_attach() on, the assignments of a new one count. */
void assignment_detach(struct assignment *a);
void assignment_attach(struct assignment *a, struct kafka_client *client);

/* Does nothing unless the partition is owned and its state changes. */
void assignment_set_paused(struct assignment *a, int32_t partition, bool paused);

/* What stands before 'next' was taken from the queue. False when records of this partition are not
 * ours to read. */
bool assignment_pass(struct assignment *a, int32_t partition, int64_t next) MUST_CHECK;

/* Have librdkafka fetch what is not paused at once. Only when its queue is empty: it drops what the
 * queue has, and fetches it again. */
void assignment_refetch(struct assignment *a);

/* True while offsets of this partition are ours to commit: also after its revocation, until it is
 * released, unless lost. */
bool assignment_may_commit(const struct assignment *a, int32_t partition);

bool assignment_is_member(const struct assignment *a);

/* As consumer_group_metadata(). */
const rd_kafka_consumer_group_metadata_t *assignment_group(const struct assignment *a);

/* Let go of everything without asking librdkafka, then call 'closed'; no other callback fires any
 * more. */
void assignment_close(struct assignment *a, void (*closed)(void *owner), void *owner);

#endif
