/* The operator's HTTP server: /livez, /readyz and /metrics, by libmicrohttpd in epoll mode on
 * the libuv loop. */
#ifndef WORKER_IO_ADMIN_H
#define WORKER_IO_ADMIN_H

#include "worker/base/buffer.h"
#include "worker/base/err.h"
#include "worker/base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct admin;

struct admin_options {
	const char *address; /* IPv4 or IPv6 literal; never "every interface" by omission */
	uint16_t port;       /* 0: the kernel chooses, see admin_port() */
};

enum admin_health {
	ADMIN_UNREADY,  /* /readyz says 503, and why */
	ADMIN_DEGRADED, /* /readyz and /livez say 200, and what is wrong */
	ADMIN_READY
};

struct admin_callbacks {
	void *owner;
	/* How it is; unless all is well, one sentence for people goes into 'why'. */
	enum admin_health (*health)(void *owner, struct buffer *why);
	/* Append the page of figures. */
	void (*metrics)(void *owner, struct buffer *page);
};

/* Listens when it returns. Borrows 'loop' and 'log'. */
struct admin *admin_new(uv_loop_t *loop, const struct admin_options *options,
                        const struct admin_callbacks *callbacks, const struct log *log,
                        struct err *err) MUST_CHECK;

uint16_t admin_port(const struct admin *admin);

/* Breaks off what is under way. closed may be NULL. */
void admin_close(struct admin *admin, void (*closed)(void *owner), void *owner);

#endif
