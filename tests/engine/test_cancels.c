/* Withdrawing commands: what has not left never leaves, both get their reply, and it holds through
 * crashes. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN "a b c d e f g h i j"

static void give(struct world *w, int64_t offset, const char *who)
{
	world_give(w,
	           (struct given){ .offset = offset, .call = "call-a", .who = who, .id = "one" });
}

static void cancel(struct world *w, int64_t offset)
{
	world_give(w, (struct given){ .offset = offset, .call = "call-a", .cancel = "one" });
}

static void cancel_id(struct world *w, int64_t offset, const char *id)
{
	world_give(w, (struct given){ .offset = offset, .call = "call-a", .cancel = id });
}

static const char *member(struct world *w, int64_t offset, const char *name)
{
	return json_string_value(json_object_get(world_find(w, 0, offset)->reply, name));
}

/* It was withdrawn by the cancel behind it, and both replies say so. */
static void expect_withdrawn(struct world *w, int64_t offset, int64_t by)
{
	expect_status(w, offset, "canceled");
	expect_error(w, offset, "canceled");
	expect_status(w, by, "canceled");
	assert_true(json_is_null(json_object_get(world_find(w, 0, by)->reply, "error")));
	assert_string_equal(member(w, by, "cancel"), "one");
}

static void expect_in_vain(struct world *w, int64_t offset, const char *code)
{
	expect_status(w, offset, "failed");
	expect_error(w, offset, code);
	assert_int_equal(
	    json_array_size(json_object_get(world_find(w, 0, offset)->reply, "participants")), 0);
}

static void expect_participants(struct world *w, int64_t offset, size_t n, const char *first,
                                const char *rest)
{
	const json_t *all = json_object_get(world_find(w, 0, offset)->reply, "participants"), *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		assert_string_equal(json_string_value(json_object_get(one, "status")),
		                    i < n ? first : rest);
	}
}

static void expect_end(struct world *w)
{
	world_finish(w);
	expect_all_done(w);
}

static void at_once(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
}

static void a_command_that_waits_is_withdrawn(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann");
	cancel(w, 1);
	expect_withdrawn(w, 0, 1);
	assert_true(json_is_null(json_object_get(world_find(w, 0, 0)->reply, "cancel")));
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
	assert_int_equal(w->metrics.values[METRIC_replies_canceled], 2);
}

static void its_reply_comes_behind_that_of_the_command(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	give(w, 0, "ann");
	cancel(w, 1);
	expect_status(w, 0, "canceled");
	expect_no_reply(w, 1);
	world_written(w, NULL);
	expect_withdrawn(w, 0, 1);
	world_written(w, NULL);
	expect_stored(w, 2);
	expect_end(w);
}

static void an_id_of_the_workers_making_can_be_withdrawn(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	cancel_id(w, 1, "invite-commands-0-0");
	expect_status(w, 0, "canceled");
	expect_status(w, 1, "canceled");
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

static void the_others_of_its_call_go_on(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	give(w, 1, "bob");
	world_command(w, 2, "call-a", "carl");
	cancel(w, 3);
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "ann carl");
	world_accept(w);
	expect_withdrawn(w, 1, 3);
	expect_end(w);
}

static void what_was_sent_is_too_late(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann");
	cancel(w, 1);
	expect_no_reply(w, 1);
	world_accept(w);
	expect_status(w, 0, "accepted");
	expect_in_vain(w, 1, "too-late");
	expect_end(w);
}

static void what_is_answered_is_too_late(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann");
	world_accept(w);
	cancel(w, 1);
	expect_in_vain(w, 1, "too-late");
	world_command(w, 2, "call-a", "bob");
	world_accept(w);
	cancel_id(w, 3, "invite-commands-0-2");
	expect_in_vain(w, 3, "too-late");
	expect_end(w);
}

static void what_is_canceled_is_too_late_for_the_next_cancel(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann");
	cancel(w, 1);
	cancel(w, 2);
	expect_withdrawn(w, 0, 1);
	expect_in_vain(w, 2, "too-late");
	expect_end(w);
}

static void what_is_not_there_is_not_found(void **state)
{
	static const char *const ids[] = { "two",
		                           "invite-commands-0-5",
		                           "invite-commands-0-99",
		                           "invite-commands-0-",
		                           "invite-commands-0-x",
		                           "invite-commands-1-0",
		                           "another-topic-0-0",
		                           "invite-commands-0-99999999999999999999" };
	struct world *w = *state;

	world_give(w, (struct given){ .call = "call-b", .who = "ann", .id = "two" });
	for (int64_t i = 0; i < 8; i++) {
		cancel_id(w, 1 + i, ids[i]);
		expect_in_vain(w, 1 + i, "not-found");
	}
	cancel_id(w, 9, "invite-commands-0-0");
	expect_in_vain(w, 9, "not-found");
	world_elapse(w, 20);
	world_accept(w);
	expect_end(w);
	EXPECT_REQUESTS(w, "ann");
}

