/* The Kafka side of the worker: the consumer group, the lane of its commits, and the producer,
 * opened and closed together.
 *
 * Exactly-once: marks are commits, and replies go out in transactions (transaction.h).
 * At-least-once: marks are granted at once, and replies go out through an idempotent producer
 * (publisher.h). What leans on the difference is here. */
#ifndef WORKER_IO_DELIVERY_H
#define WORKER_IO_DELIVERY_H

#include "worker/io/committer.h"
#include "worker/io/publisher.h"
#include "worker/io/transaction.h"

struct delivery;

struct delivery_options {
	bool exactly_once;
	struct kafka_properties kafka; /* For the producer; the consumer's are in 'consumer' */
	struct consumer_options consumer;
	struct committer_options committer;
	struct transaction_options transaction; /* Exactly-once only */
	duration_t leave_deadline; /* How long leaving the group, or the producer's end, may take */
};

/* As in consumer.h, committer.h and transaction.h. */
struct delivery_callbacks {
	void *owner;
	void (*record)(void *owner, const struct record *record);
	void (*position)(void *owner, int32_t partition, int64_t offset);
	void (*assigned)(void *owner, const struct consumer_offer *offers, size_t n,
	                 int32_t partitions_of_topic);
	void (*revoked)(void *owner, const int32_t *partitions, size_t n, bool lost);
	void (*marked)(void *owner, const uint64_t *invite_ids, size_t n);
	bool (*map)(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
	            struct buffer *text);
	void (*staged)(void *owner, const uint64_t *write_ids, size_t n);
	void (*unstaged)(void *owner);
	void (*written)(void *owner, uint64_t write_id, const char *error);
	void (*fatal)(void *owner, const char *message);
};

/* Borrows all that it is given. NULL on failure, and nothing is left. */
struct delivery *delivery_new(uv_loop_t *loop, const struct delivery_options *options,
                              const struct delivery_callbacks *callbacks, const struct log *log,
                              struct metrics *metrics, struct err *err) MUST_CHECK;

int delivery_start(struct delivery *d, struct err *err) MUST_CHECK;
void delivery_mark(struct delivery *d, int32_t partition, uint64_t invite_id);
void delivery_touch(struct delivery *d, int32_t partition);
void delivery_write(struct delivery *d, const struct publisher_write *write);
void delivery_pause(struct delivery *d, int32_t partition);
void delivery_resume(struct delivery *d, int32_t partition);

/* Take what the last `assigned` offered. */
void delivery_accept(struct delivery *d);

/* End the open transaction, commit what changed, then call 'done' once, later. With 'lost', nothing
 * is committed any more: only what is open is ended. Of exactly-once delivery, what is written from
 * here on to the release, or to the end, is dropped: `written` does not fire for it. */
void delivery_settle(struct delivery *d, bool lost, void (*done)(void *owner), void *owner);

/* Forget a partition; when all that was revoked is forgotten, give it back. */
void delivery_forget(struct delivery *d, int32_t partition);
void delivery_release(struct delivery *d);

/* See committer_may_send(). */
bool delivery_may_send(const struct delivery *d);
bool delivery_is_member(const struct delivery *d);

/* Leave and release everything. No callback but 'closed' fires any more. */
void delivery_close(struct delivery *d, void (*closed)(void *owner), void *owner);

#endif
