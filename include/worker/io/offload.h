/* Work that blocks, on a thread of its own, with its end told on the loop.
 *
 * The loop may give up waiting: the thread then ends by itself, whenever that is, and what it
 * works with is released by whoever of the two is last. This is why libuv's own thread pool is
 * not used: its requests cannot be given up, and a thread that hangs would hold up the end of
 * the process. */
#ifndef WORKER_IO_OFFLOAD_H
#define WORKER_IO_OFFLOAD_H

#include "worker/base/err.h"

#include <stdbool.h>
#include <uv.h>

struct offload;

struct offload_job {
	void *arg;
	/* On the thread. */
	void (*work)(void *arg);
	/* On the loop, once: 'done' is false when the work was abandoned. No handle is open any
	 * more. */
	void (*finished)(void *arg, bool done);
	/* Release 'arg'; on the loop or on the thread, after both have let go of it. */
	void (*drop)(void *arg);
};

/* Start the work. The caller must call offload_release() once, not before `finished` has fired.
 * On failure nothing fires and 'arg' still is the caller's. */
struct offload *offload_start(uv_loop_t *loop, const struct offload_job *job,
                              struct err *err) MUST_CHECK;

/* Wait no longer; `finished` fires soon. Does nothing when the work has ended already. */
void offload_abandon(struct offload *o);

/* The loop's side needs 'arg' no more. */
void offload_release(struct offload *o);

#endif
