/* Graph is slow, fails or is away: fewer requests, none, and a probe. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROW 10 /* The default of policy.breaker_row */

static int64_t figure(const struct world *w, enum metric metric)
{
	return w->metrics.values[metric];
}

static int64_t ms_since_origin(const struct world *w, instant_t t)
{
	return duration_to_ms(instant_since(t, w->origin));
}

/* A command of a call of its own, sent at once if it may be. */
static void send(struct world *w, int64_t offset)
{
	char call[16];

	w->policy.batch_window = duration_ms(0);
	snprintf(call, sizeof(call), "call-%d", (int)offset);
	world_command(w, offset, call, "ann");
}

/* So many commands from 'offset' on, whose connections fail before the body. */
static void fail_row(struct world *w, int64_t offset, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		send(w, offset + i);
		world_fail(w, ANSWER_NOT_SENT);
	}
}

/* The default pauses, but no other backoff that would be felt. */
static struct policy calm_policy(void)
{
	struct policy policy = world_policy();

	policy.max_hold = duration_ms(24 * 3600 * 1000);
	policy.max_attempts = 1000;
	return policy;
}

static void a_row_of_failures_stops_all_sending(void **state)
{
	struct world *w = *state;

	fail_row(w, 0, ROW - 1);
	assert_int_equal(figure(w, METRIC_breakers_open), 0);
	fail_row(w, ROW - 1, 1);
	assert_int_equal(figure(w, METRIC_breakers_open), 1);
	assert_int_equal(figure(w, METRIC_breaker_openings), 1);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 0);
	assert_int_equal(w->n_notices[NOTICE_ILL], 1);
	send(w, ROW);
	world_elapse(w, 740);
	assert_int_equal(w->n_posts, ROW);
	assert_int_equal(figure(w, METRIC_waiting_breaker), 1);
	assert_int_equal(figure(w, METRIC_waiting_application), 0);
}

static void after_the_pause_one_request_probes_and_its_success_lets_all_go(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW);
	for (int64_t i = 0; i < 5; i++)
		send(w, ROW + i);
	world_elapse(w, 1000);
	assert_int_equal(w->n_posts, ROW + 1);
	assert_int_equal(figure(w, METRIC_breakers_probing), 1);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 1);
	world_elapse(w, 5000);
	assert_int_equal(w->n_posts, ROW + 1);
	world_accept(w);
	assert_int_equal(figure(w, METRIC_breakers_probing), 0);
	assert_int_equal(figure(w, METRIC_in_flight_limit), w->policy.min_in_flight);
	assert_int_equal(world_open_posts(w), w->policy.min_in_flight);
	assert_int_equal(w->n_notices[NOTICE_PROBE], 1);
	assert_int_equal(w->n_notices[NOTICE_WELL], 1);
	w->latency_us = 20000;
	world_finish(w);
	for (int64_t i = 0; i < ROW + 5; i++)
		expect_status(w, i, "accepted");
	expect_all_done(w);
}

static void it_says_what_it_does(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW - 1);
	send(w, ROW - 1);
	buffer_clear(&w->trace);
	world_fail(w, ANSWER_NOT_SENT);
	expect_trace(w, "[    0] call-9: answered 0, not-sent\n"
	                "[    0] at most 8 requests in flight\n"
	                "[    0] Graph is ill: nothing is sent for 886 ms\n");
	world_elapse(w, 2000);
	assert_non_null(
	    strstr(buffer_bytes(&w->trace).data, "[  886] Graph is probed by one request\n"));
	world_accept(w);
	assert_non_null(
	    strstr(buffer_bytes(&w->trace).data, "[ 2000] Graph is well again after 2000 ms\n"));
}

