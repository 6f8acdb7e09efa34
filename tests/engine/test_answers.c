/* What an answer does to its commands and to what is sent after it. */
#include "engine/expect.h"
#include "engine/record.h"

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

/* Nobody looks for evidence. */
static void without_looks(struct world *w)
{
	w->policy.exactly_once = false;
	w->policy.look_at_operations = false;
	w->policy.look_at_roster = false;
}

static void a_503_without_retry_after_is_unknown(void **state)
{
	struct world *w = *state;

	without_looks(w);
	send(w, 0, "call-a", "ann");
	world_answer(w, 503, NULL, NULL);
	expect_status(w, 0, "unknown");
}

static void a_refused_batch_is_sent_one_by_one_and_one_bad_identity_costs_only_itself(void **state)
{
	struct world *w = *state;
	const json_t *participants;

	world_command(w, 0, "call-a", "ann bad carl");
	world_command(w, 1, "call-a", "dora");
	world_elapse(w, 20);
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann bad carl dora", "ann", "bad", "carl", "dora");
	expect_status(w, 0, "partial");
	expect_error(w, 0, "refused");
	expect_status(w, 1, "accepted");
	participants = json_object_get(world_find(w, 0, 0)->reply, "participants");
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(participants, 1), "status")),
	    "failed");
	world_finish(w);
	expect_all_done(w);
}

static void a_batch_that_may_not_be_is_split_whatever_the_code(void **state)
{
	static const char *const codes[] = { "7505", "Forbidden", "" };
	struct world *w = *state;

	for (int64_t i = 0; i < 3; i++) {
		world_reopen(w, world_policy());
		send(w, 0, "call-a", "bad bob");
		world_refuse(w, 403, codes[i]);
		world_refuse(w, 403, codes[i]);
		world_accept(w);
		EXPECT_REQUESTS(w, "bad bob", "bad", "bob");
		expect_status(w, 0, "partial");
		expect_error(w, 0, "refused");
	}
}

static void a_conflict_is_not_split(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann bob");
	world_refuse(w, 409, "Conflict");
	expect_status(w, 0, "failed");
	expect_error(w, 0, "refused");
	world_finish(w);
	assert_int_equal(w->n_posts, 1);
}

static void a_call_that_takes_only_single_participants_is_remembered(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.call_rate = 1;
	world_reopen(w, policy);
	send(w, 0, "call-a", "ann bob");
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	world_accept(w);
	send(w, 1, "call-a", "carl dora");
	world_accept(w);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann bob", "ann", "bob", "carl", "dora");
	expect_status(w, 1, "accepted");
}

static void a_group_call_with_one_bad_identity_is_still_batched(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.call_rate = 1;
	world_reopen(w, policy);
	send(w, 0, "call-a", "bad bob");
	world_refuse(w, 400, "BadRequest");
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	send(w, 1, "call-a", "carl dora");
	EXPECT_REQUESTS(w, "bad bob", "bad", "bob", "carl dora");
}

