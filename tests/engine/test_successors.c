/* A call's next request is marked while the one before it is on its way. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Each command goes alone. */
static struct policy single_policy(void)
{
	struct policy policy = world_policy();

	policy.batch_max = 1;
	return policy;
}

static int setup(void **state)
{
	int result = world_setup(state);

	if (result == 0)
		world_reopen(*state, single_policy());
	return result;
}

#define SUCCESSOR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

static void send(struct world *w, int64_t offset, const char *who)
{
	world_give(w, (struct given){ .offset = offset, .call = "call-a", .who = who, .id = who });
}

/* Ann is on her way, and bob has his mark. */
static void send_two(struct world *w)
{
	send(w, 0, "ann");
	send(w, 1, "bob");
	EXPECT_REQUESTS(w, "ann");
	assert_int_equal(w->n_granted, 1);
}

static void the_next_request_leaves_with_the_answer(void **state)
{
	struct world *w = *state;

	w->marks_by_hand = true;
	send(w, 0, "ann");
	send(w, 1, "bob");
	send(w, 2, "cid");
	assert_int_equal(w->n_marks, 1);
	world_mark(w);
	assert_int_equal(w->n_marks, 1);
	world_mark(w);
	assert_int_equal(w->n_marks, 0);
	EXPECT_REQUESTS(w, "ann");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bob");
	assert_int_equal(w->n_marks, 1);
	w->marks_by_hand = false;
	world_mark(w);
	expect_rest_done(w);
}

static void a_mark_that_comes_after_the_answer_lets_it_leave(void **state)
{
	struct world *w = *state;

	send(w, 0, "ann");
	w->marks_by_hand = true;
	send(w, 1, "bob");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann");
	w->marks_by_hand = false;
	world_mark(w);
	EXPECT_REQUESTS(w, "ann", "bob");
	expect_rest_done(w);
}

static void nothing_is_begun_early_where_marks_cost_nothing(void **state)
{
	struct world *w = *state;
	struct policy policy = single_policy();

	policy.exactly_once = false;
	world_reopen(w, policy);
	send(w, 0, "ann");
	w->marks_by_hand = true;
	send(w, 1, "bob");
	assert_int_equal(w->n_marks, 0);
	w->marks_by_hand = false;
	expect_rest_done(w);
}

static void what_others_could_join_is_not_begun_early(void **state)
{
	struct world *w = *state;

	world_reopen(w, world_policy());
	send(w, 0, "ann");
	world_elapse(w, 20);
	send(w, 1, "bob");
	send(w, 2, "cid");
	world_elapse(w, 10);
	world_accept(w);
	assert_int_equal(w->n_posts, 1);
	world_elapse(w, 10);
	EXPECT_REQUESTS(w, "ann", "bob cid");
	expect_rest_done(w);
}

static void a_full_batch_is_begun_early(void **state)
{
	struct world *w = *state;

	world_reopen(w, world_policy());
	send(w, 0, "ann");
	world_elapse(w, 20);
	for (int64_t i = 1; i <= BATCH_MAX; i++) {
		char who[16];

		snprintf(who, sizeof(who), "user-%d", (int)i);
		assert_int_equal(w->n_granted, 0);
		send(w, i, who);
	}
	assert_int_equal(w->n_granted, 1);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "user-1 user-2 user-3 user-4 user-5");
	expect_rest_done(w);
}

static void the_rest_of_a_command_is_not_begun_early(void **state)
{
	struct world *w = *state;

	send(w, 0, "ann bob");
	send(w, 1, "cid");
	assert_int_equal(w->n_granted, 0);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bob");
	assert_int_equal(w->n_granted, 1);
	expect_rest_done(w);
}

static void nothing_is_begun_early_without_a_token(void **state)
{
	struct world *w = *state;
	struct policy policy = single_policy();

	policy.call_rate = 10;
	policy.call_burst = 1;
	world_reopen(w, policy);
	send(w, 0, "ann");
	send(w, 1, "bob");
	assert_int_equal(w->n_granted, 0);
	world_accept(w);
	world_elapse(w, 99);
	EXPECT_REQUESTS(w, "ann");
	world_elapse(w, 1);
	EXPECT_REQUESTS(w, "ann", "bob");
	expect_rest_done(w);
}

static void calls_that_wait_for_their_turn_come_first(void **state)
{
	struct world *w = *state;
	struct policy policy = single_policy();

	policy.max_in_flight = 1;
	world_reopen(w, policy);
	send(w, 0, "ann");
	world_command(w, 1, "call-b", "bea");
	send(w, 2, "bob");
	world_accept(w);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bea", "bob");
	expect_rest_done(w);
}

