/* The HTTP client: what it sends and what it takes as an answer. */
#include "io/http_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
