/* How evidence is looked for, and what counts as evidence. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SETTLE_MS 20000

/* A request of which nobody knows what became of it; it had an effect or not. */
static void give_doubt(struct world *w, const char *who, bool had_effect)
{
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", who);
	if (had_effect)
		world_break_after_effect(w);
	else
		world_fail(w, ANSWER_BROKEN);
}

static void only_the_roster(struct world *w)
{
	w->policy.look_at_operations = false;
}

static void an_unknown_outcome_is_looked_for_after_the_settle_time(void **state)
{
	struct world *w = *state;

	give_doubt(w, "ann", true);
	world_elapse(w, SETTLE_MS - 1);
	expect_no_reply(w, 0);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	world_elapse(w, 1);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "operation");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void what_is_nowhere_is_unknown_and_says_what_failed(void **state)
{
	struct world *w = *state;

	give_doubt(w, "ann bob", false);
	world_finish(w);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 1);
	expect_status(w, 0, "unknown");
	expect_error(w, 0, "outcome-unknown");
	expect_message(w, 0, "sent at 2026-01-31T12:00:00.000Z, then: it broke");
	expect_message(w, 0, ":0:0:1");
	EXPECT_REQUESTS(w, "ann bob");
	expect_all_done(w);
}

static void resend_goes_out_once_more_after_both_looks(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .resends = true });
	world_fail(w, ANSWER_BROKEN);
	world_elapse(w, SETTLE_MS - 1);
	assert_int_equal(w->n_posts, 1);
	world_elapse(w, 1);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 1);
	assert_int_equal(w->n_posts, 2);
	world_break_after_effect(w);
	world_elapse(w, SETTLE_MS);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "operation");
	assert_int_equal(w->n_posts, 2);
	world_finish(w);
	expect_all_done(w);
}

static void the_roster_alone_is_the_weaker_evidence(void **state)
{
	struct world *w = *state;
	const json_t *reply;

	only_the_roster(w);
	give_doubt(w, "ann", true);
	world_finish(w);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "roster");
	reply = world_find(w, 0, 0)->reply;
	assert_int_equal(json_array_size(json_object_get(reply, "operations")), 0);
	expect_all_done(w);
}

static void without_the_roster_only_operations_are_asked_for(void **state)
{
	struct world *w = *state;

	w->policy.look_at_roster = false;
	give_doubt(w, "ann", false);
	world_finish(w);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 0);
	expect_status(w, 0, "unknown");
	expect_all_done(w);
}

static void the_roster_proves_no_replace_and_no_move(void **state)
{
	static const char *const who[] = { "replace:ann", "move:ann" };
	struct world *w = *state;

	for (size_t i = 0; i < 2; i++) {
		world_reopen(w, world_policy());
		only_the_roster(w);
		give_doubt(w, who[i], true);
		world_finish(w);
		expect_status(w, 0, "unknown");
		expect_all_done(w);
	}
}

static void an_operation_proves_a_move(void **state)
{
	struct world *w = *state;

	give_doubt(w, "move:ann", true);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "operation");
}

/* Ann is there because of offset 0. */
static void the_roster_proves_nothing_for_who_was_invited_before(void **state)
{
	struct world *w = *state;

	only_the_roster(w);
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_command(w, 1, "call-a", "ann bob");
	world_break_after_effect(w);
	world_finish(w);
	expect_status(w, 1, "partial");
	expect_evidence(w, 1, "roster");
	expect_error(w, 1, "outcome-unknown");
	expect_all_done(w);
}

static void who_was_invited_before_is_known_after_a_takeover(void **state)
{
	struct world *w = *state;

	only_the_roster(w);
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_command(w, 1, "call-a", "ann");
	expect_stored(w, 1);
	world_restart(w);
	world_finish(w);
	expect_status(w, 1, "unknown");
	expect_all_done(w);
}

static void who_is_invited_again_behind_the_doubt_is_still_proved_by_the_roster(void **state)
{
	struct world *w = *state;

	only_the_roster(w);
	give_doubt(w, "ann", true);
	world_command(w, 1, "call-a", "ann");
	world_elapse(w, SETTLE_MS);
	expect_status(w, 0, "reconciled");
	world_accept(w);
	expect_status(w, 1, "accepted");
	world_finish(w);
	expect_all_done(w);
}

