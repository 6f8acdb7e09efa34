/* No silent second POST: connections that were used before are dropped at every moment of a
 * request, and no body may arrive twice, nor one that was reported as not sent. */
#include "lib/hostile_server.h"
#include "worker/base/random.h"
#include "worker/io/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define REQUESTS  40000
#define IN_FLIGHT 8

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const struct hostile_step answer = { .text = OK_TEXT };

static const struct hostile_step drops[] = {
	{ .then = HOSTILE_CLOSE },
	{ .then = HOSTILE_RESET },
	{ .text = "HTTP/1.1 2", .then = HOSTILE_RESET },
	{ .text = "HTTP/1.1 200 OK\r\n", .then = HOSTILE_CLOSE },
	{ .text = OK_TEXT, .then = HOSTILE_CLOSE },
	{ .text = OK_TEXT, .then = HOSTILE_RESET },
	{ .when = HOSTILE_AFTER_HEAD, .then = HOSTILE_RESET },
	{ .when = HOSTILE_AFTER_HEAD, .then = HOSTILE_CLOSE },
	{ .when = HOSTILE_AT_ONCE, .then = HOSTILE_CLOSE },
	{ .when = HOSTILE_AT_ONCE, .then = HOSTILE_RESET },
};

struct world {
	uv_loop_t loop;
	struct http *http;
	struct hostile_server server;
	struct random random;
	char url[64];
	unsigned started, ended, accepted, unsent, broken;
	unsigned char effects[REQUESTS];
	unsigned char ends[REQUESTS];
};

struct request {
	struct world *world;
	unsigned number;
};

/* The first request of each connection is answered, most of those after it meet a drop. */
static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	struct world *w = owner;

	if (turn->request == 0 || random_below(&w->random, 4) == 0)
		return &answer;
	return &drops[random_below(&w->random, sizeof(drops) / sizeof(drops[0]))];
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;
	unsigned long number = strtoul(body.data, NULL, 10);

	(void)head;
	assert_true(number < REQUESTS);
	w->effects[number]++;
}

static void start_next(struct world *w);

static void on_done(void *owner, const struct http_response *response)
{
	struct request *request = owner;
	struct world *w = request->world;

	w->ends[request->number]++;
	w->ended++;
	if (!response->problem) {
		assert_int_equal(w->effects[request->number], 1);
		w->accepted++;
	} else if (response->body_begun) {
		w->broken++;
	} else {
		assert_int_equal(w->effects[request->number], 0);
		w->unsent++;
	}
	free(request);
	if (w->started < REQUESTS)
		start_next(w);
	else if (w->ended == REQUESTS)
		uv_stop(&w->loop);
}

static void start_next(struct world *w)
{
	struct request *owner = malloc(sizeof(*owner));
	char body[256];
	int size;
	struct http_request request;

	assert_non_null(owner);
	*owner = (struct request){ .world = w, .number = w->started++ };
	size = snprintf(body, sizeof(body), "%-200u", owner->number);
	request = (struct http_request){ .method = HTTP_POST,
		                         .url = w->url,
		                         .body = { body, (size_t)size },
		                         .content_type = "text/plain",
		                         .timeout = duration_ms(30000),
		                         .max_response = 1000,
		                         .owner = owner,
		                         .done = on_done };
	assert_int_equal(http_start(w->http, &request, NULL, NULL), 0);
}

static void no_dropped_connection_makes_a_second_post(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options options = { .max_connections = IN_FLIGHT,
		                        .connect_timeout = duration_ms(5000) };

	(void)state;
	assert_non_null(w);
	random_init(&w->random, 1);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/", w->server.port);
	w->http = http_new(&w->loop, &options, NULL);
	assert_non_null(w->http);
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		start_next(w);
	uv_run(&w->loop, UV_RUN_DEFAULT);

	print_message("%u answered, %u broken, %u not sent, %u connections\n", w->accepted,
	              w->broken, w->unsent, w->server.n_connections);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_in_range(w->effects[i], 0, 1);
		assert_int_equal(w->ends[i], 1);
	}
	assert_true(w->broken > REQUESTS / 10);
	http_close(w->http, NULL, NULL);
	hostile_server_close(&w->server);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_dropped_connection_makes_a_second_post),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
