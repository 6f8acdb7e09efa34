/* What the tests of the HTTP client share: a client, a hostile server and a loop for both. */
#ifndef TESTS_IO_HTTP_WORLD_H
#define TESTS_IO_HTTP_WORLD_H

#include "lib/hostile_server.h"
#include "worker/io/http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* What the callback of a request was told. */
struct result {
	uv_loop_t *loop; /* Stopped by the callback */
	unsigned calls;
	bool body_begun;
	int status;
	char body[256];
	char headers[HTTP_RESPONSE_HEADERS][128]; /* "" when absent */
	char problem[256];
};

struct world {
	uv_loop_t loop;
	struct http *http;
	struct hostile_server server;
	const struct hostile_step *steps;
	size_t n_steps;
	unsigned effects;
	char head[2048]; /* Of the last whole request, as is 'body' */
	char body[2048];
	unsigned closed;
	char url[256];
};

/* 'steps' are borrowed: one for each request, the last one for all that follow. */
void world_open(struct world *w, const struct hostile_step *steps, size_t n_steps);

/* Run until a callback of the test has something to look at. */
void world_run(struct world *w);

/* For http_close(). */
void world_closed(void *owner);

/* Close all; the loop must end by itself, with nothing left in it. */
void world_close(struct world *w);

/* A POST whose answer goes to 'r'. */
struct http_request post(struct world *w, struct result *r);

void start_request(struct world *w, const struct http_request *request, struct result *r);

void wait_for_result(struct world *w, const struct result *r);

/* Send a POST and wait for its end. */
struct result post_once(struct world *w);

#endif