static void a_probe_that_fails_is_followed_by_a_longer_pause(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW);
	for (unsigned i = 0; i < 6; i++) {
		static const int64_t longest[] = { 1000, 2000, 4000, 8000, 15000, 15000 };

		world_elapse(w, longest[i] * 3 / 4 - 1);
		assert_int_equal(w->n_posts, ROW + i);
		world_elapse(w, longest[i] / 4 + 1);
		assert_int_equal(w->n_posts, ROW + i + 1);
		world_fail(w, ANSWER_NOT_SENT);
	}
	assert_int_equal(figure(w, METRIC_breaker_openings), 7);
}

static void two_calls_that_fail_are_no_illness_of_graph(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	for (int64_t i = 0; i < 2; i++)
		send(w, i);
	for (unsigned i = 0; i < 40; i++) {
		while (world_open_posts(w) > 0)
			world_fail(w, ANSWER_NOT_SENT);
		world_elapse(w, 60000);
	}
	assert_int_equal(figure(w, METRIC_breaker_openings), 0);
}

static void throttled_and_refused_requests_are_no_illness(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 30; i++) {
		send(w, i);
		world_refuse(w, i % 2 ? 404 : 400, "BadRequest");
	}
	for (int64_t i = 30; i < 32; i++) {
		send(w, i);
		world_answer(w, 429, "1", NULL);
	}
	assert_int_equal(figure(w, METRIC_breaker_openings), 0);
	assert_int_equal(figure(w, METRIC_in_flight_limit), w->policy.max_in_flight);
}

static void what_this_worker_keeps_back_is_no_illness(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 30; i++) {
		send(w, i);
		world_answer_post(
		    w, &w->posts[i],
		    (struct answer){ .progress = ANSWER_NOT_SENT, .is_withheld = true });
	}
	assert_int_equal(figure(w, METRIC_breaker_openings), 0);
}

static void a_request_that_waited_for_its_mark_meanwhile_is_not_sent(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	for (int64_t i = 0; i < ROW; i++)
		send(w, i);
	w->marks_by_hand = true;
	send(w, ROW);
	assert_int_equal(w->n_marks, 1);
	for (unsigned i = 0; i < ROW; i++)
		world_fail(w, ANSWER_NOT_SENT);
	world_mark(w);
	assert_int_equal(w->n_posts, ROW);
	w->marks_by_hand = false;
	w->latency_us = 1000;
	world_finish(w);
	expect_status(w, ROW, "accepted");
	expect_all_done(w);
}

static void an_older_request_is_awaited_before_the_probe(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	for (int64_t i = 0; i <= ROW; i++)
		send(w, i);
	for (int64_t i = 1; i <= ROW; i++)
		world_answer_post(w, &w->posts[i], (struct answer){ .progress = ANSWER_NOT_SENT });
	world_elapse(w, 5000);
	assert_int_equal(w->n_posts, ROW + 1);
	world_fail(w, ANSWER_NOT_SENT);
	assert_int_equal(w->n_posts, ROW + 2);
	assert_int_equal(figure(w, METRIC_breakers_probing), 1);
}

static void what_waits_for_longer_than_max_hold_fails_and_the_newer_goes_on(void **state)
{
	struct world *w = *state;

	w->policy.max_hold = duration_ms(60000);
	fail_row(w, 0, ROW);
	send(w, ROW);
	for (unsigned i = 0; i < 6; i++) {
		world_elapse(w, 10000);
		while (world_open_posts(w) > 0)
			world_fail(w, ANSWER_NOT_SENT);
	}
	send(w, ROW + 1);
	for (unsigned i = 0; i < 2; i++) {
		world_elapse(w, 15000);
		while (world_open_posts(w) > 0)
			world_fail(w, ANSWER_NOT_SENT);
	}
	expect_status(w, ROW, "failed");
	expect_error(w, ROW, "unavailable");
	expect_no_reply(w, ROW + 1);
	w->latency_us = 1000;
	world_finish(w);
	expect_status(w, ROW + 1, "accepted");
	expect_all_done(w);
}