static void a_401_is_tried_again_once_at_once_and_then_holds_everything(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_answer(w, 401, NULL, NULL);
	assert_int_equal(w->n_posts, 2);
	world_answer(w, 401, NULL, NULL);
	send(w, 1, "call-b", "bob");
	assert_int_equal(w->n_posts, 2);
	world_elapse(w, 2000);
	assert_int_equal(w->n_posts, 4);
	world_accept(w);
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void several_401_for_one_bad_token_count_once(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	send(w, 1, "call-b", "bob");
	send(w, 2, "call-c", "carl");
	world_elapse(w, 10);
	for (unsigned i = 0; i < 3; i++)
		world_answer(w, 401, NULL, NULL);
	assert_int_equal(world_open_posts(w), 3);
	for (unsigned i = 0; i < 3; i++)
		world_accept(w);
	expect_status(w, 2, "accepted");
}

/* Answer every request in the same way until nothing is left. */
static void answer_all(struct world *w, int status, const char *code)
{
	for (unsigned i = 0; i < 1000; i++) {
		while (world_open_posts(w) > 0)
			world_refuse(w, status, code);
		if (w->n_alarms == 0)
			return;
		world_elapse(w, 100);
	}
}

static void a_misconfigured_application_holds_everything_and_fails_after_max_hold(void **state)
{
	static const char *const codes[] = { "7503", "7504" };
	struct world *w = *state;

	for (size_t i = 0; i < 2; i++) {
		struct policy policy = world_policy();

		policy.max_hold = duration_ms(10000);
		world_reopen(w, policy);
		send(w, 0, "call-a", "ann");
		world_refuse(w, 403, codes[i]);
		send(w, 1, "call-b", "bob");
		assert_int_equal(w->n_posts, 1);
		answer_all(w, 403, codes[i]);
		expect_status(w, 0, "failed");
		expect_error(w, 0, "misconfigured");
		expect_error(w, 1, "misconfigured");
		expect_all_done(w);
		assert_in_range(w->n_posts, 4, 12);
	}
}

static void what_was_not_sent_is_sent_again_with_backoff(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_fail(w, ANSWER_NOT_SENT);
	assert_int_equal(posts_after(w, 749), 1);
	assert_int_equal(posts_after(w, 251), 2);
	world_fail(w, ANSWER_NOT_SENT);
	assert_int_equal(posts_after(w, 1499), 2);
	assert_int_equal(posts_after(w, 501), 3);
	world_accept(w);
	expect_status(w, 0, "accepted");
}

static void an_unknown_outcome_is_never_repeated(void **state)
{
	struct world *w = *state;

	without_looks(w);
	send(w, 0, "call-a", "ann bob");
	world_fail(w, ANSWER_BROKEN);
	expect_status(w, 0, "unknown");
	expect_error(w, 0, "outcome-unknown");
	expect_message(w, 0, "sent at 2026-01-31T12:00:00.000Z, then: it broke");
	expect_message(w, 0, ":0:0:1");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann bob");
	expect_all_done(w);
}

static void give_resend(struct world *w)
{
	without_looks(w);
	w->policy.batch_window = duration_ms(0);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .resends = true });
	world_fail(w, ANSWER_BROKEN);
}

static void on_unknown_resend_sends_once_more_after_the_settle_time(void **state)
{
	struct world *w = *state;

	give_resend(w);
	assert_int_equal(posts_after(w, 19999), 1);
	assert_int_equal(posts_after(w, 1), 2);
	world_accept(w);
	expect_status(w, 0, "accepted");
}

static void on_unknown_resend_is_reported_after_the_second_time(void **state)
{
	struct world *w = *state;

	give_resend(w);
	world_elapse(w, 20000);
	world_fail(w, ANSWER_BROKEN);
	expect_status(w, 0, "unknown");
	world_finish(w);
	assert_int_equal(w->n_posts, 2);
	expect_all_done(w);
}

static void what_may_have_been_sent_is_not_said_to_have_failed_later(void **state)
{
	struct world *w = *state;

	give_resend(w);
	world_elapse(w, 20000);
	world_refuse(w, 400, "BadRequest");
	expect_status(w, 0, "unknown");
	expect_error(w, 0, "outcome-unknown");
}

static void a_success_that_names_no_operation_is_unknown(void **state)
{
	struct world *w = *state;

	without_looks(w);
	send(w, 0, "call-a", "ann");
	world_answer(w, 200, NULL, "null");
	expect_status(w, 0, "unknown");
}

static void an_operation_that_is_accepted_is_told_once_to_who_follows_it(void **state)
{
	struct world *w = *state;

	w->policy.follow_operations = true;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, 20);
	world_answer(w, 200, NULL, "{\"id\":\"op-1\",\"status\":\"Running\"}");
	assert_int_equal(w->n_follows, 1);
	assert_ptr_equal(strstr(w->followed, "call-a {\"id\":\"op-1\","), w->followed);
	world_command(w, 2, "call-b", "carl");
	world_elapse(w, 20);
	world_refuse(w, 400, "BadRequest");
	assert_int_equal(w->n_follows, 1);
}

static void nobody_is_told_of_operations_who_does_not_follow_them(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_accept(w);
	expect_status(w, 0, "accepted");
	assert_int_equal(w->n_follows, 0);
}

