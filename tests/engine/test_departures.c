/* Marked ahead of the room for it: a request leaves when an answer makes room, or never. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOST  8 /* Requests in flight */
#define AHEAD 2 /* More that are marked */

static struct policy narrow_policy(void)
{
	struct policy policy = world_policy_of_tenants();

	policy.batch_window = duration_ms(0);
	policy.max_in_flight = MOST;
	return policy;
}

static int setup(void **state)
{
	int result = world_setup(state);

	if (result == 0)
		world_reopen(*state, narrow_policy());
	return result;
}

#define DEPARTURE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

/* A command for a call of its own. */
static void send(struct world *w, int64_t offset, uint32_t tenant)
{
	char call[16], who[16];

	snprintf(call, sizeof(call), "call-%d", (int)offset);
	snprintf(who, sizeof(who), "user-%d", (int)offset);
	world_give(w,
	           (struct given){
	               .offset = offset, .call = call, .who = who, .id = "one", .tenant = tenant });
}

static void send_many(struct world *w, int64_t offset, uint32_t tenant, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		send(w, offset + i, tenant);
}

/* All that may be is in flight, and as much as may be is marked and waits for room. */
static void fill(struct world *w)
{
	send_many(w, 0, 0, MOST + AHEAD);
	assert_int_equal(world_open_posts(w), MOST);
}

/* Also of what leaves meanwhile. */
static void accept_all(struct world *w)
{
	while (world_open_posts(w) > 0)
		world_accept(w);
}

static void a_quarter_more_is_marked_than_may_be_in_flight(void **state)
{
	struct world *w = *state;

	w->marks_by_hand = true;
	send_many(w, 0, 0, 2 * MOST);
	assert_int_equal(w->n_marks, MOST + AHEAD);
	for (unsigned i = 0; i < MOST + AHEAD; i++)
		world_mark(w);
	assert_int_equal(w->n_posts, MOST);
	assert_int_equal(w->metrics.values[METRIC_in_flight], MOST);
	assert_int_equal(w->n_marks, 0);
	world_accept(w);
	assert_int_equal(w->n_posts, MOST + 1);
	assert_int_equal(w->n_marks, 1);
	w->marks_by_hand = false;
	world_mark(w);
	expect_rest_done(w);
}

static void nothing_is_marked_ahead_where_marks_cost_nothing(void **state)
{
	struct world *w = *state;
	struct policy policy = narrow_policy();

	policy.exactly_once = false;
	world_reopen(w, policy);
	w->marks_by_hand = true;
	send_many(w, 0, 0, 2 * MOST);
	assert_int_equal(w->n_marks, MOST);
	w->marks_by_hand = false;
	while (w->n_marks > 0)
		world_mark(w);
	expect_rest_done(w);
}

static void what_is_marked_first_leaves_first(void **state)
{
	struct world *w = *state;

	fill(w);
	world_accept(w);
	assert_string_equal(world_who(w, MOST), "user-8");
	world_accept(w);
	assert_string_equal(world_who(w, MOST + 1), "user-9");
	expect_rest_done(w);
}

static void the_time_without_room_is_told_as_the_applications(void **state)
{
	struct world *w = *state;

	fill(w);
	world_elapse(w, 300);
	assert_int_equal(w->metrics.values[METRIC_waiting_application], AHEAD);
	for (unsigned i = 0; i < MOST; i++)
		world_accept(w);
	assert_int_equal(w->metrics.values[METRIC_waiting_application], 0);
	world_elapse(w, 50);
	expect_rest_done(w);
	assert_int_equal(waited_for(w, MOST, "application"), 300);
	assert_int_equal(waited_for(w, MOST, "call"), 0);
}

static void what_is_marked_is_taken_back_when_graph_gets_ill(void **state)
{
	struct world *w = *state;
	struct policy policy = narrow_policy();

	policy.breaker_row = 4;
	policy.max_attempts = 1000;
	world_reopen(w, policy);
	send_many(w, 0, 0, 2 * MOST);
	for (unsigned i = 0; i < 4; i++)
		world_fail(w, ANSWER_NOT_SENT);
	assert_int_equal(w->metrics.values[METRIC_breakers_open], 1);
	accept_all(w);
	assert_int_equal(w->n_posts, MOST + 3);
	expect_rest_done(w);
	expect_attempts(w, MOST + 3, 1);
}