static void a_command_expires_while_graph_is_ill(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW);
	world_give(
	    w, (struct given){ .offset = ROW, .call = "x", .who = "bob", .expires_in_ms = 500 });
	world_elapse(w, 500);
	expect_status(w, ROW, "expired");
}

static void what_was_waited_for_graph_to_be_well_is_in_the_reply(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW);
	world_elapse(w, 300);
	world_give(w, (struct given){ .offset = ROW, .call = "x", .who = "bob", .is_high = true });
	world_elapse(w, 1000);
	world_accept(w);
	assert_in_range(waited_for(w, ROW, "breaker"), 450, 700);
	assert_int_equal(waited_for(w, ROW, "application"), 0);
	assert_int_equal(waited_for(w, ROW, "hold"), 0);
}

/* Between the two commands the clock reaches no new millisecond, but the illness does. */
static void a_part_of_a_wait_is_not_longer_than_the_whole(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	w->now.us += 500;
	fail_row(w, 0, ROW);
	world_elapse(w, 300);
	w->now.us += 700;
	world_give(w, (struct given){ .offset = ROW, .call = "x", .who = "bob", .is_high = true });
	w->now.us += 500;
	world_give(w,
	           (struct given){ .offset = ROW + 1, .call = "x", .who = "eve", .is_high = true });
	world_elapse(w, 1000);
	world_accept(w);
	assert_in_range(waited_for(w, ROW, "breaker"), 450, 700);
	assert_int_equal(waited_for(w, ROW, "application"), 0);
}

/* Calls in doubt, after the settle time, and a breaker that has opened. */
static void doubt_all(struct world *w)
{
	for (int64_t i = 0; i < ROW; i++)
		send(w, i);
	for (unsigned i = 0; i < ROW; i++)
		world_fail(w, ANSWER_BROKEN);
	assert_int_equal(figure(w, METRIC_breakers_open), 1);
}

static void an_invite_probes_before_a_look(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	w->looks_by_hand = true;
	doubt_all(w);
	world_elapse(w, 25000);
	/* Nothing but looks was there. */
	assert_int_equal(w->n_looks, 1);
	world_answer_look(w, (struct answer){ .progress = ANSWER_BROKEN });
	send(w, ROW);
	world_elapse(w, 15000);
	assert_int_equal(w->n_looks, 0);
	assert_int_equal(w->n_posts, ROW + 1);
	world_accept(w);
	assert_int_equal(figure(w, METRIC_breakers_probing), 0);
	assert_true(w->n_looks > 1);
	w->looks_by_hand = false;
	world_look(w);
	world_finish(w);
	for (int64_t i = 0; i < ROW; i++)
		expect_status(w, i, "unknown");
	expect_all_done(w);
}

static void a_look_that_is_answered_shows_that_graph_is_there(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	w->looks_by_hand = true;
	doubt_all(w);
	world_elapse(w, 25000);
	world_answer_look(w, (struct answer){ .progress = ANSWER_COMPLETE, .http_status = 500 });
	assert_int_equal(figure(w, METRIC_breakers_probing), 0);
	assert_true(w->n_looks > 1);
}

static void doubts_end_as_unknown_when_graph_is_ill_for_too_long(void **state)
{
	struct world *w = *state;
	struct policy policy = calm_policy();

	policy.max_hold = duration_ms(60000);
	world_reopen(w, policy);
	w->looks_by_hand = true;
	doubt_all(w);
	for (unsigned i = 0; i < 20; i++) {
		world_elapse(w, 15000);
		if (w->n_looks > 0)
			world_answer_look(w, (struct answer){ .progress = ANSWER_BROKEN });
	}
	for (int64_t i = 0; i < ROW; i++)
		expect_status(w, i, "unknown");
	assert_in_range(w->n_looked[LOOK_OPERATIONS], 3, 15);
	world_finish(w);
	expect_all_done(w);
}

