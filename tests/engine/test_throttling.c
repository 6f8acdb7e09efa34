/* Throttled calls, a throttled application, and what waits for them. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Requests that were sent when the world has gone on for so long. */
static size_t posts_after(struct world *w, int64_t ms)
{
	world_elapse(w, ms);
	return w->n_posts;
}

/* One command for each call, sent at once. */
static void send(struct world *w, int64_t offset, const char *call, const char *who)
{
	w->policy.batch_window = duration_ms(0);
	world_command(w, offset, call, who);
}

static void a_throttled_request_is_sent_again_after_retry_after(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "2.128", NULL);
	world_command(w, 1, "call-a", "bob");
	assert_int_equal(posts_after(w, 2127), 1);
	assert_int_equal(posts_after(w, 1), 2);
	EXPECT_REQUESTS(w, "ann", "ann bob");
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
	static const struct {
		const char *value;
		int64_t us;
	} waits[] = {
		{ "7", 7000000 },
		{ "0.25", 250000 },
		{ "1.0000001", 1000001 },
		{ "Sat, 31 Jan 2026 12:00:09 GMT", 9000000 },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		world_reopen(w, world_policy());
		send(w, 0, "call-a", "ann");
		world_answer(w, 429, waits[i].value, NULL);
		assert_int_equal(posts_after(w, (waits[i].us + 999) / 1000), 2);
		assert_int_equal(instant_since(w->posts[1].sent, w->posts[0].sent).us, waits[i].us);
	}
}

static void a_retry_after_that_is_over_or_unreadable_is_not_waited_for(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "Sat, 31 Jan 2026 11:59:00 GMT", NULL);
	assert_int_equal(w->n_posts, 2);
	world_answer(w, 429, "soon", NULL);
	assert_int_equal(posts_after(w, 749), 2);
	assert_int_equal(posts_after(w, 1251), 3);
}

static void a_throttled_call_does_not_hold_another(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "10", NULL);
	send(w, 1, "call-b", "bob");
	assert_int_equal(w->n_posts, 2);
}

static void throttling_without_retry_after_backs_off_longer_each_time(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	for (unsigned i = 0; i < 4; i++) {
		int64_t pause = 1000 << i;
		size_t before = w->n_posts;

		world_answer(w, 429, NULL, NULL);
		assert_int_equal(posts_after(w, pause * 3 / 4 - 1), before);
		assert_int_equal(posts_after(w, pause / 4 + 1), before + 1);
	}
}

static void a_503_with_retry_after_is_throttling(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 503, "3", NULL);
	assert_int_equal(posts_after(w, 2999), 1);
	assert_int_equal(posts_after(w, 1), 2);
}

static void a_retry_after_beyond_max_hold_fails_at_once_as_throttled(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_answer(w, 429, "301", NULL);
	expect_status(w, 0, "failed");
	expect_error(w, 0, "throttled");
	expect_error(w, 1, "throttled");
	world_finish(w);
	expect_all_done(w);
}

static void a_row_of_holds_fails_as_throttled_when_it_gets_too_long(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	for (unsigned i = 0; i < 3; i++) {
		world_answer(w, 429, "100", NULL);
		assert_null(world_find(w, 0, 0)->reply);
		world_elapse(w, 100000);
	}
	world_answer(w, 429, "1", NULL);
	expect_error(w, 0, "throttled");
	assert_int_equal(w->n_posts, 4);
}

/* So many calls, each throttled for 10 s at the same time. */
static void throttle_calls(struct world *w, unsigned n, const char *retry_after)
{
	for (unsigned i = 0; i < n; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%u", i);
		send(w, i, call, "ann");
	}
	for (unsigned i = 0; i < n; i++)
		world_answer(w, 429, retry_after, NULL);
}

static void two_throttled_calls_do_not_hold_the_application(void **state)
{
	struct world *w = *state;

	throttle_calls(w, 2, "10");
	send(w, 2, "call-x", "bob");
	assert_int_equal(w->n_posts, 3);
}

static void three_throttled_calls_hold_the_application(void **state)
{
	struct world *w = *state;

	throttle_calls(w, 3, "10");
	send(w, 3, "call-x", "bob");
	assert_int_equal(posts_after(w, 9999), 3);
	assert_int_equal(posts_after(w, 1), 7);
}

