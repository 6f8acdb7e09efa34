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

static void what_the_application_may_not_send_within_max_hold_fails_at_once(void **state)
{
	struct world *w = *state;

	throttle_calls(w, 3, "400");
	send(w, 3, "call-x", "bob");
	for (int64_t i = 0; i < 4; i++)
		expect_error(w, i, "throttled");
	assert_int_equal(w->n_posts, 3);
	world_finish(w);
	expect_all_done(w);
}

static void an_answer_to_an_older_request_does_not_lift_the_hold(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 4; i++)
		send(w, i, ((const char *[]){ "a", "b", "c", "d" })[i], "ann");
	for (unsigned i = 0; i < 3; i++)
		world_answer(w, 429, "400", NULL);
	world_accept(w);
	send(w, 4, "e", "bob");
	expect_status(w, 3, "accepted");
	expect_error(w, 4, "throttled");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_throttled_request_is_sent_again_after_retry_after),
		WORLD_TEST(a_throttled_call_does_not_hold_another),
		WORLD_TEST(throttling_without_retry_after_backs_off_longer_each_time),
		WORLD_TEST(a_503_with_retry_after_is_throttling),
		WORLD_TEST(a_retry_after_beyond_max_hold_fails_at_once_as_throttled),
		WORLD_TEST(a_row_of_holds_fails_as_throttled_when_it_gets_too_long),
		WORLD_TEST(two_throttled_calls_do_not_hold_the_application),
		WORLD_TEST(three_throttled_calls_hold_the_application),
		WORLD_TEST(
		    three_throttled_calls_hold_nothing_else_on_a_day_when_many_are_throttled),
		WORLD_TEST(what_the_application_may_not_send_within_max_hold_fails_at_once),
		WORLD_TEST(an_answer_to_an_older_request_does_not_lift_the_hold),
		WORLD_TEST(a_command_expires_while_the_application_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
