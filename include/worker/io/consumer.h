/* The consumer group on the loop: records, assignments and revocations as callbacks; pause, resume,
 * commit.
 *
 * librdkafka wakes the loop through an eventfd; at most consumer_options.batch records are taken
 * per turn of the loop, and the group is polled at least once a second, paused or not, so that the
 * group never loses the worker while it lives. */
#ifndef WORKER_IO_CONSUMER_H
#define WORKER_IO_CONSUMER_H

#include "worker/base/metrics.h"
#include "worker/core/record.h"
#include "worker/io/kafka.h"

#include <uv.h>

struct consumer;

struct consumer_options {
	const struct kafka_properties *kafka;
	const char *topic;
	const char *group;
	const char *instance_id; /* group.instance.id: static membership; NULL: dynamic */
	uint32_t batch;          /* Most records taken in one turn of the loop */
	uint32_t history; /* So many records before the committed offset are read again first */
	duration_t session_timeout;
};

/* A partition that is offered, and where its group stands. */
struct consumer_offer {
	int32_t partition;
	int64_t offset; /* Committed; -1: the group has none */
	/* Of that commit, as it was found: any bytes, empty when there are none; borrowed for the
	 * call. What stands behind a NUL cannot be read and is left out, the NUL is not. */
	struct bytes metadata;
};

/* More is refused by brokers. */
#define CONSUMER_METADATA_MAX 4096

/* What a commit says of a partition. */
struct consumer_position {
	int32_t partition;
	int64_t offset;        /* The next record to read */
	struct bytes metadata; /* At most CONSUMER_METADATA_MAX bytes, no NUL */
};

/* Append it to a list of librdkafka's. */
void consumer_position_add(const struct consumer_position *position, const char *topic,
                           rd_kafka_topic_partition_list_t *list);

/* All fire from the loop, never from inside a consumer_… function. */
struct consumer_callbacks {
	void *owner;
	/* A record; borrowed for the call. */
	void (*record)(void *owner, const struct record *record);
	/* Nothing below 'offset' will come any more on this partition: the end was reached. */
	void (*position)(void *owner, int32_t partition, int64_t offset);
	/* These partitions, perhaps none, are ours when consumer_accept() is called, here or later.
	 * Their committed offsets with their metadata are known by then (read with stable offsets,
	 * so that no transaction is open on them), and so is how many partitions the topic has. */
	void (*assigned)(void *owner, const struct consumer_offer *offers, size_t n,
	                 int32_t partitions_of_topic);
	/* These are to be given back: call consumer_release() when done with them, here or later.
	 * No more records come. 'lost': they already belong to others. May follow an `assigned`
	 * that was not accepted yet, which then no longer stands. Fires again, with 'lost', when
	 * they are lost before they were given back. */
	void (*revoked)(void *owner, const int32_t *partitions, size_t n, bool lost);
	/* An answer to consumer_commit() with the same 'opaque'. 'error' is NULL on success. */
	void (*committed)(void *owner, uint64_t opaque, const char *error);
	/* The client cannot go on (fenced, or a fatal error): the worker must stop with this
	 * message. Fires once. */
	void (*fatal)(void *owner, const char *message);
};

/* Borrows 'loop', 'log' and 'metrics'; copies the options. Nothing fires before consumer_start().
 */
struct consumer *consumer_new(uv_loop_t *loop, const struct consumer_options *options,
                              const struct consumer_callbacks *callbacks, const struct log *log,
                              struct metrics *metrics, struct err *err) MUST_CHECK;

/* Join the group. */
int consumer_start(struct consumer *c, struct err *err) MUST_CHECK;

/* Take what the last `assigned` offered: fetching begins so many records of history before the
 * committed offsets, or at the start of the log. Does nothing when that offer no longer stands. */
void consumer_accept(struct consumer *c);

/* Give back what the last `revoked` named, after everything was settled and committed. */
void consumer_release(struct consumer *c);

/* Stop and restart fetching. Calling them again for the same state, or for a partition that is not
 * ours, is allowed and does nothing. */
void consumer_pause(struct consumer *c, int32_t partition);
void consumer_resume(struct consumer *c, int32_t partition);

/* Commit these offsets (the next record to read); answered by `committed`. -1 when it could not
 * even be asked. */
int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err) MUST_CHECK;

/* The topic of the commands; borrowed. */
const char *consumer_topic(const struct consumer *c);

/* What a transaction of this assignment must show to the broker (KIP-447); taken once when the
 * assignment was accepted and kept, because fresh metadata would hide that the assignment is stale.
 * Borrowed until the assignment ends. NULL when there is none. */
const rd_kafka_consumer_group_metadata_t *consumer_group_metadata(const struct consumer *c);

/* True when the broker or librdkafka has said that the assignment is lost. Cheap, callable at any
 * moment. */
bool consumer_is_lost(const struct consumer *c);

/* What the group has committed, read with stable offsets; NULL when that could not be known. */
typedef void (*consumer_committed_cb)(void *owner, const struct consumer_offer *committed,
                                      size_t n);

/* Ask, off the loop, what is committed for these partitions. If it returns 0 the callback fires
 * once, later, also when the consumer is renewed or closed meanwhile. One question at a time. */
int consumer_read_committed(struct consumer *c, const struct consumer_position *positions, size_t n,
                            consumer_committed_cb cb, void *owner, struct err *err) MUST_CHECK;

/* Join the group anew: the client is destroyed without leaving the group, off the loop, and made
 * again with the same group.instance.id, so that every late copy of a commit is refused from then
 * on. (A dynamic member leaves: its copies are refused because nobody knows it any more.) If
 * anything was offered or owned, `revoked` with 'lost' fires first; then `assigned` in time.
 *
 * What the next `assigned` says was read after consumer_release(): call that when no transaction of
 * ours can end any more (transaction_reset()), else the offsets may still change behind it. */
void consumer_renew(struct consumer *c);

/* True from the first assignment (also an empty one) until it is lost or given back. */
bool consumer_is_member(const struct consumer *c);

/* Leave the group off the loop (it can block), within 'deadline'; then release everything and call
 * 'closed'. No other callback fires any more. A close that does not end in time is abandoned: the
 * process is about to exit. */
void consumer_close(struct consumer *c, duration_t deadline, void (*closed)(void *owner),
                    void *owner);

#endif
