/* A call that is over: what is queued for it, what comes later, and how long that is remembered. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MEMORY_MS 60000

/* One command for each call, sent at once. */
static void send(struct world *w, int64_t offset, const char *call, const char *who)
{
	w->policy.batch_window = duration_ms(0);
	world_command(w, offset, call, who);
}

/* Graph's answer to the request that is open for the longest time. */
static void say_over(struct world *w)
{
	world_answer(w, 404, NULL,
	             "{\"error\":{\"code\":\"8522\",\"message\":\"Call not found.\"}}");
}

/* The command was the first of its call, which has ended at once. */
static void end_call(struct world *w, int64_t offset, const char *call)
{
	w->policy.call_grace = duration_ms(0);
	send(w, offset, call, "ann");
	say_over(w);
	expect_error(w, offset, "call-over");
}

static void a_call_that_is_over_fails_all_that_is_queued_for_it(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_accept(w);
	send(w, 1, "call-a", "ann");
	send(w, 2, "call-a", "bob");
	send(w, 3, "call-b", "carl");
	say_over(w);
	for (int64_t i = 1; i < 3; i++) {
		expect_status(w, i, "failed");
		expect_error(w, i, "call-over");
	}
	world_accept(w);
	world_finish(w);
	expect_all_done(w);
}

static void a_call_that_was_never_seen_gets_a_grace(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	for (unsigned i = 1; i <= 4; i++) {
		say_over(w);
		world_elapse(w, 500);
		assert_int_equal(w->n_posts, i + 1);
	}
	assert_null(world_find(w, 0, 0)->reply);
	say_over(w);
	expect_error(w, 0, "call-over");
}

static void a_call_that_appears_within_its_grace_is_served(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	say_over(w);
	world_elapse(w, 500);
	world_accept(w);
	expect_status(w, 0, "accepted");
}

static void commands_that_come_later_are_answered_without_a_request(void **state)
{
	struct world *w = *state;

	end_call(w, 0, "call-a");
	world_elapse(w, MEMORY_MS - 1);
	world_command(w, 1, "call-a", "bob");
	world_give(w, (struct given){
	                  .offset = 2, .call = "call-a", .who = "a b c d e f", .is_high = true });
	for (int64_t i = 1; i < 3; i++) {
		expect_status(w, i, "failed");
		expect_error(w, i, "call-over");
		expect_message(w, i, "Graph said at 2026-01-31T12:00:00.000Z");
	}
	assert_int_equal(w->n_posts, 1);
	assert_int_equal(w->metrics.values[METRIC_commands_call_over], 2);
	world_finish(w);
	expect_all_done(w);
}

static void the_verdict_is_in_the_trace(void **state)
{
	struct world *w = *state;

	w->policy.call_grace = duration_ms(0);
	send(w, 0, "call-a", "ann");
	buffer_clear(&w->trace);
	say_over(w);
	world_elapse(w, 1000);
	world_command(w, 1, "call-a", "bob");
	expect_trace(w, "[    0] call-a: answered 404, call-over 8522\n"
	                "[    0] call-a: is over, which is remembered for 60000 ms\n"
	                "[    0] p0@0: reply failed\n"
	                "[    0] p0: stored up to 1\n"
	                "[ 1000] p0@1: call-a gets 1 participant\n"
	                "[ 1000] call-a: p0@1 is not sent, the call is over\n"
	                "[ 1000] p0@1: reply failed\n"
	                "[ 1000] p0: stored up to 2\n");
}

static void the_verdict_is_forgotten_after_a_while(void **state)
{
	struct world *w = *state;

	end_call(w, 0, "call-a");
	assert_int_equal(w->metrics.values[METRIC_calls_over], 1);
	world_elapse(w, MEMORY_MS);
	assert_int_equal(w->metrics.values[METRIC_calls_over], 0);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 0);
	world_command(w, 1, "call-a", "bob");
	assert_int_equal(w->n_posts, 2);
	world_accept(w);
	expect_status(w, 1, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void commands_meanwhile_do_not_make_it_last_longer(void **state)
{
	struct world *w = *state;

	end_call(w, 0, "call-a");
	for (int64_t i = 1; i < 7; i++) {
		world_elapse(w, MEMORY_MS / 6);
		world_command(w, i, "call-a", "bob");
		assert_int_equal(w->n_posts, i < 6 ? 1 : 2);
	}
}

static void nothing_is_remembered_when_the_policy_says_so(void **state)
{
	struct world *w = *state;

	w->policy.call_over_memory = duration_ms(0);
	end_call(w, 0, "call-a");
	world_command(w, 1, "call-a", "bob");
	assert_int_equal(w->n_posts, 2);
}

static void only_so_many_verdicts_are_kept_and_the_oldest_go(void **state)
{
	struct world *w = *state;

	w->policy.verdicts = 2;
	end_call(w, 0, "call-a");
	world_elapse(w, 1000);
	end_call(w, 1, "call-b");
	world_elapse(w, 1000);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 2);
	end_call(w, 2, "call-c");
	assert_int_equal(w->metrics.values[METRIC_calls_over], 2);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 2);
	world_command(w, 3, "call-b", "bob");
	world_command(w, 4, "call-c", "bob");
	assert_int_equal(w->n_posts, 3);
	world_command(w, 5, "call-a", "bob");
	assert_int_equal(w->n_posts, 4);
	world_accept(w);
	world_finish(w);
	expect_all_done(w);
}

