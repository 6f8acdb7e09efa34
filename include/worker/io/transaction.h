/* Replies, dead letters and the group's offsets in one Kafka transaction: what exactly-once
 * delivery writes with.
 *
 *   IDLE --writes--> FILLING (begin, produce, flush; plain commits go on)
 *                       --flushed--> WAITING (for the lane)
 *                       --granted--> ENDING (send offsets, commit)
 *                       --done-----> IDLE (the lane is released, results are reported)
 *
 * All that blocks runs off the loop. Writes that come meanwhile go into the next transaction, which
 * begins when the last one has ended and 'gap' has passed. After an indefinite end the producer is
 * thrown away and made anew with the same transactional.id, the lane is reported as unclear, and
 * what had no result is published again by whoever owns it then. */
#ifndef WORKER_IO_TRANSACTION_H
#define WORKER_IO_TRANSACTION_H

#include "worker/io/committer.h"
#include "worker/io/publisher.h"

struct transaction;

struct transaction_options {
	const struct kafka_properties *kafka;
	const char *transactional_id; /* Stable per worker slot */
	duration_t timeout;           /* transaction.timeout.ms */
	duration_t gap;               /* Least time from the end of one to the begin of the next */
	size_t max_writes;            /* In one transaction */
};

struct transaction_callbacks {
	void *owner;
	/* These writes are in the transaction that is about to be ended: the maps that the lane
	 * hands over must count them as stored (COMMITTER_STAGED). Fires before the lane is asked
	 * for. */
	void (*staged)(void *owner, const uint64_t *write_ids, size_t n);
	/* Each write once: 'error' is NULL when it is stored, else why it never will be. */
	publisher_cb written;
	/* The transaction was aborted or its end is unclear: the staged writes count as not stored
	 * again. They are published again in the next transaction by themselves when it was
	 * aborted; when unclear, the lane is broken, and nothing of them is reported. */
	void (*unstaged)(void *owner);
	/* The producer cannot go on: the worker must stop. */
	void (*fatal)(void *owner, const char *message);
};

/* Makes the producer and starts init_transactions off the loop; writes wait until it is done.
 * Borrows all. */
struct transaction *transaction_new(uv_loop_t *loop, struct consumer *consumer,
                                    struct committer *committer,
                                    const struct transaction_options *options,
                                    const struct transaction_callbacks *callbacks,
                                    const struct log *log, struct err *err) MUST_CHECK;

/* Hand over one record; everything is copied. */
void transaction_write(struct transaction *t, const struct publisher_write *write);

/* The assignment is over or the lane is broken: abort what is open, forget all writes without a
 * result; nothing is told of them any more. What is being committed at this moment is still told
 * of, as any other. 'done' fires once, later, when nothing is open any more and nothing that was
 * open can still be committed: what the group has is definite then. Nothing may be written until
 * the next assignment: nobody would count it. */
void transaction_reset(struct transaction *t, void (*done)(void *owner), void *owner);

/* Write what waits within 'deadline', release everything, call 'closed'. To be called before
 * committer_close(). */
void transaction_close(struct transaction *t, duration_t deadline, void (*closed)(void *owner),
                       void *owner);

#endif
