/* The HTTP client against a server that misbehaves. */
#include "lib/hostile_server.h"
#include "worker/io/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
	const struct hostile_step
	    *steps; /* One for each request; the last one for all that follow */
	size_t n_steps;
	unsigned effects;
	char head[2048]; /* Of the last whole request, with its body */
	char body[2048];
	unsigned closed;
	char url[256];
};

static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	struct world *w = owner;

	return &w->steps[turn->total < w->n_steps ? turn->total : w->n_steps - 1];
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;

	w->effects++;
	uv_stop(&w->loop);
	snprintf(w->head, sizeof(w->head), "%.*s", (int)head.size, head.data);
	snprintf(w->body, sizeof(w->body), "%.*s", (int)body.size, body.data);
}

static void world_open(struct world *w, const struct hostile_step *steps, size_t n_steps)
{
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options options = { .user_agent = "http-test",
		                        .max_connections = 4,
		                        .connect_timeout = duration_ms(5000) };

	*w = (struct world){ .steps = steps, .n_steps = n_steps };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/a/../b", w->server.port);
	w->http = http_new(&w->loop, &options, NULL);
	assert_non_null(w->http);
}

static void on_closed(void *owner)
{
	struct world *w = owner;

	w->closed++;
	uv_stop(&w->loop);
}

