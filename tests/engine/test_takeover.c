/* What the next owner of a partition makes of the map that the one before has committed. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SETTLE_MS 20000

static void at_once(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
}

/* What is on its way has reached Graph, and then the worker dies. */
static void crash_after_effect(struct world *w)
{
	for (size_t i = 0; i < w->n_posts; i++)
		if (w->posts[i].is_open)
			graph_apply(&w->graph, w->posts[i].call, w->posts[i].partition,
			            w->posts[i].body);
	world_restart(w);
}

static const json_t *participant(struct world *w, int64_t offset, size_t index)
{
	return json_array_get(json_object_get(world_find(w, 0, offset)->reply, "participants"),
	                      index);
}

static void expect_participant(struct world *w, int64_t offset, size_t index, const char *status)
{
	assert_string_equal(
	    json_string_value(json_object_get(participant(w, offset, index), "status")), status);
}

static const char *operation_id(struct world *w, int64_t offset, size_t index)
{
	const json_t *operations = json_object_get(world_find(w, 0, offset)->reply, "operations");
	const json_t *which = json_object_get(participant(w, offset, index), "operation");

	return json_string_value(
	    json_object_get(json_array_get(operations, (size_t)json_integer_value(which)), "id"));
}

static void what_had_failed_without_a_reply_yet_is_done_anew(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann bob");
	world_refuse(w, 409, "Conflict");
	assert_int_equal(w->n_writes, 1);
	world_commit(w, 0);
	w->writes_by_hand = false;
	world_restart(w);
	expect_rest_done(w);
	EXPECT_REQUESTS(w, "ann bob", "ann bob");
	expect_status(w, 0, "accepted");
}

static void what_is_replied_is_skipped_and_what_is_new_is_sent(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	w->policy.batch_window = duration_ms(20);
	world_command(w, 1, "call-b", "bob");
	world_command(w, 2, "call-c", "carl");
	world_accept(w);
	expect_stored(w, 1);
	world_restart(w);
	world_elapse(w, 20);
	world_accept(w);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bob", "carl");
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	world_finish(w);
	expect_all_done(w);
}

static void what_was_started_waits_for_the_settle_time_and_is_looked_for(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_restart(w);
	world_elapse(w, SETTLE_MS - 1);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	world_elapse(w, 1);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	world_elapse(w, 10);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 1);
	expect_status(w, 0, "unknown");
	expect_error(w, 0, "outcome-unknown");
	expect_evidence(w, 0, "(none)");
	expect_message(w, 0, "a worker before had begun to send it");
	expect_message(w, 0, "look for a clientContext");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void an_operation_reconciles_and_is_in_the_reply(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann bob");
	crash_after_effect(w);
	world_elapse(w, SETTLE_MS);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "operation");
	assert_string_equal(operation_id(w, 0, 1), "op-1");
	assert_int_equal(w->n_looked[LOOK_ROSTER], 0);
	world_finish(w);
	expect_all_done(w);
}

static void a_context_of_the_callers_own_reconciles_too(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .context = "mine" });
	crash_after_effect(w);
	world_elapse(w, SETTLE_MS);
	expect_status(w, 0, "reconciled");
	expect_evidence(w, 0, "operation");
	world_finish(w);
	expect_all_done(w);
}

static void the_unknown_outcome_of_a_callers_context_names_it(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .context = "mine" });
	world_restart(w);
	world_elapse(w, SETTLE_MS + 10);
	expect_message(w, 0, "look for clientContext \"mine\"");
}

static void on_unknown_resend_sends_once_more_when_nothing_is_found(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .resends = true });
	world_restart(w);
	world_elapse(w, SETTLE_MS + 10);
	EXPECT_REQUESTS(w, "ann", "ann");
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void on_unknown_resend_sends_nothing_when_it_is_found(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .resends = true });
	crash_after_effect(w);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void commands_behind_a_doubt_wait_and_other_calls_do_not(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_restart(w);
	world_command(w, 2, "call-a", "carl");
	world_command(w, 3, "call-b", "dora");
	world_elapse(w, SETTLE_MS - 10);
	EXPECT_REQUESTS(w, "ann", "dora");
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "ann", "dora", "bob carl");
	world_accept(w);
	world_accept(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_status(w, 1, "accepted");
	expect_all_done(w);
}

/* Twelve participants: five are accepted, five on their way, two not sent. */
static void give_split(struct world *w)
{
	at_once(w);
	world_command(w, 0, "call-a", "a b c d e f g h i j k l");
	world_accept(w);
	assert_int_equal(w->n_posts, 2);
}

