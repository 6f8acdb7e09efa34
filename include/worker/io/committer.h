/* Stores how far each partition is done: offset commits behind delivered replies, one outstanding
 * at a time.
 *
 * This is also the place where a send is marked before it happens. In at-least-once delivery a
 * mark is granted at once and nothing is written; commit-then-send puts its commit here without
 * a change elsewhere. */
#ifndef WORKER_IO_COMMITTER_H
#define WORKER_IO_COMMITTER_H

#include "worker/io/consumer.h"

struct committer;

/* Marks that were granted, in the order in which they were asked for; fires later, never from
 * inside committer_mark(). */
typedef void (*committer_marked_cb)(void *owner, const uint64_t *invite_ids, size_t n);

/* Borrows all. 'interval': least time between two commits while work goes on. */
struct committer *committer_new(uv_loop_t *loop, struct consumer *consumer, duration_t interval,
                                committer_marked_cb marked, void *owner, const struct log *log,
                                struct metrics *metrics, struct err *err) MUST_CHECK;

/* Ask for leave to send an invite. */
void committer_mark(struct committer *c, uint64_t invite_id);

/* Everything below 'offset' has its reply stored. Committed soon. An offset below one that was
 * stored before changes nothing, until the partition is forgotten. */
void committer_store(struct committer *c, int32_t partition, int64_t offset);

/* The answer to a commit, from consumer_callbacks.committed. */
void committer_committed(struct committer *c, uint64_t opaque, const char *error);

/* Commit now what is stored, then call 'done' once, later: nothing that was stored before is
 * outstanding then. A failure is logged; what could not be committed is read again by the next
 * owner. */
void committer_flush(struct committer *c, void (*done)(void *owner), void *owner);

/* Forget a partition that is not ours any more. */
void committer_forget(struct committer *c, int32_t partition);

/* Commits nothing more. No callback but 'closed' fires any more, also not that of a flush that
 * is under way, and committer_committed() must not be called any more. */
void committer_close(struct committer *c, void (*closed)(void *owner), void *owner);

#endif