static void a_cancel_before_its_command_is_not_found(void **state)
{
	struct world *w = *state;

	cancel(w, 0);
	expect_in_vain(w, 0, "not-found");
	give(w, 1, "ann");
	world_elapse(w, 20);
	world_accept(w);
	expect_status(w, 1, "accepted");
	expect_end(w);
}

static void a_request_that_waits_for_its_mark_is_held_back(void **state)
{
	struct world *w = *state;

	w->marks_by_hand = true;
	give(w, 0, "ann");
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, 20);
	assert_int_equal(w->n_marks, 1);
	cancel(w, 2);
	expect_withdrawn(w, 0, 2);
	expect_attempts(w, 0, 0);
	assert_int_equal(w->n_marks, 2);
	world_mark(w);
	assert_int_equal(w->n_posts, 0);
	world_mark(w);
	EXPECT_REQUESTS(w, "bob");
	world_accept(w);
	expect_end(w);
}

static void what_is_left_of_a_split_command_is_withdrawn(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN);
	cancel(w, 1);
	expect_no_reply(w, 0);
	expect_no_reply(w, 1);
	world_accept(w);
	expect_status(w, 0, "partial");
	expect_participants(w, 0, 5, "accepted", "canceled");
	expect_status(w, 1, "canceled");
	expect_end(w);
	EXPECT_REQUESTS(w, "a b c d e");
}

static void what_comes_back_without_effect_is_withdrawn(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann");
	cancel(w, 1);
	world_answer(w, 429, "10", NULL);
	expect_withdrawn(w, 0, 1);
	expect_end(w);
	EXPECT_REQUESTS(w, "ann");
}

static void a_refused_batch_is_not_sent_again_without_its_leave(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann bob");
	world_command(w, 1, "call-a", "carl");
	world_elapse(w, 20);
	cancel(w, 2);
	world_refuse(w, 400, "BadRequest");
	expect_withdrawn(w, 0, 2);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann bob carl", "carl");
	expect_end(w);
}

static void a_held_call_lets_go_what_is_withdrawn(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann");
	world_answer(w, 429, "60", NULL);
	world_elapse(w, 1000);
	cancel(w, 1);
	expect_withdrawn(w, 0, 1);
	expect_end(w);
	EXPECT_REQUESTS(w, "ann");
}

static void what_is_in_doubt_is_judged_by_evidence(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, "ann");
	world_break_after_effect(w);
	cancel(w, 1);
	world_elapse(w, 10000);
	expect_no_reply(w, 0);
	expect_no_reply(w, 1);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_in_vain(w, 1, "too-late");
	expect_end(w);
}

static void what_is_in_doubt_is_not_sent_once_more(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w,
	           (struct given){ .call = "call-a", .who = "ann", .id = "one", .resends = true });
	world_fail(w, ANSWER_BROKEN);
	cancel(w, 1);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_in_vain(w, 1, "too-late");
	EXPECT_REQUESTS(w, "ann");
	expect_end(w);
}

static void what_is_in_doubt_in_part_loses_the_rest(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN);
	world_break_after_effect(w);
	cancel(w, 1);
	world_finish(w);
	expect_status(w, 0, "partial");
	expect_participants(w, 0, 5, "reconciled", "canceled");
	expect_status(w, 1, "canceled");
	EXPECT_REQUESTS(w, "a b c d e");
	expect_end(w);
}

static void duplicates_follow_what_is_withdrawn(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann");
	world_give(w, (struct given){ .offset = 1, .call = "call-a", .repeats = true });
	cancel(w, 2);
	expect_withdrawn(w, 0, 2);
	expect_status(w, 1, "duplicate");
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

static void a_cancel_has_an_id_of_its_own_that_counts_once(void **state)
{
	struct world *w = *state;
	struct given given = { .offset = 1, .call = "call-a", .cancel = "one", .id = "stop" };

	give(w, 0, "ann");
	world_give(w, given);
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .repeats = true, .first = 1 });
	expect_withdrawn(w, 0, 1);
	expect_status(w, 2, "duplicate");
	given.offset = 3;
	given.id = "one";
	world_give(w, given);
	expect_status(w, 3, "rejected");
	expect_error(w, 3, "reused-id");
	given.offset = 4;
	given.cancel = given.id = "none";
	world_give(w, given);
	expect_in_vain(w, 4, "not-found");
	expect_end(w);
}

static void a_cancel_that_is_not_valid_is_rejected(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann");
	world_give(w, (struct given){ .offset = 1,
	                              .call = "call-a",
	                              .raw = "{\"callId\":\"call-a\",\"cancel\":\"one\","
	                                     "\"priority\":\"high\"}" });
	expect_status(w, 1, "rejected");
	expect_message(w, 1, "$.priority: not a member of a cancel");
	world_elapse(w, 20);
	world_accept(w);
	expect_end(w);
	EXPECT_REQUESTS(w, "ann");
}