static void of_a_split_command_only_what_was_on_its_way_is_in_doubt(void **state)
{
	struct world *w = *state;

	give_split(w);
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f g h i j", "k l");
	expect_status(w, 0, "partial");
	for (size_t i = 0; i < 12; i++)
		expect_participant(w, 0, i, i / 5 == 1 ? "unknown" : "accepted");
	assert_string_equal(operation_id(w, 0, 4), "op-1");
	assert_string_equal(operation_id(w, 0, 11), "op-2");
	expect_all_done(w);
}

static void of_a_split_command_what_is_found_is_reconciled(void **state)
{
	struct world *w = *state;

	give_split(w);
	crash_after_effect(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f g h i j", "k l");
	for (size_t i = 0; i < 12; i++)
		expect_participant(w, 0, i, i / 5 == 1 ? "reconciled" : "accepted");
	assert_string_equal(operation_id(w, 0, 9), "op-2");
	expect_all_done(w);
}

static void what_was_accepted_stays_so_when_nothing_is_found(void **state)
{
	struct world *w = *state;

	give_split(w);
	world_restart(w);
	w->looks_by_hand = true;
	w->latency_us = 0;
	world_elapse(w, SETTLE_MS);
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 404 });
	world_elapse(w, 10);
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 403 });
	world_finish(w);
	expect_participant(w, 0, 0, "accepted");
	assert_true(json_is_null(json_object_get(participant(w, 0, 0), "operation")));
	expect_participant(w, 0, 5, "unknown");
	expect_all_done(w);
}

static void what_was_refused_stays_so(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "a b c d e f g");
	world_refuse(w, 409, "Conflict");
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f g");
	expect_participant(w, 0, 4, "failed");
	expect_participant(w, 0, 5, "unknown");
	expect_all_done(w);
}

static void what_was_not_read_again_is_as_it_was_in_the_next_map(void **state)
{
	struct world *w = *state;
	char *before;

	give_split(w);
	world_command(w, 1, "call-b", "bob");
	world_command(w, 3, "call-c", "carl");
	world_accept_post(w, &w->posts[w->n_posts - 1]);
	before = strdup(w->partitions[0].committed.map);
	world_crash(w);
	world_offer(w, 0, 0, NULL);
	world_commit(w, 0);
	assert_string_equal(w->partitions[0].committed.map, before);
	free(before);
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	expect_participant(w, 0, 0, "accepted");
	expect_status(w, 1, "unknown");
	expect_status(w, 3, "accepted");
	assert_int_equal(w->n_posts, 5);
	expect_all_done(w);
}

static void two_takeovers_forget_nothing(void **state)
{
	struct world *w = *state;

	give_split(w);
	world_restart(w);
	world_command(w, 1, "call-b", "bob");
	world_elapse(w, 10);
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f g h i j", "bob", "k l");
	expect_participant(w, 0, 0, "accepted");
	expect_participant(w, 0, 5, "unknown");
	expect_participant(w, 0, 10, "accepted");
	expect_status(w, 1, "unknown");
	expect_all_done(w);
}

static void what_was_replied_is_not_worked_on_when_it_comes_again(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	world_accept_post(w, &w->posts[1]);
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "bob");
	expect_stored(w, 2);
	expect_all_done(w);
}

static void doubts_are_left_at_once_when_their_partition_is_revoked(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_restart(w);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_elapse(w, SETTLE_MS + 10);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 0);
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_all_done(w);
}

static void a_doubt_that_is_being_looked_at_is_left_with_the_answer(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->looks_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_restart(w);
	world_elapse(w, SETTLE_MS);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_look(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	assert_int_equal(w->n_looks, 0);
	expect_no_reply(w, 0);
}

static void a_doubt_is_left_also_with_an_answer_that_says_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->looks_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_restart(w);
	world_elapse(w, SETTLE_MS);
	world_revoke(w, 0);
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 503 });
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_finish(w);
	assert_int_equal(w->n_looked[LOOK_OPERATIONS], 1);
	expect_no_reply(w, 0);
}

/* Offset 0 is new, and 1 was begun. */
static void offer_one_begun(struct world *w)
{
	const struct map_entry entries[] = { { .offset = 0, .state = MAP_NEW },
		                             { .offset = 1, .state = MAP_STARTED } };
	struct map map;
	struct buffer text;

	map_init(&map, 0);
	for (size_t i = 0; i < 2; i++)
		assert_true(map_add(&map, &entries[i]));
	map.end = 2;
	buffer_init(&text, MAP_TEXT_MAX);
	assert_true(map_encode(&map, &text));
	world_offer(w, 0, 0, buffer_bytes(&text).data);
	buffer_close(&text);
	map_close(&map);
}

