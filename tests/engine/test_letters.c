/* What failed goes to the dead letters when the policy says so, as it came. */
#include "engine/expect.h"

#include "worker/base/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void with_letters(struct world *w)
{
	struct policy policy = world_policy();

	policy.dead_letter_failed = true;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
}

static void give(struct world *w, int64_t offset, const char *who)
{
	world_give(w, (struct given){ .offset = offset, .call = "call-a", .who = who });
}

static void expect_letter(struct world *w, int64_t offset, const char *reason)
{
	const struct world_command *c = world_find(w, 0, offset);

	assert_int_equal(c->n_dead_letters, 1);
	assert_true(c->has_dead_value);
	assert_string_equal(c->dead_letter_reason, reason);
}

static void what_failed_has_a_letter_with_the_reason_of_its_reply(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	expect_status(w, 0, "failed");
	expect_letter(w, 0, "refused");
	world_finish(w);
	expect_all_done(w);
	assert_int_equal(w->metrics.values[METRIC_dead_letters], 1);
}

static void all_that_waits_for_a_call_that_is_over_has_one(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_accept(w);
	give(w, 1, "bob");
	give(w, 2, "carl");
	world_refuse(w, 404, "8522");
	for (int64_t i = 1; i < 3; i++)
		expect_letter(w, i, "call-over");
	world_finish(w);
	expect_all_done(w);
}

static void what_is_unknown_is_marked_as_such(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_fail(w, ANSWER_BROKEN);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_letter(w, 0, "outcome-unknown");
	expect_all_done(w);
}

static void what_was_held_for_too_long_has_one_though_its_record_is_long_gone(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_answer(w, 429, "9999", NULL);
	expect_status(w, 0, "failed");
	expect_letter(w, 0, "throttled");
	world_finish(w);
	expect_all_done(w);
}

static void the_rest_has_none(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_give(
	    w, (struct given){ .offset = 1, .call = "call-a", .who = "bob", .expires_in_ms = -1 });
	expect_status(w, 1, "expired");
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .cancel = "nothing" });
	expect_status(w, 2, "failed");
	give(w, 3, "carl dora");
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	world_refuse(w, 400, "BadRequest");
	expect_status(w, 3, "partial");
	for (int64_t i = 0; i < 4; i++)
		assert_int_equal(world_find(w, 0, i)->n_dead_letters, 0);
	world_finish(w);
	expect_all_done(w);
}

static void without_the_option_there_is_none(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	expect_status(w, 0, "failed");
	assert_int_equal(world_find(w, 0, 0)->n_dead_letters, 0);
	world_finish(w);
	expect_all_done(w);
}

static void a_reply_and_its_letter_are_written_together(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	assert_int_equal(w->n_writes, 2);
	assert_true(w->writes[0].with_id == SLOTS_NONE);
	assert_true(w->writes[1].with_id == w->writes[0].id);
	world_stage(w, 2);
	world_commit_staged(w);
	expect_stored(w, 1);
	world_finish(w);
	expect_all_done(w);
}

/* The broker may have refused the letter: the reply is there, and another would be one too many. */
static void a_reply_counts_without_its_letter(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	world_stage(w, 1);
	expect_stored(w, 0);
	world_commit_staged(w);
	assert_int_equal(w->partitions[0].committed.offset, 1);
	expect_stored(w, 1);
	assert_int_equal(w->n_writes, 1);
	world_written(w, NULL);
	expect_stored(w, 1);
	world_finish(w);
	expect_all_done(w);
}

static void store_reply_alone(struct world *w)
{
	with_letters(w);
	w->writes_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .resends = true });
	world_refuse(w, 409, "Conflict");
	world_stage(w, 1);
	world_commit_staged(w);
	w->writes_by_hand = false;
}

static void expect_nothing_more(struct world *w)
{
	world_restart(w);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	assert_int_equal(world_find(w, 0, 0)->n_replies, 0);
}

static void a_crash_between_a_reply_and_its_letter_repeats_nothing(void **state)
{
	struct world *w = *state;

	store_reply_alone(w);
	expect_nothing_more(w);
}