static void one_tenant_is_stopped_and_another_is_not(void **state)
{
	struct world *w = *state;

	world_reopen(w, world_policy_of_tenants());
	world_elapse(w, 1000);
	fail_row(w, 0, ROW);
	assert_int_equal(figure(w, METRIC_breakers_open), 1);
	world_give(w, (struct given){ .offset = ROW, .call = "x", .who = "bob", .tenant = 1 });
	assert_int_equal(w->n_posts, ROW + 1);
	send(w, ROW + 1);
	assert_int_equal(w->n_posts, ROW + 1);
}

static void while_graph_is_ill_a_partition_can_be_given_back(void **state)
{
	struct world *w = *state;

	world_reopen(w, calm_policy());
	fail_row(w, 0, ROW);
	send(w, ROW);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
}

/* Give a command to each of 300 calls; those that may be are in flight. */
static void crowd(struct world *w)
{
	for (int64_t i = 0; i < 300; i++)
		send(w, i);
}

static void a_healthy_graph_has_the_most_at_once(void **state)
{
	struct world *w = *state;

	w->policy.release_per_step = 1000;
	crowd(w);
	assert_int_equal(world_open_posts(w), 256);
	w->latency_us = 20000;
	world_finish(w);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 256);
	assert_true(ms_since_origin(w, w->posts[299].sent) <= 20);
}

/* Commands come as fast as they are answered, each for a call of its own, and all take so long. */
static void flow(struct world *w, int64_t *offset, unsigned n, int64_t latency_us)
{
	w->latency_us = latency_us;
	for (unsigned i = 0; i < n; i++) {
		send(w, (*offset)++);
		if (figure(w, METRIC_waiting_application) > 20)
			world_elapse(w, latency_us / 4000);
	}
}

static void a_graph_that_gets_slow_has_fewer_and_all_when_it_is_fast_again(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();
	int64_t offset = 0;

	policy.max_in_flight = 64;
	policy.min_in_flight = 4;
	world_reopen(w, policy);
	flow(w, &offset, 500, 20000);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 64);
	flow(w, &offset, 150, 1000000);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 4);
	flow(w, &offset, 1000, 20000);
	assert_int_equal(figure(w, METRIC_in_flight_limit), 64);
	world_finish(w);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_row_of_failures_stops_all_sending),
		WORLD_TEST(after_the_pause_one_request_probes_and_its_success_lets_all_go),
		WORLD_TEST(it_says_what_it_does),
		WORLD_TEST(a_probe_that_fails_is_followed_by_a_longer_pause),
		WORLD_TEST(two_calls_that_fail_are_no_illness_of_graph),
		WORLD_TEST(throttled_and_refused_requests_are_no_illness),
		WORLD_TEST(what_this_worker_keeps_back_is_no_illness),
		WORLD_TEST(a_request_that_waited_for_its_mark_meanwhile_is_not_sent),
		WORLD_TEST(an_older_request_is_awaited_before_the_probe),
		WORLD_TEST(what_waits_for_longer_than_max_hold_fails_and_the_newer_goes_on),
		WORLD_TEST(a_command_expires_while_graph_is_ill),
		WORLD_TEST(what_was_waited_for_graph_to_be_well_is_in_the_reply),
		WORLD_TEST(a_part_of_a_wait_is_not_longer_than_the_whole),
		WORLD_TEST(an_invite_probes_before_a_look),
		WORLD_TEST(a_look_that_is_answered_shows_that_graph_is_there),
		WORLD_TEST(doubts_end_as_unknown_when_graph_is_ill_for_too_long),
		WORLD_TEST(one_tenant_is_stopped_and_another_is_not),
		WORLD_TEST(while_graph_is_ill_a_partition_can_be_given_back),
		WORLD_TEST(a_healthy_graph_has_the_most_at_once),
		WORLD_TEST(a_graph_that_gets_slow_has_fewer_and_all_when_it_is_fast_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