static void what_is_marked_is_taken_back_when_the_application_is_held(void **state)
{
	struct world *w = *state;

	fill(w);
	world_refuse(w, 403, "7504");
	assert_int_equal(w->n_posts, MOST);
	assert_int_equal(w->metrics.values[METRIC_in_flight], MOST - 1);
	world_elapse(w, 60000);
	assert_int_equal(w->n_posts, MOST);
	expect_rest_done(w);
	expect_attempts(w, MOST, 1);
}

static void what_expires_without_room_is_not_sent(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, MOST);
	world_give(w,
	           (struct given){
	               .offset = MOST, .call = "call-late", .who = "ann", .expires_in_ms = 500 });
	world_elapse(w, 500);
	expect_no_reply(w, MOST);
	world_accept(w);
	assert_int_equal(w->n_posts, MOST);
	expect_status(w, MOST, "expired");
	expect_rest_done(w);
}

static void what_is_marked_can_be_canceled(void **state)
{
	struct world *w = *state;

	fill(w);
	world_give(w, (struct given){ .offset = MOST + AHEAD, .call = "call-8", .cancel = "one" });
	expect_status(w, MOST, "canceled");
	world_accept(w);
	assert_string_equal(world_who(w, MOST), "user-9");
	expect_rest_done(w);
	assert_int_equal(w->n_posts, MOST + AHEAD - 1);
}

static void what_is_marked_is_left_to_the_next_owner(void **state)
{
	struct world *w = *state;

	fill(w);
	world_revoke(w, 0);
	accept_all(w);
	assert_int_equal(w->n_posts, MOST);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_commit(w, 0);
	world_restart(w);
	expect_rest_done(w);
	assert_int_equal(w->n_posts, MOST + AHEAD);
	expect_status(w, MOST, "accepted");
}

static void what_is_marked_of_a_partition_that_was_lost_never_leaves(void **state)
{
	struct world *w = *state;

	fill(w);
	world_forget(w, 0);
	accept_all(w);
	assert_int_equal(w->n_posts, MOST);
	assert_int_equal(w->metrics.values[METRIC_in_flight], 0);
	assert_true(engine_is_quiet(w->engine));
}

static void what_was_marked_and_never_left_is_looked_for_after_a_crash(void **state)
{
	struct world *w = *state;

	fill(w);
	world_restart(w);
	w->latency_us = 1000;
	world_finish(w);
	assert_int_equal(w->n_posts, MOST);
	expect_status(w, MOST, "unknown");
	expect_all_done(w);
}

static void free_room_goes_to_the_tenants_in_turn(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, MOST);
	send(w, MOST, 0);
	send(w, MOST + 1, 1);
	send(w, MOST + 2, 0);
	for (unsigned i = 0; i < 2; i++)
		world_accept(w);
	assert_int_equal(w->posts[MOST].tenant, 1);
	assert_int_equal(w->posts[MOST + 1].tenant, 0);
	expect_rest_done(w);
}

static void a_look_waits_for_room_and_gets_it(void **state)
{
	struct world *w = *state;

	send(w, 0, 0);
	world_fail(w, ANSWER_BROKEN);
	send_many(w, 1, 0, MOST + AHEAD);
	world_elapse(w, 30000);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	send_many(w, MOST + AHEAD + 1, 0, MOST);
	for (unsigned i = 0; i <= AHEAD; i++)
		world_accept(w);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	expect_rest_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEPARTURE_TEST(a_quarter_more_is_marked_than_may_be_in_flight),
		DEPARTURE_TEST(nothing_is_marked_ahead_where_marks_cost_nothing),
		DEPARTURE_TEST(what_is_marked_first_leaves_first),
		DEPARTURE_TEST(the_time_without_room_is_told_as_the_applications),
		DEPARTURE_TEST(what_is_marked_is_taken_back_when_graph_gets_ill),
		DEPARTURE_TEST(what_is_marked_is_taken_back_when_the_application_is_held),
		DEPARTURE_TEST(what_expires_without_room_is_not_sent),
		DEPARTURE_TEST(what_is_marked_can_be_canceled),
		DEPARTURE_TEST(what_is_marked_is_left_to_the_next_owner),
		DEPARTURE_TEST(what_is_marked_of_a_partition_that_was_lost_never_leaves),
		DEPARTURE_TEST(what_was_marked_and_never_left_is_looked_for_after_a_crash),
		DEPARTURE_TEST(free_room_goes_to_the_tenants_in_turn),
		DEPARTURE_TEST(a_look_waits_for_room_and_gets_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