/* Room for what 16 commands with one participant ask for. */
static void remember_little(struct world *w)
{
	struct policy policy = world_policy();

	policy.batch_window = duration_ms(0);
	policy.history = 1;
	policy.offsets_per_partition = 1;
	policy.look_at_operations = false;
	world_reopen(w, policy);
}

/* Commands for other calls pass the one in doubt. */
static void pass_doubt(struct world *w, int64_t n)
{
	give_doubt(w, "ann", true);
	for (int64_t i = 1; i <= n; i++) {
		world_command(w, i, "call-b", "bob");
		world_accept(w);
	}
	world_elapse(w, SETTLE_MS);
}

static void the_roster_proves_something_while_all_that_was_asked_for_is_known(void **state)
{
	struct world *w = *state;

	remember_little(w);
	pass_doubt(w, 15);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "roster");
	world_finish(w);
	expect_all_done(w);
}

static void the_roster_proves_nothing_when_too_much_has_passed_the_doubt(void **state)
{
	struct world *w = *state;

	remember_little(w);
	pass_doubt(w, 16);
	expect_status(w, 0, "unknown");
	world_command(w, 17, "call-c", "carl");
	world_accept(w);
	world_command(w, 18, "call-c", "dora");
	world_break_after_effect(w);
	world_finish(w);
	expect_status(w, 18, "reconciled");
	expect_all_done(w);
}

static void a_context_proves_nothing_when_too_much_has_passed_the_doubt(void **state)
{
	struct world *w = *state;

	for (int64_t n = 14; n <= 15; n++) {
		remember_little(w);
		w->policy.look_at_operations = true;
		w->policy.look_at_roster = false;
		world_give(w, (struct given){ .call = "call-a", .who = "ann", .context = "mine" });
		world_break_after_effect(w);
		for (int64_t i = 1; i <= n; i++) {
			world_command(w, i, "call-b", "bob");
			world_accept(w);
		}
		world_elapse(w, SETTLE_MS);
		expect_status(w, 0, n == 14 ? "reconciled" : "unknown");
		world_finish(w);
		expect_all_done(w);
	}
}

static void who_stands_twice_in_a_command_is_not_proved_by_the_roster(void **state)
{
	struct world *w = *state;

	only_the_roster(w);
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann ann");
	world_accept(w);
	world_fail(w, ANSWER_BROKEN);
	world_finish(w);
	expect_status(w, 0, "partial");
	expect_all_done(w);
}

static void a_context_that_an_earlier_command_had_proves_nothing(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	w->policy.look_at_roster = false;
	for (int64_t i = 0; i < 2; i++) {
		world_give(w, (struct given){ .offset = i,
		                              .call = "call-a",
		                              .who = i == 0 ? "ann" : "bob",
		                              .context = "mine" });
		if (i == 0)
			world_accept(w);
	}
	world_fail(w, ANSWER_BROKEN);
	world_finish(w);
	expect_status(w, 1, "unknown");
	expect_all_done(w);
}

static void a_context_that_several_requests_share_proves_none_of_them(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	w->policy.look_at_roster = false;
	world_give(w, (struct given){ .call = "call-a", .who = "a b c d e f", .context = "mine" });
	world_accept(w);
	world_fail(w, ANSWER_BROKEN);
	world_finish(w);
	expect_status(w, 0, "partial");
	expect_error(w, 0, "outcome-unknown");
	expect_all_done(w);
}

/* Ann was sent and taken, bob was taken with the next request, and nobody recorded it. */
static void participants_that_were_sent_one_by_one_prove_only_themselves(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	w->policy.look_at_roster = false;
	world_give(w, (struct given){ .call = "call-a", .who = "ann bob", .context = "mine" });
	world_refuse(w, 400, "BadRequest");
	world_fail(w, ANSWER_BROKEN);
	world_elapse(w, SETTLE_MS);
	assert_int_equal(w->n_posts, 3);
	graph_apply(&w->graph, "call-a", 0, w->posts[2].body);
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_all_done(w);
}