static void a_plain_commit_between_a_reply_and_its_letter_takes_nothing_back(void **state)
{
	struct world *w = *state;

	store_reply_alone(w);
	world_commit(w, 0);
	assert_int_equal(w->partitions[0].committed.offset, 1);
	expect_nothing_more(w);
}

/* Without a transaction one of them can be there alone at any time. */
static void at_least_once_the_offset_is_held_until_both_are_stored(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.dead_letter_failed = true;
	policy.exactly_once = false;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	world_written(w, NULL);
	expect_stored(w, 0);
	world_written(w, NULL);
	expect_stored(w, 1);
}

/* The reply waits still: the short letter goes with it, as the whole one would have. */
static void a_letter_that_is_cut_short_goes_with_its_reply(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	world_write_done(w, 1, "too large");
	assert_int_equal(w->n_writes, 2);
	assert_true(w->writes[1].with_id == w->writes[0].id);
	world_stage(w, 2);
	world_commit_staged(w);
	expect_stored(w, 1);
}

/* That is all there is to be done for it. */
static void a_letter_that_nobody_takes_holds_no_reply(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	world_write_done(w, 1, "too large");
	world_write_done(w, 1, "too large");
	expect_stored(w, 0);
	world_written(w, NULL);
	expect_stored(w, 1);
	assert_int_equal(w->metrics.values[METRIC_jobs_open], 0);
	world_restart(w);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
}

static void what_waits_for_such_a_command_has_its_reply(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	world_give(w, (struct given){ .offset = 0, .call = "call-a", .who = "ann", .id = "one" });
	world_refuse(w, 409, "Conflict");
	world_write_done(w, 1, "too large");
	world_write_done(w, 1, "too large");
	world_give(w, (struct given){ .offset = 1, .repeats = true, .first = 0 });
	expect_no_reply(w, 1);
	world_written(w, NULL);
	expect_status(w, 1, "duplicate");
	world_written(w, NULL);
	expect_stored(w, 2);
}

static void a_letter_that_is_refused_is_cut_short(void **state)
{
	struct world *w = *state;

	with_letters(w);
	w->writes_by_hand = true;
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	world_written(w, NULL);
	world_written(w, "too large");
	assert_int_equal(w->n_writes, 1);
	assert_false(world_find(w, 0, 0)->has_dead_value);
	assert_string_equal(world_find(w, 0, 0)->dead_letter_reason, "failed");
	world_written(w, NULL);
	expect_stored(w, 1);
}

static void the_next_owner_writes_it_too(void **state)
{
	struct world *w = *state;

	with_letters(w);
	give(w, 0, "ann");
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_letter(w, 0, "outcome-unknown");
	expect_all_done(w);
}

static void at_least_once_writes_it_too(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.dead_letter_failed = true;
	policy.exactly_once = false;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	give(w, 0, "ann");
	world_refuse(w, 409, "Conflict");
	expect_letter(w, 0, "refused");
	world_finish(w);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_failed_has_a_letter_with_the_reason_of_its_reply),
		WORLD_TEST(all_that_waits_for_a_call_that_is_over_has_one),
		WORLD_TEST(what_is_unknown_is_marked_as_such),
		WORLD_TEST(what_was_held_for_too_long_has_one_though_its_record_is_long_gone),
		WORLD_TEST(the_rest_has_none),
		WORLD_TEST(without_the_option_there_is_none),
		WORLD_TEST(a_reply_and_its_letter_are_written_together),
		WORLD_TEST(a_reply_counts_without_its_letter),
		WORLD_TEST(a_crash_between_a_reply_and_its_letter_repeats_nothing),
		WORLD_TEST(a_plain_commit_between_a_reply_and_its_letter_takes_nothing_back),
		WORLD_TEST(at_least_once_the_offset_is_held_until_both_are_stored),
		WORLD_TEST(a_letter_that_is_cut_short_goes_with_its_reply),
		WORLD_TEST(a_letter_that_nobody_takes_holds_no_reply),
		WORLD_TEST(what_waits_for_such_a_command_has_its_reply),
		WORLD_TEST(a_letter_that_is_refused_is_cut_short),
		WORLD_TEST(the_next_owner_writes_it_too),
		WORLD_TEST(at_least_once_writes_it_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
