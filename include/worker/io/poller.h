/* Many sockets and one alarm on a libuv loop, for a library that brings its own sockets.
 *
 * All sockets share an epoll set of ours, which the loop watches through a single uv_poll. libuv
 * would register a socket anew for each change of interest; here a change is one system call, and a
 * turn of the loop takes many. */
#ifndef WORKER_IO_POLLER_H
#define WORKER_IO_POLLER_H

#include "worker/base/check.h"
#include "worker/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* What a socket is watched for, and what happened to it. */
enum { POLLER_READABLE = 1, POLLER_WRITABLE = 2, POLLER_FAILED = 4 };

/* Fire from the loop, never from inside a poller_… function. */
struct poller_callbacks {
	void *owner;
	void (*ready)(void *owner, int fd, unsigned events);
	void (*alarm)(void *owner);
	void (*closed)(
	    void *owner); /* After poller_close(): the loop holds nothing of this any more */
};

enum poller_state { POLLER_OPEN = 1, POLLER_CLOSING };

struct poller {
	struct poller_callbacks callbacks;
	enum poller_state state;
	int epoll;             /* Owned */
	uv_poll_t poll;        /* Watches 'epoll' */
	uv_timer_t timer;      /* The alarm */
	unsigned open_handles; /* uv handles that have not called back from their close */
	bool *resting;         /* Owned: by descriptor; those that rest may still be in the set */
	size_t n_resting;      /* Descriptors that 'resting' has room for */
};

/* Borrows 'loop' until 'closed' was called. Leaves nothing behind on failure. */
int poller_open(struct poller *p, uv_loop_t *loop, const struct poller_callbacks *callbacks,
                struct err *err) MUST_CHECK;

/* Watch 'fd' for 'events'; 'known' says that it is probably watched already. Returns 0, or -1 when
 * the kernel refuses. */
int poller_watch(struct poller *p, int fd, unsigned events, bool known) MUST_CHECK;

/* Watch it no more for now: 'ready' does not fire for it. It may be closed, and its number be used
 * for another one. */
void poller_rest(struct poller *p, int fd);

/* Fire the alarm once, 'ms' from now, instead of any earlier set one; negative: never. */
void poller_set_alarm(struct poller *p, int64_t ms);

/* No 'ready' and no 'alarm' any more; 'closed' follows. */
void poller_close(struct poller *p);

#endif