static void a_command_that_is_sent_once_more_may_have_been_sent_before(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	w->policy.look_at_roster = false;
	w->writes_by_hand = true;
	world_give(w, (struct given){
	                  .call = "call-a", .who = "ann", .context = "mine", .resends = true });
	world_accept(w);
	world_give(
	    w, (struct given){ .offset = 1, .call = "call-a", .who = "bob", .context = "mine" });
	w->writes_by_hand = false;
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	expect_status(w, 1, "unknown");
	EXPECT_REQUESTS(w, "ann", "bob", "ann");
	expect_all_done(w);
}

static void an_answer_that_says_nothing_is_asked_for_again(void **state)
{
	static const struct answer answers[] = {
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "3" },
		{ ANSWER_COMPLETE, .http_status = 503 },
		{ ANSWER_COMPLETE, .http_status = 500 },
		{ ANSWER_COMPLETE, .http_status = 401 },
		{ ANSWER_NOT_SENT, .problem = "refused" },
		{ ANSWER_NO_TOKEN, .problem = "denied" },
		{ ANSWER_BROKEN, .problem = "reset" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		world_reopen(w, world_policy());
		w->looks_by_hand = true;
		give_doubt(w, "ann", true);
		world_elapse(w, SETTLE_MS);
		world_answer_look(w, answers[i]);
		assert_int_equal(w->n_looks, 0);
		world_elapse(w, 3000);
		assert_int_equal(w->n_looked[LOOK_OPERATIONS], 2);
		world_look(w);
		expect_status(w, 0, "reconciled");
		world_finish(w);
		expect_all_done(w);
	}
}

static void a_look_without_a_token_is_repeated_until_there_is_one(void **state)
{
	struct world *w = *state;

	w->looks_by_hand = true;
	give_doubt(w, "ann", true);
	world_elapse(w, SETTLE_MS);
	for (unsigned i = 0; i < 50; i++) {
		world_answer_look(w, (struct answer){ ANSWER_NO_TOKEN, .problem = "denied" });
		world_elapse(w, 60000);
		assert_int_equal(w->n_looks, 1);
	}
	world_look(w);
	expect_status(w, 0, "reconciled");
	world_finish(w);
	expect_all_done(w);
}

static void a_retry_after_is_waited_for(void **state)
{
	struct world *w = *state;

	w->looks_by_hand = true;
	give_doubt(w, "ann", true);
	world_elapse(w, SETTLE_MS);
	world_answer_look(
	    w, (struct answer){ ANSWER_COMPLETE, .http_status = 429, .retry_after = "30" });
	world_elapse(w, 29999);
	assert_int_equal(w->n_looks, 0);
	world_elapse(w, 1);
	assert_int_equal(w->n_looks, 1);
}

static void an_answer_that_refuses_the_question_leads_to_the_next_place(void **state)
{
	static const struct answer answers[] = {
		{ ANSWER_COMPLETE, .http_status = 403 },
		{ ANSWER_COMPLETE, .http_status = 404 },
		{ ANSWER_COMPLETE, .http_status = 200 },
		{ ANSWER_COMPLETE, .http_status = 200, .body = { "garbage", 7 } },
		{ ANSWER_COMPLETE, .http_status = 200, .body = { "{\"value\":7}", 11 } },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		world_reopen(w, world_policy());
		w->looks_by_hand = true;
		give_doubt(w, "ann", true);
		world_elapse(w, SETTLE_MS);
		world_answer_look(w, answers[i]);
		assert_int_equal(w->n_looked[LOOK_ROSTER], 1);
		world_answer_look(w, answers[i]);
		expect_status(w, 0, "unknown");
		world_finish(w);
		expect_all_done(w);
	}
}

static void it_is_not_asked_for_ever(void **state)
{
	struct world *w = *state;
	unsigned n = 0;

	w->looks_by_hand = true;
	give_doubt(w, "ann", true);
	for (; n < 100 && w->commands[0].n_replies == 0; n++) {
		world_elapse(w, 100000);
		if (w->n_looks > 0)
			world_answer_look(w, (struct answer){ ANSWER_BROKEN, .problem = "reset" });
	}
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 6);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 6);
	expect_status(w, 0, "unknown");
	world_finish(w);
	expect_all_done(w);
}