static void another_call_or_tenant_is_not_over(void **state)
{
	struct world *w = *state;

	world_reopen(w, world_policy_of_tenants());
	end_call(w, 0, "call-a");
	world_command(w, 1, "call-b", "ann");
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .who = "ann", .tenant = 1 });
	assert_int_equal(w->n_posts, 3);
}

/* Of the two commands of a call, the owner before has begun the second; the mark of the first did
 * not come. */
static void begin_second(struct world *w, struct given second)
{
	w->policy.batch_max = 1;
	send(w, 0, "call-a", "ann");
	world_answer(w, 429, "10", NULL);
	second.offset = 1;
	second.call = "call-a";
	second.who = "bob";
	second.is_high = true;
	world_give(w, second);
	w->marks_by_hand = true;
	world_elapse(w, 10000);
	world_mark(w);
	w->marks_by_hand = false;
	assert_string_equal(world_who(w, 1), "bob");
}

/* Its partition is read again, and the call is over before the second command is there. */
static void take_over_when_it_is_over(struct world *w, struct given second)
{
	world_crash(w);
	world_offer(w, 0, w->partitions[0].committed.offset, NULL);
	w->policy.call_grace = duration_ms(0);
	send(w, 0, "call-a", "ann");
	world_elapse(w, 1000);
	say_over(w);
	expect_error(w, 0, "call-over");
	second.offset = 1;
	second.call = "call-a";
	second.who = "bob";
	second.is_high = true;
	world_give(w, second);
	expect_no_reply(w, 1);
}

static void what_is_in_doubt_is_looked_for_in_a_call_that_is_over_too(void **state)
{
	struct world *w = *state;

	begin_second(w, (struct given){ 0 });
	graph_apply(&w->graph, "call-a", 0, w->posts[1].body);
	take_over_when_it_is_over(w, (struct given){ 0 });
	world_finish(w);
	expect_status(w, 1, "reconciled");
	expect_all_done(w);
}

static void what_may_be_sent_once_more_is_not_sent_to_a_call_that_is_over(void **state)
{
	struct world *w = *state;

	begin_second(w, (struct given){ .resends = true });
	take_over_when_it_is_over(w, (struct given){ .resends = true });
	world_elapse(w, 20000);
	expect_status(w, 1, "unknown");
	assert_int_equal(w->n_posts, 3);
	world_finish(w);
	expect_all_done(w);
}

static void what_comes_into_doubt_while_the_call_ends_is_looked_for(void **state)
{
	struct world *w = *state;

	begin_second(w, (struct given){ 0 });
	graph_apply(&w->graph, "call-a", 0, w->posts[1].body);
	world_crash(w);
	world_offer(w, 0, w->partitions[0].committed.offset, NULL);
	w->policy.call_grace = duration_ms(0);
	send(w, 0, "call-a", "ann");
	world_elapse(w, 1000);
	world_give(w,
	           (struct given){ .offset = 1, .call = "call-a", .who = "bob", .is_high = true });
	say_over(w);
	expect_error(w, 0, "call-over");
	expect_no_reply(w, 1);
	world_finish(w);
	expect_status(w, 1, "reconciled");
	expect_all_done(w);
}

static void a_partition_that_goes_takes_its_verdicts_along(void **state)
{
	struct world *w = *state;

	end_call(w, 0, "call-a");
	world_forget(w, 0);
	assert_int_equal(w->metrics.values[METRIC_calls_over], 0);
	assert_int_equal(w->n_alarms, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_call_that_is_over_fails_all_that_is_queued_for_it),
		WORLD_TEST(a_call_that_was_never_seen_gets_a_grace),
		WORLD_TEST(a_call_that_appears_within_its_grace_is_served),
		WORLD_TEST(commands_that_come_later_are_answered_without_a_request),
		WORLD_TEST(the_verdict_is_in_the_trace),
		WORLD_TEST(the_verdict_is_forgotten_after_a_while),
		WORLD_TEST(commands_meanwhile_do_not_make_it_last_longer),
		WORLD_TEST(nothing_is_remembered_when_the_policy_says_so),
		WORLD_TEST(only_so_many_verdicts_are_kept_and_the_oldest_go),
		WORLD_TEST(another_call_or_tenant_is_not_over),
		WORLD_TEST(what_is_in_doubt_is_looked_for_in_a_call_that_is_over_too),
		WORLD_TEST(what_may_be_sent_once_more_is_not_sent_to_a_call_that_is_over),
		WORLD_TEST(what_comes_into_doubt_while_the_call_ends_is_looked_for),
		WORLD_TEST(a_partition_that_goes_takes_its_verdicts_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
