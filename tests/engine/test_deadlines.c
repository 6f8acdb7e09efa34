/* Nothing leaves after its time is over, whatever it waits for. test_answers.c and test_takeover.c
 * have the plain cases: a rate, a hold, a mark. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN "a b c d e f g h i j"

static void at_once(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
}

static void give(struct world *w, int64_t offset, const char *who, int64_t expires_in_ms)
{
	world_give(w, (struct given){ .offset = offset,
	                              .call = "call-a",
	                              .who = who,
	                              .expires_in_ms = expires_in_ms });
}

static const char *participant_status(struct world *w, int64_t offset, size_t index)
{
	const json_t *all = json_object_get(world_find(w, 0, offset)->reply, "participants");

	return json_string_value(json_object_get(json_array_get(all, index), "status"));
}

static void with_default_expiry(struct world *w, int64_t ms)
{
	struct policy policy = world_policy();

	policy.default_expiry = duration_ms(ms);
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
}

static void a_command_without_a_date_of_its_own_gets_that_of_the_policy(void **state)
{
	struct world *w = *state;

	with_default_expiry(w, 5000);
	give(w, 0, "ann", 0);
	world_answer(w, 429, "60", NULL);
	world_elapse(w, 4999);
	expect_no_reply(w, 0);
	world_elapse(w, 1);
	expect_status(w, 0, "expired");
	expect_error(w, 0, "expired");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void the_default_counts_from_the_records_date(void **state)
{
	struct world *w = *state;

	with_default_expiry(w, 5000);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .age_ms = 5000 });
	expect_status(w, 0, "expired");
	world_give(w,
	           (struct given){ .offset = 1, .call = "call-a", .who = "bob", .age_ms = 4999 });
	EXPECT_REQUESTS(w, "bob");
}

static void a_date_of_its_own_goes_before_the_default(void **state)
{
	struct world *w = *state;

	with_default_expiry(w, 5000);
	give(w, 0, "ann", 60000);
	world_answer(w, 429, "30", NULL);
	world_elapse(w, 30000);
	EXPECT_REQUESTS(w, "ann", "ann");
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void the_first_expiry_of_its_commands_goes_with_a_request(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann", 9000);
	give(w, 1, "bob", 3000);
	give(w, 2, "carl", 0);
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "ann bob carl");
	assert_int_equal(w->posts[0].expires_at.us - world_find(w, 0, 0)->timestamp.us, 3000000);
	world_accept(w);
	give(w, 3, "dora", 0);
	world_elapse(w, 20);
	assert_true(w->posts[1].expires_at.us == INT64_MAX);
}

static void what_is_left_of_a_split_command_expires(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN, 3000);
	world_elapse(w, 3000);
	world_accept(w);
	EXPECT_REQUESTS(w, "a b c d e");
	expect_status(w, 0, "partial");
	for (size_t i = 0; i < 10; i++)
		assert_string_equal(participant_status(w, 0, i), i < 5 ? "accepted" : "expired");
	world_finish(w);
	expect_all_done(w);
}

/* The company is refused, and while its members are sent one by one the time of one is over. */
static void a_refused_batch_is_not_sent_again_after_its_time(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann", 0);
	give(w, 1, "bob", 3000);
	world_elapse(w, 20);
	world_refuse(w, 400, "BadRequest");
	world_elapse(w, 3000);
	world_accept(w);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann bob", "ann");
	expect_status(w, 0, "accepted");
	expect_status(w, 1, "expired");
	expect_all_done(w);
}

static void what_waits_behind_a_doubt_expires_meanwhile(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann", 0);
	world_break_after_effect(w);
	give(w, 1, "bob", 3000);
	world_elapse(w, 3000);
	expect_status(w, 1, "expired");
	expect_no_reply(w, 0);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

/* What may have been sent is judged by evidence; the one more request is not made any more. */
static void a_command_in_doubt_is_not_sent_once_more_after_its_time(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){
	                  .call = "call-a", .who = "ann", .expires_in_ms = 3000, .resends = true });
	world_fail(w, ANSWER_BROKEN);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_status(w, 0, "unknown");
	expect_all_done(w);
}

static void a_command_in_doubt_that_graph_has_is_reconciled_after_its_time(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann", 3000);
	world_break_after_effect(w);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_all_done(w);
}

static void a_drain_sends_nothing_after_its_time(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN, 3000);
	world_drain(w);
	world_elapse(w, 3000);
	world_accept(w);
	expect_status(w, 0, "partial");
	EXPECT_REQUESTS(w, "a b c d e");
	assert_int_equal(w->partitions[0].n_quiet, 1);
}

/* Its request was kept back at the last moment. */
static void what_expires_on_its_way_does_not_hold_its_company(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann", 1000);
	give(w, 1, "bob", 0);
	world_elapse(w, 1000);
	world_answer_post(w, &w->posts[0],
	                  (struct answer){ .progress = ANSWER_NOT_SENT, .is_withheld = true });
	expect_status(w, 0, "expired");
	EXPECT_REQUESTS(w, "ann bob", "bob");
	world_accept(w);
	expect_status(w, 1, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void what_a_drain_leaves_expires_at_the_next_owner(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann", 3000);
	world_drain(w);
	world_commit(w, 0);
	world_elapse(w, 3000);
	world_restart(w);
	expect_status(w, 0, "expired");
	world_finish(w);
	assert_int_equal(w->n_posts, 0);
	expect_all_done(w);
}

static void what_a_full_service_holds_up_expires(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->policy.max_in_flight = 1;
	world_give(w, (struct given){ .call = "call-b", .who = "bob" });
	give(w, 1, "ann", 3000);
	world_elapse(w, 3000);
	expect_status(w, 1, "expired");
	world_accept(w);
	world_finish(w);
	EXPECT_REQUESTS(w, "bob");
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_command_without_a_date_of_its_own_gets_that_of_the_policy),
		WORLD_TEST(the_default_counts_from_the_records_date),
		WORLD_TEST(a_date_of_its_own_goes_before_the_default),
		WORLD_TEST(the_first_expiry_of_its_commands_goes_with_a_request),
		WORLD_TEST(what_is_left_of_a_split_command_expires),
		WORLD_TEST(a_refused_batch_is_not_sent_again_after_its_time),
		WORLD_TEST(what_waits_behind_a_doubt_expires_meanwhile),
		WORLD_TEST(a_command_in_doubt_is_not_sent_once_more_after_its_time),
		WORLD_TEST(a_command_in_doubt_that_graph_has_is_reconciled_after_its_time),
		WORLD_TEST(a_drain_sends_nothing_after_its_time),
		WORLD_TEST(what_expires_on_its_way_does_not_hold_its_company),
		WORLD_TEST(what_a_drain_leaves_expires_at_the_next_owner),
		WORLD_TEST(what_a_full_service_holds_up_expires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