static void a_doubt_that_came_during_a_request_is_left_with_its_answer(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_crash(w);
	offer_one_begun(w);
	world_command(w, 0, "call-a", "ann");
	world_elapse(w, 10);
	assert_int_equal(world_open_posts(w), 1);
	world_command(w, 1, "call-a", "bob");
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_accept(w);
	expect_status(w, 0, "accepted");
	assert_int_equal(w->partitions[0].n_quiet, 1);
	expect_no_reply(w, 1);
}

static void an_answer_that_leaves_a_doubt_ends_a_revoked_partition(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_drain(w);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_break_after_effect(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	assert_true(engine_is_quiet(w->engine));
	expect_no_reply(w, 0);
	world_commit(w, 0);
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_all_done(w);
}

static void what_comes_after_the_revoke_is_still_started_in_the_map(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_crash(w);
	world_offer(w, 0, 0, NULL);
	world_revoke(w, 0);
	world_read(w, 0);
	world_commit(w, 0);
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_late_answer_to_a_look_of_a_forgotten_partition_changes_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->looks_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_restart(w);
	world_elapse(w, SETTLE_MS);
	world_forget(w, 0);
	assert_true(engine_is_quiet(w->engine));
	buffer_clear(&w->trace);
	world_look(w);
	expect_trace(w, "");
}

static void a_command_that_expires_between_its_mark_and_its_request_is_not_sent(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->marks_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .expires_in_ms = 1000 });
	world_command(w, 1, "call-b", "bob");
	w->now = instant_add(w->now, duration_ms(1000));
	world_mark(w);
	expect_status(w, 0, "expired");
	expect_attempts(w, 0, 0);
	world_mark(w);
	EXPECT_REQUESTS(w, "bob");
}

static void its_company_is_sent_without_it(void **state)
{
	struct world *w = *state;

	w->marks_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .expires_in_ms = 1000 });
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, 20);
	w->now = instant_add(w->now, duration_ms(1000));
	world_mark(w);
	expect_status(w, 0, "expired");
	world_mark(w);
	EXPECT_REQUESTS(w, "bob");
}

static void at_least_once_sends_again_what_was_started_and_skips_what_is_replied(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.exactly_once = false;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	world_accept_post(w, &w->posts[1]);
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "bob", "ann");
	expect_status(w, 0, "accepted");
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_had_failed_without_a_reply_yet_is_done_anew),
		WORLD_TEST(what_is_replied_is_skipped_and_what_is_new_is_sent),
		WORLD_TEST(what_was_started_waits_for_the_settle_time_and_is_looked_for),
		WORLD_TEST(an_operation_reconciles_and_is_in_the_reply),
		WORLD_TEST(a_context_of_the_callers_own_reconciles_too),
		WORLD_TEST(the_unknown_outcome_of_a_callers_context_names_it),
		WORLD_TEST(on_unknown_resend_sends_once_more_when_nothing_is_found),
		WORLD_TEST(on_unknown_resend_sends_nothing_when_it_is_found),
		WORLD_TEST(commands_behind_a_doubt_wait_and_other_calls_do_not),
		WORLD_TEST(of_a_split_command_only_what_was_on_its_way_is_in_doubt),
		WORLD_TEST(of_a_split_command_what_is_found_is_reconciled),
		WORLD_TEST(what_was_accepted_stays_so_when_nothing_is_found),
		WORLD_TEST(what_was_refused_stays_so),
		WORLD_TEST(what_was_not_read_again_is_as_it_was_in_the_next_map),
		WORLD_TEST(two_takeovers_forget_nothing),
		WORLD_TEST(what_was_replied_is_not_worked_on_when_it_comes_again),
		WORLD_TEST(doubts_are_left_at_once_when_their_partition_is_revoked),
		WORLD_TEST(a_doubt_that_is_being_looked_at_is_left_with_the_answer),
		WORLD_TEST(a_doubt_is_left_also_with_an_answer_that_says_nothing),
		WORLD_TEST(a_doubt_that_came_during_a_request_is_left_with_its_answer),
		WORLD_TEST(an_answer_that_leaves_a_doubt_ends_a_revoked_partition),
		WORLD_TEST(what_comes_after_the_revoke_is_still_started_in_the_map),
		WORLD_TEST(a_late_answer_to_a_look_of_a_forgotten_partition_changes_nothing),
		WORLD_TEST(a_command_that_expires_between_its_mark_and_its_request_is_not_sent),
		WORLD_TEST(its_company_is_sent_without_it),
		WORLD_TEST(at_least_once_sends_again_what_was_started_and_skips_what_is_replied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
