/* How fast, and in whose turn. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int64_t ms_since_origin(const struct world *w, instant_t t)
{
	return duration_to_ms(instant_since(t, w->origin));
}

static struct policy slow_call_policy(void)
{
	struct policy policy = world_policy();

	policy.batch_window = duration_ms(0);
	policy.call_rate = 10;
	policy.call_burst = 1;
	return policy;
}

static void a_call_sends_its_burst_and_then_its_rate(void **state)
{
	static const int64_t expected[] = { 0, 0, 100, 200 };
	struct world *w = *state;
	struct policy policy = slow_call_policy();

	policy.call_burst = 2;
	policy.batch_max = 1;
	world_reopen(w, policy);
	w->latency_us = 0;
	for (int64_t i = 0; i < 4; i++)
		world_command(w, i, "call-a", "ann");
	world_finish(w);
	assert_int_equal(w->n_posts, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ms_since_origin(w, w->posts[i].sent), expected[i]);
	expect_all_done(w);
}

static void one_call_waits_for_its_rate_and_another_waits_for_no_one(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_call_policy());
	w->latency_us = 1000;
	for (int64_t i = 0; i < 50; i++)
		world_command(w, i, "call-a", "a b c d e");
	world_elapse(w, 1050);
	world_command(w, 50, "call-b", "zoe");
	assert_string_equal(w->posts[w->n_posts - 1].call, "call-b");
	assert_int_equal(ms_since_origin(w, w->posts[w->n_posts - 1].sent), 1050);
	world_finish(w);
	expect_all_done(w);
}

static void a_thousand_invites_at_ten_requests_a_second_take_twenty_seconds(void **state)
{
	struct world *w = *state;
	char who[16];
	int64_t last;

	world_reopen(w, slow_call_policy());
	w->policy.batch_window = duration_ms(20);
	w->latency_us = 30000;
	w->late_us = 1000;
	for (int64_t i = 0; i < 1000; i++) {
		snprintf(who, sizeof(who), "user-%d", (int)i);
		world_command(w, i, "call-a", who);
	}
	world_finish(w);
	assert_int_equal(w->n_posts, 200);
	last = ms_since_origin(w, w->posts[199].sent);
	assert_in_range(last, 19900 - 398, 19900 + 398);
	expect_all_done(w);
	expect_stored(w, 1000);
}

static struct policy slow_application_policy(void)
{
	struct policy policy = world_policy();

	policy.batch_window = duration_ms(0);
	policy.batch_max = 1;
	policy.application_rate = 10;
	policy.application_burst = 1;
	return policy;
}

static void calls_that_wait_for_the_application_are_served_in_turn(void **state)
{
	static const char *const turns[] = { "call-a", "call-a", "call-b", "call-c",
		                             "call-a", "call-b", "call-c" };
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	w->latency_us = 1000;
	for (int64_t i = 0; i < 3; i++)
		world_command(w, i, "call-a", "ann");
	world_elapse(w, 50);
	for (int64_t i = 3; i < 5; i++)
		world_command(w, i, "call-b", "bob");
	for (int64_t i = 5; i < 7; i++)
		world_command(w, i, "call-c", "carl");
	world_finish(w);
	assert_int_equal(w->n_posts, 7);
	for (size_t i = 0; i < 7; i++) {
		assert_string_equal(w->posts[i].call, turns[i]);
		assert_in_range(w->posts[i].sent.us - w->origin.us, i * 100000 - (i ? 5000 : 0),
		                i * 100000);
	}
	expect_all_done(w);
}

static void a_call_with_high_priority_is_served_before_the_ring(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	w->latency_us = 1000;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	world_command(w, 2, "call-c", "carl");
	world_give(w,
	           (struct given){ .offset = 3, .call = "call-d", .who = "dora", .is_high = true });
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "dora", "bob", "carl");
}

static void the_application_has_one_timer(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	for (int64_t i = 0; i < 20; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", (int)i);
		world_command(w, i, call, "ann");
	}
	assert_int_equal(w->n_posts, 1);
	assert_int_equal(w->n_alarms, 1);
	assert_int_equal(slots_index(w->alarms[0].id), 0);
	assert_in_range(ms_since_origin(w, w->alarms[0].at), 95, 100);
}

static void one_event_releases_a_bounded_number_of_requests(void **state)
{
	struct world *w = *state;
	struct policy policy = slow_application_policy();

	policy.application_burst = 10;
	policy.release_per_step = 4;
	world_reopen(w, policy);
	w->marks_by_hand = true;
	for (int64_t i = 0; i < 20; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", (int)i);
		world_command(w, i, call, "ann");
	}
	assert_int_equal(w->n_marks, 10);
	for (unsigned i = 0; i < 10; i++)
		world_mark(w);
	/* One timer of the application lets the next go, when there are ten tokens again. */
	w->late_us = 2000000;
	world_elapse(w, 2100);
	assert_int_equal(w->n_marks, 4);
	w->late_us = 0;
	world_elapse(w, 1);
	assert_int_equal(w->n_marks, 10);
}

static void marks_that_are_late_do_not_let_requests_leave_faster_than_the_rate(void **state)
{
	struct world *w = *state;
	instant_t first;

	world_reopen(w, slow_application_policy());
	w->marks_by_hand = true;
	for (int64_t i = 0; i < 3; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", (int)i);
		world_command(w, i, call, "ann");
	}
	world_elapse(w, 90);
	first = w->now;
	world_mark(w);
	world_accept(w);
	assert_int_equal(w->n_marks, 0);
	w->marks_by_hand = false;
	while (w->n_posts < 3)
		world_elapse(w, 1);
	assert_in_range(duration_to_ms(instant_since(w->now, first)), 195, 200);
}

