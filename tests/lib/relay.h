/* Passes bytes on between TCP clients and a server on a Unix socket, and can break what it carries.
 */
#ifndef TESTS_LIB_RELAY_H
#define TESTS_LIB_RELAY_H

#include <stdint.h>
#include <uv.h>

struct relay {
	uv_tcp_t listener;
	const char *path; /* Borrowed: the server's socket */
	struct relay_pair *pairs;
	unsigned n_pairs;
	uint16_t port;
};

/* Listens on a port of 127.0.0.1 that the kernel chooses. */
void relay_open(struct relay *r, uv_loop_t *loop, const char *path);

/* Reset all connections of clients; their servers see an end. */
void relay_break(struct relay *r);

/* Stop; the loop must run once more before 'r' may go. */
void relay_close(struct relay *r);

#endif
