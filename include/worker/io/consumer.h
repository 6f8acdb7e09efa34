/* The consumer group on the loop: records, assignments and revocations as callbacks; pause, resume,
 * commit.
 *
 * librdkafka wakes the loop through an eventfd; at most consumer_options.batch records are taken
 * per turn of the loop, and the group is polled at least once a second, paused or not, so that
 * the group never loses the worker while it lives. */
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
	duration_t session_timeout;
};

/* All fire from the loop, never from inside a consumer_… function. */
struct consumer_callbacks {
	void *owner;
	/* A record; borrowed for the call. */
	void (*record)(void *owner, const struct record *record);
	/* Nothing below 'offset' will come any more on this partition: the end was reached. */
	void (*position)(void *owner, int32_t partition, int64_t offset);
	/* These partitions, perhaps none, are ours when consumer_accept() is called, here or
	 * later. Their committed offsets are known by then, and so is how many partitions the
	 * topic has. */
	void (*assigned)(void *owner, const int32_t *partitions, size_t n,
	                 int32_t partitions_of_topic);
	/* These are to be given back: call consumer_release() when done with them, here or
	 * later. No more records come. 'lost': they already belong to others. May follow an
	 * `assigned` that was not accepted yet, which then no longer stands. */
	void (*revoked)(void *owner, const int32_t *partitions, size_t n, bool lost);
	/* An answer to consumer_commit() with the same 'opaque'. 'error' is NULL on success. */
	void (*committed)(void *owner, uint64_t opaque, const char *error);
	/* The client cannot go on (fenced, or a fatal error): the worker must stop with this
	 * message. Fires once. */
	void (*fatal)(void *owner, const char *message);
};

struct consumer_position {
	int32_t partition;
	int64_t offset;
};

/* Borrows 'loop', 'log' and 'metrics'; copies the options. Nothing fires before
 * consumer_start(). */
struct consumer *consumer_new(uv_loop_t *loop, const struct consumer_options *options,
                              const struct consumer_callbacks *callbacks, const struct log *log,
                              struct metrics *metrics, struct err *err) MUST_CHECK;

/* Join the group. */
int consumer_start(struct consumer *c, struct err *err) MUST_CHECK;

/* Take what the last `assigned` offered: fetching begins at the committed offsets, or at the
 * start of the log. Does nothing when that offer no longer stands. */
void consumer_accept(struct consumer *c);

/* Give back what the last `revoked` named, after everything was settled and committed. */
void consumer_release(struct consumer *c);

/* Stop and restart fetching. Calling them again for the same state, or for a partition that is
 * not ours, is allowed and does nothing. */
void consumer_pause(struct consumer *c, int32_t partition);
void consumer_resume(struct consumer *c, int32_t partition);

/* Commit these offsets (the next record to read); answered by `committed`. -1 when it could not
 * even be asked. */
int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err) MUST_CHECK;

/* True from the first assignment (also an empty one) until it is lost or given back. */
bool consumer_is_member(const struct consumer *c);

/* Leave the group off the loop (it can block), within 'deadline'; then release everything and
 * call 'closed'. No other callback fires any more. A close that does not end in time is
 * abandoned: the process is about to exit. */
void consumer_close(struct consumer *c, duration_t deadline, void (*closed)(void *owner),
                    void *owner);

#endif
