/* Places at which a test can end, stop or slow down the worker: the numbered steps of the protocol
 * that keeps the promise (worker/README.md), each with the moments at which a crash would hurt.
 *
 * They exist only in a build with WORKER_FAILPOINTS; otherwise FAILPOINT() is nothing at all. The
 * environment steers them:
 *
 *     INVITE_WORKER_FAILPOINTS_DIR=DIR          each hit appends a byte to DIR/<name>
 *     INVITE_WORKER_FAILPOINTS=NAME:ACTION:NTH[,…]
 *
 * At the NTH hit, counted by the length of that file and so over restarts too, ACTION is taken:
 * kill (SIGKILL), stop (SIGSTOP) or delay=MILLISECONDS, which blocks the thread. */
#ifndef WORKER_BASE_FAILPOINT_H
#define WORKER_BASE_FAILPOINT_H

/* FAILPOINT_ROW(name, step, moment): declared once; the step is that of the protocol. */
#define FAILPOINTS(FAILPOINT_ROW)                                                                  \
	FAILPOINT_ROW(mark_before_request, 1, "started is set, its commit not asked for")          \
	FAILPOINT_ROW(mark_after_request, 1, "the commit is asked for")                            \
	FAILPOINT_ROW(mark_after_ack, 1, "the commit is acknowledged, nothing is sent")            \
	FAILPOINT_ROW(lease_before_check, 2, "the body is asked for, the lease not looked at")     \
	FAILPOINT_ROW(lease_after_check, 2, "the lease holds, the body has not left")              \
	FAILPOINT_ROW(post_before_start, 3, "the request is about to be handed to libcurl")        \
	FAILPOINT_ROW(post_after_body, 3, "Graph has the body and begins to answer")               \
	FAILPOINT_ROW(post_after_answer, 3, "Graph has answered, the reply is not written")        \
	FAILPOINT_ROW(reply_after_begin, 4, "the transaction has begun")                           \
	FAILPOINT_ROW(reply_after_produce, 4, "the replies are produced, not flushed")             \
	FAILPOINT_ROW(reply_after_flush, 4, "the replies are flushed")                             \
	FAILPOINT_ROW(reply_before_offsets, 4, "the lane is ours, no offsets are sent")            \
	FAILPOINT_ROW(reply_after_offsets, 4, "the offsets are staged, not committed")             \
	FAILPOINT_ROW(reply_after_commit, 4, "the transaction is committed, nobody was told")      \
	FAILPOINT_ROW(revoke_begun, 5, "partitions are to be given back")                          \
	FAILPOINT_ROW(revoke_before_unassign, 5, "they are quiet and committed, but still ours")   \
	FAILPOINT_ROW(takeover_map_read, 6, "the map of a partition is read, nothing accepted")    \
	FAILPOINT_ROW(takeover_before_look, 6, "evidence is about to be asked for")                \
	FAILPOINT_ROW(takeover_after_look, 6, "evidence has come and is not judged")               \
	FAILPOINT_ROW(bad_map_found, 7, "a map could not be used")

#ifdef WORKER_FAILPOINTS

enum failpoint {
#define FAILPOINT_ROW(name, step, moment) FAILPOINT_##name,
	FAILPOINTS(FAILPOINT_ROW)
#undef FAILPOINT_ROW
	    FAILPOINT_COUNT
};

void failpoint_hit(enum failpoint point);

#define FAILPOINT(name) failpoint_hit(FAILPOINT_##name)

#else

#define FAILPOINT(name) ((void)0)

#endif
#endif