static void a_request_that_is_not_accepted_has_none_behind_it(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_answer(w, 429, "10", NULL);
	assert_int_equal(w->n_posts, 1);
	world_elapse(w, 9999);
	assert_int_equal(w->n_posts, 1);
	world_elapse(w, 1);
	EXPECT_REQUESTS(w, "ann", "ann");
	expect_rest_done(w);
	EXPECT_REQUESTS(w, "ann", "ann", "bob");
	expect_attempts(w, 1, 1);
}

static void what_is_unknown_is_looked_for_first(void **state)
{
	struct world *w = *state;

	send_two(w);
	w->looks_by_hand = true;
	world_fail(w, ANSWER_BROKEN);
	world_elapse(w, 60000);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	EXPECT_REQUESTS(w, "ann");
	w->looks_by_hand = false;
	world_look(w);
	expect_rest_done(w);
	expect_status(w, 0, "unknown");
	expect_status(w, 1, "accepted");
}

static void what_is_of_high_priority_overtakes_it(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_give(w,
	           (struct given){ .offset = 2, .call = "call-a", .who = "eve", .is_high = true });
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "eve");
	expect_rest_done(w);
	EXPECT_REQUESTS(w, "ann", "eve", "bob");
	expect_attempts(w, 1, 1);
}

static void what_is_begun_early_can_be_canceled(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .cancel = "bob" });
	expect_status(w, 1, "canceled");
	expect_attempts(w, 1, 0);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann");
	expect_rest_done(w);
}

static void what_expires_meanwhile_is_not_sent(void **state)
{
	struct world *w = *state;

	send(w, 0, "ann");
	world_give(
	    w, (struct given){ .offset = 1, .call = "call-a", .who = "bob", .expires_in_ms = 500 });
	assert_int_equal(w->n_granted, 1);
	world_elapse(w, 500);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann");
	expect_status(w, 1, "expired");
	expect_rest_done(w);
}

static void others_expire_in_time_in_a_call_that_is_never_idle(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_give(
	    w, (struct given){ .offset = 2, .call = "call-a", .who = "cid", .expires_in_ms = 500 });
	world_elapse(w, 500);
	world_accept(w);
	expect_status(w, 2, "expired");
	expect_rest_done(w);
}

static void what_is_begun_early_is_left_to_the_next_owner(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_revoke(w, 0);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann");
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_commit(w, 0);
	world_restart(w);
	expect_rest_done(w);
	expect_status(w, 1, "accepted");
}

static void of_a_partition_that_was_lost_it_never_leaves(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_forget(w, 0);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann");
	assert_true(engine_is_quiet(w->engine));
}

static void what_was_begun_early_is_looked_for_after_a_crash(void **state)
{
	struct world *w = *state;

	send_two(w);
	world_restart(w);
	expect_rest_done(w);
	EXPECT_REQUESTS(w, "ann");
	expect_status(w, 1, "unknown");
}

static void it_waits_for_what_the_next_owner_must_look_for(void **state)
{
	struct world *w = *state;

	send(w, 0, "ann");
	world_crash(w);
	world_offer(w, 0, 0, w->partitions[0].committed.map);
	world_give(w, (struct given){ .offset = 0, .call = "call-a", .who = "ann", .id = "ann" });
	send(w, 1, "bob");
	assert_int_equal(w->n_granted, 0);
	expect_rest_done(w);
	expect_status(w, 1, "accepted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SUCCESSOR_TEST(the_next_request_leaves_with_the_answer),
		SUCCESSOR_TEST(a_mark_that_comes_after_the_answer_lets_it_leave),
		SUCCESSOR_TEST(nothing_is_begun_early_where_marks_cost_nothing),
		SUCCESSOR_TEST(what_others_could_join_is_not_begun_early),
		SUCCESSOR_TEST(a_full_batch_is_begun_early),
		SUCCESSOR_TEST(the_rest_of_a_command_is_not_begun_early),
		SUCCESSOR_TEST(nothing_is_begun_early_without_a_token),
		SUCCESSOR_TEST(calls_that_wait_for_their_turn_come_first),
		SUCCESSOR_TEST(a_request_that_is_not_accepted_has_none_behind_it),
		SUCCESSOR_TEST(what_is_unknown_is_looked_for_first),
		SUCCESSOR_TEST(what_is_of_high_priority_overtakes_it),
		SUCCESSOR_TEST(what_is_begun_early_can_be_canceled),
		SUCCESSOR_TEST(what_expires_meanwhile_is_not_sent),
		SUCCESSOR_TEST(others_expire_in_time_in_a_call_that_is_never_idle),
		SUCCESSOR_TEST(what_is_begun_early_is_left_to_the_next_owner),
		SUCCESSOR_TEST(of_a_partition_that_was_lost_it_never_leaves),
		SUCCESSOR_TEST(what_was_begun_early_is_looked_for_after_a_crash),
		SUCCESSOR_TEST(it_waits_for_what_the_next_owner_must_look_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