static void no_more_requests_than_allowed_are_in_flight(void **state)
{
	struct world *w = *state;

	w->policy.max_in_flight = 2;
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	world_command(w, 2, "call-c", "carl");
	assert_int_equal(w->n_posts, 2);
	world_elapse(w, 10000);
	assert_int_equal(w->n_posts, 2);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bob", "carl");
}

static void a_call_met_right_after_a_takeover_starts_without_a_token(void **state)
{
	struct world *w = *state;
	struct policy policy = slow_call_policy();

	policy.call_burst = 3;
	policy.batch_max = 1;
	world_reopen(w, policy);
	w->latency_us = 0;
	world_offer_empty(w, 1, 5);
	for (int64_t i = 0; i < 3; i++)
		world_give(w, (struct given){
		                  .partition = 1, .offset = 5 + i, .call = "p1-a", .who = "ann" });
	for (int64_t i = 0; i < 3; i++)
		world_command(w, i, "call-b", "bob");
	world_elapse(w, 1);
	assert_int_equal(w->n_posts, 3);
	world_elapse(w, 98);
	assert_int_equal(w->n_posts, 3);
	world_elapse(w, 1);
	assert_int_equal(w->n_posts, 4);
	world_finish(w);
	expect_all_done(w);
}

/* Its map says nothing more than that: all that it had sent had no effect. */
static void who_committed_offset_0_may_have_spent_all_tokens(void **state)
{
	struct world *w = *state;
	struct policy policy = slow_call_policy();

	world_reopen(w, policy);
	world_command(w, 0, "call-a", "ann");
	world_answer(w, 429, "0.001", NULL);
	world_commit(w, 0);
	world_restart(w);
	world_elapse(w, 99);
	assert_int_equal(w->n_posts, 1);
	world_elapse(w, 1);
	assert_int_equal(w->n_posts, 2);
}

/* How many of many ready calls are served in the first ten seconds. */
static size_t served_in_ten_seconds(struct world *w)
{
	size_t before = w->n_posts;

	w->latency_us = 0;
	for (int64_t i = 0; i < 150; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", (int)i);
		world_command(w, i, call, "ann");
	}
	world_elapse(w, 10000);
	return w->n_posts - before;
}

static void a_share_of_the_partitions_is_a_share_of_the_rate(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	world_assign(w, 1, 1, 4);
	assert_in_range(served_in_ten_seconds(w), 25, 26);
}

static void what_came_together_before_the_first_partition_is_not_spent(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	world_crash(w);
	world_elapse(w, 10000);
	world_assign(w, 0, 1, 1);
	world_command(w, 0, "call-a", "ann");
	world_elapse(w, 99);
	assert_int_equal(w->n_posts, 0);
	world_elapse(w, 1);
	assert_int_equal(w->n_posts, 1);
}

static void a_share_that_grew_is_used_after_the_delay(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_application_policy());
	w->policy.share_delay = duration_ms(5000);
	world_assign(w, 1, 1, 4);
	world_assign(w, 2, 3, 4);
	assert_in_range(served_in_ten_seconds(w), 12 + 37 - 1, 12 + 37 + 2);
}

static void an_idle_call_is_forgotten_when_its_bucket_is_full(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_call_policy());
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	assert_int_equal(w->n_alarms, 1);
	assert_int_equal(ms_since_origin(w, w->alarms[0].at), 100);
	world_elapse(w, 99);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 1);
	world_elapse(w, 1);
	expect_all_done(w);
}

static void what_a_command_waited_for_is_in_its_reply(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_call_policy());
	w->policy.batch_window = duration_ms(20);
	world_command(w, 0, "call-a", "a b c d e");
	world_elapse(w, 10);
	world_command(w, 1, "call-a", "ann");
	world_elapse(w, 20);
	world_accept(w);
	world_elapse(w, 70);
	world_elapse(w, 40);
	world_accept(w);
	assert_int_equal(waited_for(w, 1, "call"), 20);
	assert_int_equal(waited_for(w, 1, "callRate"), 70);
	assert_int_equal(waited_for(w, 1, "batch"), 0);
	assert_int_equal(waited_for(w, 1, "hold"), 0);
	assert_int_equal(waited_for(w, 1, "application"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_call_sends_its_burst_and_then_its_rate),
		WORLD_TEST(one_call_waits_for_its_rate_and_another_waits_for_no_one),
		WORLD_TEST(a_thousand_invites_at_ten_requests_a_second_take_twenty_seconds),
		WORLD_TEST(calls_that_wait_for_the_application_are_served_in_turn),
		WORLD_TEST(a_call_with_high_priority_is_served_before_the_ring),
		WORLD_TEST(the_application_has_one_timer),
		WORLD_TEST(one_event_releases_a_bounded_number_of_requests),
		WORLD_TEST(marks_that_are_late_do_not_let_requests_leave_faster_than_the_rate),
		WORLD_TEST(no_more_requests_than_allowed_are_in_flight),
		WORLD_TEST(a_call_met_right_after_a_takeover_starts_without_a_token),
		WORLD_TEST(who_committed_offset_0_may_have_spent_all_tokens),
		WORLD_TEST(a_share_of_the_partitions_is_a_share_of_the_rate),
		WORLD_TEST(what_came_together_before_the_first_partition_is_not_spent),
		WORLD_TEST(a_share_that_grew_is_used_after_the_delay),
		WORLD_TEST(an_idle_call_is_forgotten_when_its_bucket_is_full),
		WORLD_TEST(what_a_command_waited_for_is_in_its_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
