/* An HTTP/1.1 server on the test's own loop that answers by script, and misbehaves by script.
 *
 * For each request that a connection may carry it asks the test for a step beforehand: when to act,
 * what to write and how to go on. It tells the test of each request whose body has arrived as a
 * whole: that is the moment of the effect. */
#ifndef TESTS_LIB_HOSTILE_SERVER_H
#define TESTS_LIB_HOSTILE_SERVER_H

#include "worker/base/bytes.h"

#include <stdint.h>
#include <uv.h>

enum hostile_when { HOSTILE_AFTER_BODY, HOSTILE_AFTER_HEAD, HOSTILE_AT_ONCE };

enum hostile_then {
	HOSTILE_KEEP,  /* Take the next request */
	HOSTILE_CLOSE, /* End the connection in good order */
	HOSTILE_RESET, /* End it with a TCP reset */
	HOSTILE_HANG,  /* Do nothing more */
	HOSTILE_FLOOD  /* Write 'text' again and again, until the peer is gone */
};

struct hostile_step {
	enum hostile_when when;
	const char *text; /* Written as it is; NULL: nothing */
	const char *flood;
	enum hostile_then then;
};

/* Which request a step is asked for. */
struct hostile_turn {
	unsigned connection; /* Counted from 0, as below */
	unsigned request;    /* On this connection */
	unsigned total;      /* Steps asked for until now, on all connections */
};

struct hostile_script {
	void *owner;
	const struct hostile_step *(*step)(void *owner, const struct hostile_turn *turn);
	/* A whole request came: head with its empty line, and body. May be NULL. */
	void (*effect)(void *owner, struct bytes head, struct bytes body);
};

struct hostile_server {
	uv_tcp_t listener;
	struct hostile_script script;
	struct hostile_connection *connections;
	unsigned n_connections, n_steps;
	uint16_t port;
};

/* Listens on a port of 127.0.0.1 that the kernel chooses. Fails the test when it cannot. */
void hostile_server_open(struct hostile_server *s, uv_loop_t *loop,
                         const struct hostile_script *script);

/* End the connections that are open, in good order or by reset. */
void hostile_server_drop(struct hostile_server *s, enum hostile_then how);

/* Stop, if that was not done; new connections are refused. The loop must run once more before 's'
 * may go. */
void hostile_server_close(struct hostile_server *s);

#endif
