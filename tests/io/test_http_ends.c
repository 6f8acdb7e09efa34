/* The HTTP client: connections, time limits, cancelling and closing. */
#include "io/http_world.h"

#include <signal.h>

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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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
	start_request(&w, &request, &r);
	wait_for_result(&w, &r);
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

		start_request(&w, &request, &results[i]);
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
		start_request(&w, &request, &results[i]);
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
	http_close(w->http, world_closed, w);
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
		start_request(&w, &request, &others[i]);
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