static void a_command_expires_while_it_waits_for_its_rate(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.call_rate = 0.1;
	policy.call_burst = 1;
	world_reopen(w, policy);
	send(w, 0, "call-a", "ann");
	world_accept(w);
	world_give(w, (struct given){
	                  .offset = 1, .call = "call-a", .who = "bob", .expires_in_ms = 3000 });
	world_elapse(w, 2999);
	assert_null(world_find(w, 0, 1)->reply);
	world_elapse(w, 1);
	expect_status(w, 1, "expired");
	expect_error(w, 1, "expired");
	world_finish(w);
	expect_all_done(w);
}

static void a_command_expires_while_its_call_is_held(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .expires_in_ms = 3000 });
	world_answer(w, 429, "10", NULL);
	world_elapse(w, 3000);
	expect_status(w, 0, "expired");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_command_that_is_over_when_it_comes_is_not_sent(void **state)
{
	struct world *w = *state;

	world_give(w, (struct given){ .call = "call-a", .who = "ann", .expires_in_ms = -1 });
	expect_status(w, 0, "expired");
	world_give(w, (struct given){
	                  .offset = 1, .call = "call-a", .who = "ann", .age_ms = 3600 * 1000 });
	assert_null(world_find(w, 0, 1)->reply);
	world_give(w, (struct given){
	                  .offset = 2, .call = "call-a", .who = "bob", .age_ms = 3600 * 1000 + 1 });
	expect_status(w, 2, "expired");
	expect_error(w, 2, "too-old");
}

static const char *date_of(struct world *w, int64_t offset, const char *name)
{
	const json_t *timing = json_object_get(world_find(w, 0, offset)->reply, "timing");

	return json_string_value(json_object_get(timing, name));
}

static void the_dates_of_a_reply_are_in_order_when_the_clock_was_set_back(void **state)
{
	struct world *w = *state;
	char before[WALL_TEXT_SIZE], after[WALL_TEXT_SIZE];

	send(w, 0, "call-a", "ann");
	w->clock_set_us = -3600 * INT64_C(1000000);
	wall_format(world_wall(w), before);
	world_elapse(w, 20);
	world_accept(w);
	wall_format(world_wall(w), after);
	expect_status(w, 0, "accepted");
	assert_string_equal(date_of(w, 0, "receivedAt"), before);
	assert_string_equal(date_of(w, 0, "sentAt"), before);
	assert_string_equal(date_of(w, 0, "answeredAt"), after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_503_without_retry_after_is_unknown),
		WORLD_TEST(
		    a_refused_batch_is_sent_one_by_one_and_one_bad_identity_costs_only_itself),
		WORLD_TEST(a_batch_that_may_not_be_is_split_whatever_the_code),
		WORLD_TEST(a_conflict_is_not_split),
		WORLD_TEST(a_call_that_takes_only_single_participants_is_remembered),
		WORLD_TEST(a_group_call_with_one_bad_identity_is_still_batched),
		WORLD_TEST(a_401_is_tried_again_once_at_once_and_then_holds_everything),
		WORLD_TEST(several_401_for_one_bad_token_count_once),
		WORLD_TEST(a_misconfigured_application_holds_everything_and_fails_after_max_hold),
		WORLD_TEST(what_was_not_sent_is_sent_again_with_backoff),
		WORLD_TEST(an_unknown_outcome_is_never_repeated),
		WORLD_TEST(on_unknown_resend_sends_once_more_after_the_settle_time),
		WORLD_TEST(on_unknown_resend_is_reported_after_the_second_time),
		WORLD_TEST(what_may_have_been_sent_is_not_said_to_have_failed_later),
		WORLD_TEST(a_success_that_names_no_operation_is_unknown),
		WORLD_TEST(an_operation_that_is_accepted_is_told_once_to_who_follows_it),
		WORLD_TEST(nobody_is_told_of_operations_who_does_not_follow_them),
		WORLD_TEST(the_dates_of_a_reply_are_in_order_when_the_clock_was_set_back),
		WORLD_TEST(a_command_expires_while_it_waits_for_its_rate),
		WORLD_TEST(a_command_expires_while_its_call_is_held),
		WORLD_TEST(a_command_that_is_over_when_it_comes_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