static void three_throttled_calls_hold_nothing_else_on_a_day_when_many_are_throttled(void **state)
{
	struct world *w = *state;
	char call[16];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(call, sizeof(call), "call-%u", i);
		send(w, i, call, "ann");
		if (i % 4 == 0)
			world_answer(w, 429, "10", NULL);
		else
			world_accept(w);
	}
	for (unsigned i = 200; i < 203; i++) {
		snprintf(call, sizeof(call), "call-%u", i);
		send(w, i, call, "ann");
		world_answer(w, 429, "10", NULL);
	}
	send(w, 203, "call-x", "bob");
	assert_int_equal(w->n_posts, 204);
	world_accept(w);
	expect_status(w, 203, "accepted");
}

static void answers_to_requests_from_before_the_hold_do_not_prolong_it(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 6; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%u", i);
		send(w, i, call, "ann");
	}
	world_elapse(w, 10);
	for (unsigned i = 0; i < 6; i++)
		world_answer(w, 429, i < 3 ? "10" : "100", NULL);
	send(w, 6, "call-x", "bob");
	assert_int_equal(posts_after(w, 9999), 6);
	assert_int_equal(posts_after(w, 1), 10);
}

static void a_hold_of_the_application_is_probed_however_long_graph_asks_for(void **state)
{
	struct world *w = *state;

	throttle_calls(w, 3, "3600");
	for (int64_t i = 0; i < 3; i++)
		expect_error(w, i, "throttled");
	send(w, 3, "call-x", "bob");
	assert_int_equal(posts_after(w, 149999), 3);
	expect_no_reply(w, 3);
	assert_int_equal(posts_after(w, 1), 4);
	world_accept(w);
	expect_status(w, 3, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void what_the_application_may_not_send_within_max_hold_fails_at_once(void **state)
{
	static const struct answer throttled = { .progress = ANSWER_COMPLETE,
		                                 .http_status = 429,
		                                 .retry_after = "400" };
	struct world *w = *state;

	throttle_calls(w, 3, "400");
	send(w, 3, "call-x", "bob");
	assert_int_equal(posts_after(w, 150001), 4);
	for (int64_t i = 4; i < 7; i++) {
		send(w, i, ((const char *[]){ "call-4", "call-5", "call-6" })[i - 4], "ann");
		world_answer_post(w, &w->posts[i], throttled);
	}
	world_answer(w, 429, "1", NULL);
	expect_no_reply(w, 3);
	world_elapse(w, 1000);
	expect_error(w, 3, "throttled");
	assert_int_equal(w->n_posts, 7);
	world_finish(w);
	expect_all_done(w);
}

static void a_call_that_is_idle_is_not_kept_for_a_retry_after_beyond_max_hold(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "31536000", NULL);
	expect_error(w, 0, "throttled");
	world_elapse(w, 299999);
	send(w, 1, "call-a", "bob");
	expect_error(w, 1, "throttled");
	assert_int_equal(w->n_posts, 1);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 1);
	world_elapse(w, 1);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 0);
	send(w, 2, "call-a", "carl");
	world_accept(w);
	expect_status(w, 2, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void an_answer_to_an_older_request_does_not_lift_the_hold(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 4; i++)
		send(w, i, ((const char *[]){ "a", "b", "c", "d" })[i], "ann");
	for (unsigned i = 0; i < 3; i++)
		world_answer(w, 429, "10", NULL);
	world_accept(w);
	send(w, 4, "e", "bob");
	expect_status(w, 3, "accepted");
	assert_int_equal(posts_after(w, 9999), 4);
	assert_int_equal(posts_after(w, 1), 8);
}

static void a_command_expires_while_the_application_is_held(void **state)
{
	struct world *w = *state;

	throttle_calls(w, 3, "10");
	world_give(w, (struct given){
	                  .offset = 3, .call = "call-x", .who = "bob", .expires_in_ms = 3000 });
	world_elapse(w, 3000);
	expect_status(w, 3, "expired");
}

/* So many requests in a row that have no effect, each in another way. */
static void answer_in_vain(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(world_open_posts(w), 1);
		switch (i % 4) {
		case 0:
			world_answer(w, 429, "0.1", NULL);
			break;
		case 1:
			world_answer(w, 401, NULL, NULL);
			break;
		case 2:
			world_answer(w, 503, "1", NULL);
			break;
		default:
			world_fail(w, ANSWER_NOT_SENT);
		}
		world_elapse(w, 70000);
	}
}

static void all_tries_of_a_command_share_one_budget(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.max_attempts = 8;
	policy.max_hold = duration_ms(24 * 3600 * 1000);
	world_reopen(w, policy);
	send(w, 0, "call-a", "ann");
	answer_in_vain(w, 7);
	expect_no_reply(w, 0);
	answer_in_vain(w, 1);
	expect_status(w, 0, "failed");
	expect_error(w, 0, "throttled");
	expect_message(w, 0,
	               "8 requests in a row had no effect; the last: Graph answered HTTP 429");
	assert_int_equal(w->n_posts, 8);
	world_finish(w);
	expect_all_done(w);
}