static void an_old_cancel_still_counts(void **state)
{
	struct world *w = *state;

	give(w, 0, "ann");
	world_give(
	    w, (struct given){
	           .offset = 1, .call = "call-a", .cancel = "one", .age_ms = INT64_C(7200000) });
	expect_withdrawn(w, 0, 1);
	expect_end(w);
}

/* Neither reply was stored: all is read again, and comes to the same. */
static void what_a_crash_undoes_is_done_again(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	give(w, 0, "ann");
	cancel(w, 1);
	expect_status(w, 0, "canceled");
	world_commit(w, 0);
	w->writes_by_hand = false;
	world_restart(w);
	expect_withdrawn(w, 0, 1);
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

/* The command's reply was stored, the cancel's was not: it does not change what was said. */
static void a_cancel_that_is_read_again_changes_no_reply(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	give(w, 0, "ann");
	cancel(w, 1);
	world_written(w, NULL);
	w->writes_by_hand = false;
	world_restart(w);
	expect_status(w, 0, "canceled");
	expect_in_vain(w, 1, "too-late");
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

/* The rest was withdrawn in memory only; nobody was told. The next owner does it again. */
static void the_rest_of_a_split_command_is_withdrawn_again_after_a_crash(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN);
	cancel(w, 1);
	graph_apply(&w->graph, "call-a", 0, w->posts[0].body);
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "partial");
	expect_participants(w, 0, 5, "reconciled", "canceled");
	expect_status(w, 1, "canceled");
	EXPECT_REQUESTS(w, "a b c d e");
	expect_end(w);
}

static void a_mark_that_was_committed_is_judged_by_evidence_after_a_crash(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = w->marks_by_hand = true;
	give(w, 0, "ann");
	world_commit(w, 0);
	cancel(w, 1);
	expect_status(w, 0, "canceled");
	w->writes_by_hand = w->marks_by_hand = false;
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_in_vain(w, 1, "too-late");
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

static void a_revocation_waits_for_both_replies(void **state)
{
	struct world *w = *state;

	at_once(w);
	give(w, 0, TEN);
	cancel(w, 1);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	expect_status(w, 0, "partial");
	expect_status(w, 1, "canceled");
	expect_stored(w, 2);
}

static void at_least_once_withdraws_too(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.exactly_once = false;
	world_reopen(w, policy);
	give(w, 0, "ann");
	cancel(w, 1);
	expect_withdrawn(w, 0, 1);
	expect_end(w);
	assert_int_equal(w->n_posts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_command_that_waits_is_withdrawn),
		WORLD_TEST(its_reply_comes_behind_that_of_the_command),
		WORLD_TEST(an_id_of_the_workers_making_can_be_withdrawn),
		WORLD_TEST(the_others_of_its_call_go_on),
		WORLD_TEST(what_was_sent_is_too_late),
		WORLD_TEST(what_is_answered_is_too_late),
		WORLD_TEST(what_is_canceled_is_too_late_for_the_next_cancel),
		WORLD_TEST(what_is_not_there_is_not_found),
		WORLD_TEST(a_cancel_before_its_command_is_not_found),
		WORLD_TEST(a_request_that_waits_for_its_mark_is_held_back),
		WORLD_TEST(what_is_left_of_a_split_command_is_withdrawn),
		WORLD_TEST(what_comes_back_without_effect_is_withdrawn),
		WORLD_TEST(a_refused_batch_is_not_sent_again_without_its_leave),
		WORLD_TEST(a_held_call_lets_go_what_is_withdrawn),
		WORLD_TEST(what_is_in_doubt_is_judged_by_evidence),
		WORLD_TEST(what_is_in_doubt_is_not_sent_once_more),
		WORLD_TEST(what_is_in_doubt_in_part_loses_the_rest),
		WORLD_TEST(duplicates_follow_what_is_withdrawn),
		WORLD_TEST(a_cancel_has_an_id_of_its_own_that_counts_once),
		WORLD_TEST(a_cancel_that_is_not_valid_is_rejected),
		WORLD_TEST(an_old_cancel_still_counts),
		WORLD_TEST(what_a_crash_undoes_is_done_again),
		WORLD_TEST(a_cancel_that_is_read_again_changes_no_reply),
		WORLD_TEST(the_rest_of_a_split_command_is_withdrawn_again_after_a_crash),
		WORLD_TEST(a_mark_that_was_committed_is_judged_by_evidence_after_a_crash),
		WORLD_TEST(a_revocation_waits_for_both_replies),
		WORLD_TEST(at_least_once_withdraws_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
