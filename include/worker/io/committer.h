/* The one lane on which the offsets of the group are written, and the marks that wait for it.
 *
 * Every commit carries, for each partition that changed, the frontier and the map of what lies
 * behind it (map.h). Exactly one is outstanding at a time. A mark is granted when a commit that
 * contains it was acknowledged in time: an answer is definite only within `retry.backoff.ms` of the
 * call, because librdkafka re-sends commits by itself and a late copy can land last. When an answer
 * is late, missing or an error, the lane is broken: nothing more is committed or granted until the
 * group was joined anew (worker/README.md, "A commit whose answer is late").
 *
 * At-least-once delivery grants marks at once and commits maps behind stored replies. */
#ifndef WORKER_IO_COMMITTER_H
#define WORKER_IO_COMMITTER_H

#include "worker/io/consumer.h"

struct committer;

enum committer_view {
	COMMITTER_PLAIN, /* As things are */
	COMMITTER_STAGED /* Replies that the open transaction carries count as stored */
};

struct committer_options {
	bool marks_are_commits; /* Exactly-once: a mark waits for its commit */
	duration_t interval; /* At-least-once: least time between two commits while work goes on */
	duration_t
	    deadline;     /* A plain commit's answer must come within; longer ones break the lane */
	duration_t lease; /* How long the right to send lasts, from before the commit request */
};

struct committer_callbacks {
	void *owner;
	/* Marks that were granted, in the order in which they were asked for. */
	void (*marked)(void *owner, const uint64_t *invite_ids, size_t n);
	/* The frontier and the map of a partition, for the commit that is about to be asked for.
	 * False: it cannot be written now, leave the partition and its marks out. */
	bool (*map)(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
	            struct buffer *text);
	/* The lane is broken: the group must be joined anew. Fires once per epoch, never from
	 * inside a call. */
	void (*broken)(void *owner, const char *why);
};

/* Borrows all. */
struct committer *committer_new(uv_loop_t *loop, struct consumer *consumer,
                                const struct committer_options *options,
                                const struct committer_callbacks *callbacks, const struct log *log,
                                struct metrics *metrics, struct err *err) MUST_CHECK;

/* Ask for leave to send an invite of these partition's commands. */
void committer_mark(struct committer *c, int32_t partition, uint64_t invite_id);

/* The partition's map has changed and should be committed soon. In exactly-once delivery
 * transactions do that, and flushes; but they look only at partitions that were touched or marked
 * at least once since the reset: touch a partition before its first reply. */
void committer_touch(struct committer *c, int32_t partition);

/* The answer to a commit, from consumer_callbacks.committed. */
void committer_committed(struct committer *c, uint64_t opaque, const char *error);

/* True while requests may be sent: the last acknowledged commit was asked for less than a lease
 * ago, the assignment is not lost, and the lane is not broken. Cheap; asked in curl's read
 * callback. Always true at-least-once. */
bool committer_may_send(const struct committer *c);

/* A transaction wants the lane for itself: 'granted' fires, later, when no plain commit is
 * outstanding, with what the transaction must commit (metadata included; borrowed until
 * committer_end()): at least one partition; 'everything': all that were ever touched, whether or
 * not there is news of them. Marks asked for until then ride in it.
 *
 * While the map of any partition cannot be written, or the lane is broken, it does not fire: a
 * reply could be stored without its mark. */
void committer_begin(struct committer *c, bool everything,
                     void (*granted)(void *owner, const struct consumer_position *positions,
                                     size_t n),
                     void *owner);

/* The transaction has ended. Committed: the marks that rode in it are granted, as far as the lease
 * of the last plain commit reaches. Aborted: they are asked for again by plain commit. Unclear: the
 * lane is broken. Overwritten: it has committed, but an older commit landed behind it: the same is
 * committed again, plainly, and the marks wait for that.
 *
 * Before `granted` has fired this withdraws the wish for the lane. */
enum committer_end {
	COMMITTER_COMMITTED,
	COMMITTER_ABORTED,
	COMMITTER_UNCLEAR,
	COMMITTER_OVERWRITTEN
};
void committer_end(struct committer *c, enum committer_end end);

/* Commit now what changed, then call 'done' once, later: no plain commit is outstanding then. */
void committer_flush(struct committer *c, void (*done)(void *owner), void *owner);

/* A new assignment: the lane is whole again, no mark is pending. */
void committer_reset(struct committer *c);

/* Forget a partition that is not ours any more: its marks are never granted. */
void committer_forget(struct committer *c, int32_t partition);

void committer_close(struct committer *c, void (*closed)(void *owner), void *owner);

#endif