static void throttles_before_the_doubt_are_no_looks_without_an_answer(void **state)
{
	struct world *w = *state;

	w->looks_by_hand = true;
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	for (unsigned i = 0; i < 6; i++) {
		world_answer(w, 429, "1", NULL);
		world_elapse(w, 1000);
	}
	world_break_after_effect(w);
	world_elapse(w, SETTLE_MS);
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 503 });
	world_elapse(w, 3000);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 2);
	world_look(w);
	expect_status(w, 0, "reconciled");
	world_finish(w);
	expect_all_done(w);
}

static void a_look_counts_as_a_request_of_its_call(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.call_rate = 0.1;
	policy.call_burst = 1;
	policy.settle = duration_ms(1000);
	world_reopen(w, policy);
	give_doubt(w, "ann", false);
	world_elapse(w, 9999);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	world_elapse(w, 1);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	world_elapse(w, 9999);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 0);
	world_elapse(w, 1);
	expect_status(w, 0, "unknown");
	world_finish(w);
	expect_all_done(w);
}

static void a_look_that_waits_for_its_token_takes_none_of_the_application(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.call_rate = 0.1;
	policy.call_burst = 1;
	policy.settle = duration_ms(1000);
	policy.application_rate = 1;
	policy.application_burst = 10;
	world_reopen(w, policy);
	give_doubt(w, "ann", false);
	world_elapse(w, 2000);
	for (int64_t i = 1; i <= 10; i++) {
		char call[32];

		snprintf(call, sizeof(call), "call-%lld", (long long)i);
		world_command(w, i, call, "bob");
	}
	assert_int_equal(w->n_posts, 11);
}

static void a_held_call_is_not_asked_about(void **state)
{
	struct world *w = *state;

	w->policy.settle = duration_ms(1000);
	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "a b c d e f");
	world_fail(w, ANSWER_BROKEN);
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, 1000);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f", "bob");
	expect_status(w, 0, "partial");
	expect_status(w, 1, "accepted");
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_unknown_outcome_is_looked_for_after_the_settle_time),
		WORLD_TEST(what_is_nowhere_is_unknown_and_says_what_failed),
		WORLD_TEST(resend_goes_out_once_more_after_both_looks),
		WORLD_TEST(the_roster_alone_is_the_weaker_evidence),
		WORLD_TEST(without_the_roster_only_operations_are_asked_for),
		WORLD_TEST(the_roster_proves_no_replace_and_no_move),
		WORLD_TEST(an_operation_proves_a_move),
		WORLD_TEST(the_roster_proves_nothing_for_who_was_invited_before),
		WORLD_TEST(who_was_invited_before_is_known_after_a_takeover),
		WORLD_TEST(who_is_invited_again_behind_the_doubt_is_still_proved_by_the_roster),
		WORLD_TEST(the_roster_proves_something_while_all_that_was_asked_for_is_known),
		WORLD_TEST(the_roster_proves_nothing_when_too_much_has_passed_the_doubt),
		WORLD_TEST(a_context_proves_nothing_when_too_much_has_passed_the_doubt),
		WORLD_TEST(who_stands_twice_in_a_command_is_not_proved_by_the_roster),
		WORLD_TEST(a_context_that_an_earlier_command_had_proves_nothing),
		WORLD_TEST(a_context_that_several_requests_share_proves_none_of_them),
		WORLD_TEST(participants_that_were_sent_one_by_one_prove_only_themselves),
		WORLD_TEST(a_command_that_is_sent_once_more_may_have_been_sent_before),
		WORLD_TEST(an_answer_that_says_nothing_is_asked_for_again),
		WORLD_TEST(a_look_without_a_token_is_repeated_until_there_is_one),
		WORLD_TEST(a_retry_after_is_waited_for),
		WORLD_TEST(an_answer_that_refuses_the_question_leads_to_the_next_place),
		WORLD_TEST(it_is_not_asked_for_ever),
		WORLD_TEST(throttles_before_the_doubt_are_no_looks_without_an_answer),
		WORLD_TEST(a_look_counts_as_a_request_of_its_call),
		WORLD_TEST(a_look_that_waits_for_its_token_takes_none_of_the_application),
		WORLD_TEST(a_held_call_is_not_asked_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