/* Run until a callback of the test has something to look at. */
static void world_run(struct world *w)
{
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* The loop must end by itself, with nothing left in it. */
static void world_close(struct world *w)
{
	if (!w->closed)
		http_close(w->http, on_closed, w);
	hostile_server_close(&w->server);
	while (uv_run(&w->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(w->closed, 1);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void on_done(void *owner, const struct http_response *response)
{
	struct result *r = owner;

	r->calls++;
	uv_stop(r->loop);
	r->body_begun = response->body_begun;
	r->status = response->status;
	snprintf(r->body, sizeof(r->body), "%.*s", (int)response->body.size,
	         response->problem ? "" : response->body.data);
	for (int i = 0; i < HTTP_RESPONSE_HEADERS; i++)
		snprintf(r->headers[i], sizeof(r->headers[i]), "%s",
		         response->headers[i] ? response->headers[i] : "");
	snprintf(r->problem, sizeof(r->problem), "%s", response->problem ? response->problem : "");
}

static struct http_request post(struct world *w, struct result *r)
{
	*r = (struct result){ .loop = &w->loop };
	return (struct http_request){ .method = HTTP_POST,
		                      .url = w->url,
		                      .body = bytes_of("{\"n\":1}"),
		                      .content_type = "application/json",
		                      .timeout = duration_ms(20000),
		                      .max_response = 1000,
		                      .owner = r,
		                      .done = on_done };
}

static void start(struct world *w, const struct http_request *request, struct result *r)
{
	struct err err = { "" };

	if (http_start(w->http, request, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r->calls, 0);
}

static void wait_for(struct world *w, const struct result *r)
{
	while (r->calls == 0)
		world_run(w);
	assert_int_equal(r->calls, 1);
}

static struct result post_once(struct world *w)
{
	struct result r;
	struct http_request request = post(w, &r);

	start(w, &request, &r);
	wait_for(w, &r);
	return r;
}

/* One POST against one step. */
static struct result post_against(const struct hostile_step *step, unsigned *ret_effects)
{
	struct world w;
	struct result r;

	world_open(&w, step, 1);
	r = post_once(&w);
	*ret_effects = w.effects;
	world_close(&w);
	return r;
}

static void gives_status_body_and_the_four_headers(void **state)
{
	struct hostile_step step = {
		.text = "HTTP/1.1 429 Slow down\r\nContent-Length: 4\r\nLocation: https://x/y\r\n"
		        "retry-after:  7 \r\nRequest-Id: r-1\r\nclient-request-id: c-1\r\n\r\nbody",
	};
	unsigned effects;
	struct result r = post_against(&step, &effects);

	(void)state;
	assert_int_equal(r.status, 429);
	assert_string_equal(r.body, "body");
	assert_string_equal(r.headers[HTTP_LOCATION], "https://x/y");
	assert_string_equal(r.headers[HTTP_RETRY_AFTER], "7");
	assert_string_equal(r.headers[HTTP_REQUEST_ID], "r-1");
	assert_string_equal(r.headers[HTTP_CLIENT_REQUEST_ID], "c-1");
	assert_string_equal(r.problem, "");
	assert_true(r.body_begun);
	assert_int_equal(effects, 1);
}

static void sends_path_headers_and_body_as_given(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	request.headers[0] = (struct http_header){ "X-One", bytes_of("1: 2") };
	request.n_headers = 1;
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_ptr_equal(strstr(w.head, "POST /a/../b HTTP/1.1\r\n"), w.head);
	assert_non_null(strstr(w.head, "\r\nX-One: 1: 2\r\n"));
	assert_non_null(strstr(w.head, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(w.head, "\r\nContent-Length: 7\r\n"));
	assert_non_null(strstr(w.head, "\r\nUser-Agent: http-test\r\n"));
	assert_null(strstr(w.head, "Expect"));
	assert_string_equal(w.body, "{\"n\":1}");
	world_close(&w);
}

static void sends_a_get_after_a_post_without_a_body(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	post_once(&w);
	request = post(&w, &r);
	request.method = HTTP_GET;
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_int_equal(r.status, 200);
	assert_ptr_equal(strstr(w.head, "GET /a/../b HTTP/1.1\r\n"), w.head);
	assert_null(strstr(w.head, "Content-"));
	world_close(&w);
}

static void refuses_what_could_forge_a_request(void **state)
{
	static const struct http_header forged[] = {
		{ "X", { "a\r\nY: b", 7 } }, { "X", { "a\nb", 3 } }, { "X", { "a\0b", 3 } },
		{ "X", { "\x7f", 1 } },      { "X", { NULL, 0 } },   { "X: y", { "a", 1 } },
		{ "X\r\nY", { "a", 1 } },    { "", { "a", 1 } },
	};
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	request.n_headers = 1;
	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		request.headers[0] = forged[i];
		assert_int_equal(http_start(w.http, &request, NULL, NULL), -1);
	}
	request = post(&w, &r);
	request.url = "file:///etc/hostname";
	assert_int_equal(http_start(w.http, &request, NULL, NULL), -1);
	request = post(&w, &r);
	request.content_type = "a\r\nb";
	assert_int_equal(http_start(w.http, &request, NULL, NULL), -1);
	request = post(&w, &r);
	request.body = bytes_of("");
	assert_int_equal(http_start(w.http, &request, NULL, NULL), -1);
	assert_int_equal(http_pending(w.http), 0);
	world_close(&w);
	assert_int_equal(r.calls, 0);
}

static void reports_a_url_that_libcurl_refuses_later(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	request.url = "http://127.0.0.1:99999/\r\nX: y";
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_string_not_equal(r.problem, "");
	assert_false(r.body_begun);
	world_close(&w);
}

static void follows_no_redirect(void **state)
{
	struct hostile_step step = {
		.text = "HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"
	};
	unsigned effects;
	struct result r = post_against(&step, &effects);

	(void)state;
	assert_int_equal(r.status, 307);
	assert_string_equal(r.headers[HTTP_LOCATION], "/other");
	assert_int_equal(effects, 1);
}

static void takes_no_proxy_from_the_environment(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	unsigned effects;
	struct result r;

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	r = post_against(&step, &effects);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(r.status, 200);
}

static void keeps_no_header_that_is_long_or_not_printable(void **state)
{
	char text[HTTP_MAX_HEADER_VALUE + 256];
	struct hostile_step step = { .text = text };
	unsigned effects;
	struct result r;

	(void)state;
	snprintf(text, sizeof(text),
	         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLocation: /\x1b[31m\r\n"
	         "Retry-After: 1\r\nRetry-After: 2\r\nrequest-id: %0*d\r\n\r\n",
	         HTTP_MAX_HEADER_VALUE + 1, 0);
	r = post_against(&step, &effects);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.headers[HTTP_LOCATION], "");
	assert_string_equal(r.headers[HTTP_REQUEST_ID], "");
	assert_string_equal(r.headers[HTTP_RETRY_AFTER], "1");
}

static void takes_headers_from_the_final_answer_only(void **state)
{
	struct hostile_step step = { .text = "HTTP/1.1 103 Early\r\nLocation: /early\r\n\r\n"
		                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		                             "2\r\nok\r\n0\r\nLocation: /late\r\n\r\n" };
	unsigned effects;
	struct result r = post_against(&step, &effects);

	(void)state;
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "ok");
	assert_string_equal(r.headers[HTTP_LOCATION], "");
}

/* Answers that are not whole. */
static void broken(const struct hostile_step *step, const char *problem)
{
	unsigned effects;
	struct result r = post_against(step, &effects);

	assert_int_equal(r.status, 0);
	assert_true(r.body_begun);
	if (!strstr(r.problem, problem))
		fail_msg("\"%s\" is not in \"%s\"", problem, r.problem);
	assert_int_equal(effects, 1);
}

static void ends_an_answer_without_end(void **state)
{
	struct hostile_step chunks = {
		.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		.flood = "10\r\n0123456789abcdef\r\n",
		.then = HOSTILE_FLOOD,
	};
	struct hostile_step headers = { .text = "HTTP/1.1 200 OK\r\n",
		                        .flood = "X-More: 0123456789abcdef\r\n",
		                        .then = HOSTILE_FLOOD };
	struct hostile_step early = { .flood = "HTTP/1.1 102 Wait\r\n\r\n", .then = HOSTILE_FLOOD };

	(void)state;
	broken(&chunks, "body of the answer is too long");
	broken(&headers, "headers of the answer are too long");
	broken(&early, "headers of the answer are too long");
}

static void takes_no_part_for_the_whole(void **state)
{
	struct hostile_step cut = { .text = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
		                    .then = HOSTILE_CLOSE };
	struct hostile_step cut_chunk = {
		.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
		.then = HOSTILE_CLOSE,
	};
	struct hostile_step reset = { .text = "HTTP/1.1 200 OK\r\n", .then = HOSTILE_RESET };
	struct hostile_step silent = { .then = HOSTILE_CLOSE };
	struct hostile_step ftp = { .text = "220 welcome\r\n", .then = HOSTILE_CLOSE };

	(void)state;
	broken(&cut, "curl 18");
	broken(&cut_chunk, "curl 18");
	broken(&reset, "curl 56");
	broken(&silent, "curl 52");
	broken(&ftp, "curl 1");
}

static void gives_up_when_the_time_is_over(void **state)
{
	struct hostile_step step = { .text = "HTTP/1.1 200 OK\r\n", .then = HOSTILE_HANG };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	request.timeout = duration_ms(50);
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_non_null(strstr(r.problem, "curl 28"));
	assert_true(r.body_begun);
	world_close(&w);
}

static void knows_that_nothing_was_sent(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	hostile_server_close(&w.server);
	request = post(&w, &r);
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_non_null(strstr(r.problem, "curl 7"));
	assert_false(r.body_begun);
	world_close(&w);
}

static bool closed_gate(void *owner)
{
	(void)owner;
	return false;
}

static void sends_no_body_through_a_closed_gate(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result r;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	request.gate = closed_gate;
	start(&w, &request, &r);
	wait_for(&w, &r);
	assert_non_null(strstr(r.problem, "gate"));
	assert_false(r.body_begun);
	r = post_once(&w);
	assert_int_equal(r.status, 200);
	assert_int_equal(w.effects, 1);
	world_close(&w);
}

/* Starts the next request from inside the callback of the last. */
struct chain {
	struct world *w;
	unsigned left;
};

static void on_link(void *owner, const struct http_response *response)
{
	struct chain *chain = owner;
	struct result unused;
	struct http_request request = post(chain->w, &unused);

	assert_int_equal(response->status, 200);
	uv_stop(&chain->w->loop);
	request.owner = chain;
	request.done = on_link;
	if (--chain->left > 0)
		assert_int_equal(http_start(chain->w->http, &request, NULL, NULL), 0);
}

static void uses_one_connection_for_requests_in_a_row(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct chain chain = { .w = &w, .left = 100 };
	struct result unused;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &unused);
	request.owner = &chain;
	request.done = on_link;
	assert_int_equal(http_start(w.http, &request, NULL, NULL), 0);
	while (chain.left > 0)
		world_run(&w);
	assert_int_equal(w.effects, 100);
	assert_int_equal(w.server.n_connections, 1);
	world_close(&w);
}

static void opens_no_more_connections_than_allowed(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result results[40];

	(void)state;
	world_open(&w, &step, 1);
	for (size_t i = 0; i < 40; i++) {
		struct http_request request = post(&w, &results[i]);

		start(&w, &request, &results[i]);
	}
	for (size_t i = 0; i < 40; i++) {
		while (results[i].calls == 0)
			world_run(&w);
		assert_int_equal(results[i].status, 200);
	}
	assert_int_equal(w.server.n_connections, 4);
	assert_int_equal(w.effects, 40);
	world_close(&w);
}

static void answers_more_than_was_asked_for_do_no_harm(void **state)
{
	struct hostile_step steps[] = { { .text = OK_TEXT OK_TEXT }, { .text = OK_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	for (unsigned i = 1; i <= 5; i++) {
		struct result r = post_once(&w);

		assert_int_equal(r.status, 200);
		assert_int_equal(w.effects, i);
	}
	world_close(&w);
}

static void cancels_one_request(void **state)
{
	struct hostile_step step = { .then = HOSTILE_HANG };
	struct world w;
	struct result r;
	struct http_transfer *transfer;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &r);
	assert_int_equal(http_start(w.http, &request, &transfer, NULL), 0);
	while (w.effects == 0)
		world_run(&w);
	http_cancel(w.http, transfer);
	assert_int_equal(r.calls, 1);
	assert_non_null(strstr(r.problem, "canceled"));
	assert_true(r.body_begun);
	assert_int_equal(http_pending(w.http), 0);
	world_close(&w);
}

static void ends_each_request_once_when_it_closes(void **state)
{
	struct hostile_step step = { .then = HOSTILE_HANG };
	struct world w;
	struct result results[10];
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	for (size_t i = 0; i < 10; i++) {
		request = post(&w, &results[i]);
		start(&w, &request, &results[i]);
	}
	while (w.effects < 4)
		world_run(&w);
	assert_int_equal(http_pending(w.http), 10);
	world_close(&w);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(results[i].calls, 1);
		assert_string_not_equal(results[i].problem, "");
	}
}

static void on_done_close(void *owner, const struct http_response *response)
{
	struct world *w = owner;
	struct result unused;
	struct http_request request = post(w, &unused);

	assert_int_equal(response->status, 200);
	http_close(w->http, on_closed, w);
	assert_int_equal(http_start(w->http, &request, NULL, NULL), -1);
}

static void may_be_closed_from_a_callback(void **state)
{
	struct hostile_step step = { .text = OK_TEXT };
	struct world w;
	struct result others[3];
	struct result unused;
	struct http_request request;

	(void)state;
	world_open(&w, &step, 1);
	request = post(&w, &unused);
	request.owner = &w;
	request.done = on_done_close;
	assert_int_equal(http_start(w.http, &request, NULL, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		request = post(&w, &others[i]);
		start(&w, &request, &others[i]);
	}
	while (!w.closed)
		world_run(&w);
	world_close(&w);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(others[i].calls, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_status_body_and_the_four_headers),
		cmocka_unit_test(sends_path_headers_and_body_as_given),
		cmocka_unit_test(sends_a_get_after_a_post_without_a_body),
		cmocka_unit_test(refuses_what_could_forge_a_request),
		cmocka_unit_test(reports_a_url_that_libcurl_refuses_later),
		cmocka_unit_test(follows_no_redirect),
		cmocka_unit_test(takes_no_proxy_from_the_environment),
		cmocka_unit_test(keeps_no_header_that_is_long_or_not_printable),
		cmocka_unit_test(takes_headers_from_the_final_answer_only),
		cmocka_unit_test(ends_an_answer_without_end),
		cmocka_unit_test(takes_no_part_for_the_whole),
		cmocka_unit_test(gives_up_when_the_time_is_over),
		cmocka_unit_test(knows_that_nothing_was_sent),
		cmocka_unit_test(sends_no_body_through_a_closed_gate),
		cmocka_unit_test(uses_one_connection_for_requests_in_a_row),
		cmocka_unit_test(opens_no_more_connections_than_allowed),
		cmocka_unit_test(answers_more_than_was_asked_for_do_no_harm),
		cmocka_unit_test(cancels_one_request),
		cmocka_unit_test(ends_each_request_once_when_it_closes),
		cmocka_unit_test(may_be_closed_from_a_callback),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
