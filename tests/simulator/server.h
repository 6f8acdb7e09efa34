/* The HTTP and HTTPS listeners: libmicrohttpd on a libuv loop, one thread. */
#ifndef SIMULATOR_SERVER_H
#define SIMULATOR_SERVER_H

#include "simulator/delivery.h"
#include "worker/base/err.h"

#include <microhttpd.h>
#include <uv.h>

struct simulator;
struct options;

struct listener {
	struct simulator *simulator; /* Borrowed */
	struct MHD_Daemon *daemon;   /* NULL: not served */
	bool tls;
	uv_poll_t poll; /* On the daemon's epoll set */
};

struct server {
	struct listener http, https;
	uv_prepare_t prepare; /* Lets the daemons work before the loop waits */
	uv_idle_t idle;       /* Active while a daemon has work that no socket will tell of */
	uint64_t connections; /* Since the start; the newest has this number */
	struct deliveries deliveries;
};

/* Listen as the simulator's options say. On failure, what was begun must still be closed. */
int server_init(struct server *server, struct simulator *simulator, struct err *err) MUST_CHECK;

/* The port that a listener got, or 0. */
int listener_port(const struct listener *listener);

/* Close all connections. The loop must run once more to let go of the handles. */
void server_close(struct server *server);

#endif