static void the_reason_of_the_last_try_is_that_of_the_failure(void **state)
{
	struct world *w = *state;

	w->policy.max_attempts = 2;
	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "1", NULL);
	world_elapse(w, 1000);
	world_fail(w, ANSWER_NOT_SENT);
	expect_error(w, 0, "unavailable");
	send(w, 1, "call-b", "bob");
	world_answer(w, 401, NULL, NULL);
	world_answer(w, 401, NULL, NULL);
	expect_error(w, 1, "unauthorized");
}

/* Each request of a command that needs several has tries of its own. */
static void a_part_that_is_decided_fills_the_budget_again(void **state)
{
	struct world *w = *state;

	w->policy.max_attempts = 3;
	send(w, 0, "call-a", "a b c d e f g h i j k l");
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 2; k++) {
			world_answer(w, 429, "1", NULL);
			world_elapse(w, 1000);
		}
		world_accept(w);
	}
	expect_status(w, 0, "accepted");
	assert_int_equal(w->n_posts, 9);
}

static void what_is_left_of_a_command_fails_when_its_tries_are_used_up(void **state)
{
	struct world *w = *state;

	w->policy.max_attempts = 2;
	send(w, 0, "call-a", "a b c d e f");
	world_accept(w);
	world_answer(w, 429, "1", NULL);
	world_elapse(w, 1000);
	world_answer(w, 429, "1", NULL);
	expect_status(w, 0, "partial");
	expect_error(w, 0, "throttled");
	world_finish(w);
	expect_all_done(w);
}

static void a_split_costs_no_try(void **state)
{
	struct world *w = *state;

	w->policy.max_attempts = 1;
	send(w, 0, "call-a", "a b c");
	world_refuse(w, 400, "BadRequest");
	for (unsigned i = 0; i < 3; i++)
		world_accept(w);
	expect_status(w, 0, "accepted");
}

/* A lost lease is no fault of the command's. */
static void what_this_worker_keeps_back_costs_no_try(void **state)
{
	struct world *w = *state;

	w->policy.max_attempts = 1;
	send(w, 0, "call-a", "ann");
	world_answer_post(w, &w->posts[0],
	                  (struct answer){ .progress = ANSWER_NOT_SENT, .is_withheld = true });
	world_elapse(w, 1000);
	world_accept(w);
	expect_status(w, 0, "accepted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_throttled_request_is_sent_again_after_retry_after),
		WORLD_TEST(retry_after_is_seconds_or_a_date),
		WORLD_TEST(a_retry_after_that_is_over_or_unreadable_is_not_waited_for),
		WORLD_TEST(a_throttled_call_does_not_hold_another),
		WORLD_TEST(throttling_without_retry_after_backs_off_longer_each_time),
		WORLD_TEST(a_503_with_retry_after_is_throttling),
		WORLD_TEST(a_retry_after_beyond_max_hold_fails_at_once_as_throttled),
		WORLD_TEST(a_row_of_holds_fails_as_throttled_when_it_gets_too_long),
		WORLD_TEST(two_throttled_calls_do_not_hold_the_application),
		WORLD_TEST(three_throttled_calls_hold_the_application),
		WORLD_TEST(
		    three_throttled_calls_hold_nothing_else_on_a_day_when_many_are_throttled),
		WORLD_TEST(answers_to_requests_from_before_the_hold_do_not_prolong_it),
		WORLD_TEST(a_hold_of_the_application_is_probed_however_long_graph_asks_for),
		WORLD_TEST(what_the_application_may_not_send_within_max_hold_fails_at_once),
		WORLD_TEST(a_call_that_is_idle_is_not_kept_for_a_retry_after_beyond_max_hold),
		WORLD_TEST(an_answer_to_an_older_request_does_not_lift_the_hold),
		WORLD_TEST(a_command_expires_while_the_application_is_held),
		WORLD_TEST(all_tries_of_a_command_share_one_budget),
		WORLD_TEST(the_reason_of_the_last_try_is_that_of_the_failure),
		WORLD_TEST(a_part_that_is_decided_fills_the_budget_again),
		WORLD_TEST(what_is_left_of_a_command_fails_when_its_tries_are_used_up),
		WORLD_TEST(a_split_costs_no_try),
		WORLD_TEST(what_this_worker_keeps_back_costs_no_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
