/* Offsets, replies that cannot be written, and partitions that come and go. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void at_once(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
}

static void a_rejected_record_has_a_reply_and_a_dead_letter(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .raw = "{\"callId\":\"call-a\"}" });
	expect_status(w, 0, "rejected");
	expect_error(w, 0, "invalid");
	assert_int_equal(w->n_writes, 2);
	world_written(w, NULL);
	expect_stored(w, 0);
	world_written(w, NULL);
	expect_stored(w, 1);
	expect_all_done(w);
}

static void a_reply_refused_by_its_topic_goes_to_the_default_topic(void **state)
{
	struct world *w = *state;
	struct world_command *c;

	at_once(w);
	w->writes_by_hand = true;
	world_give(
	    w, (struct given){ .call = "call-a", .who = "ann", .reply_topic = "other-replies" });
	world_accept(w);
	c = world_find(w, 0, 0);
	assert_string_equal(c->reply_topic, "other-replies");
	world_written(w, "topic missing");
	assert_string_equal(c->reply_topic, "invite-replies");
	world_written(w, NULL);
	expect_stored(w, 1);
}

static void a_reply_topic_that_is_not_allowed_is_not_used(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .reply_topic = "mine" });
	world_accept(w);
	assert_string_equal(world_find(w, 0, 0)->reply_topic, "invite-replies");
}

static void a_reply_that_no_topic_takes_is_named_by_a_dead_letter(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_written(w, "too large");
	assert_int_equal(w->n_writes, 1);
	assert_int_equal(w->writes[0].kind, WRITE_DEAD_LETTER);
	world_written(w, NULL);
	expect_stored(w, 1);
}

static void an_offset_is_held_when_nothing_of_it_can_be_written(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_written(w, "too large");
	world_written(w, "too large");
	world_command(w, 1, "call-a", "ann");
	world_accept(w);
	world_written(w, NULL);
	world_finish(w);
	assert_int_equal(w->n_writes, 0);
	expect_stored(w, 0);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
}

static void a_dead_letter_that_is_refused_is_cut_short(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .raw = "nonsense" });
	world_written(w, "too large");
	assert_int_equal(w->n_writes, 2);
	world_written(w, NULL);
	world_written(w, NULL);
	expect_stored(w, 1);
}

static void fetching_pauses_when_full_and_resumes_at_half(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.commands_per_partition = 4;
	world_reopen(w, policy);
	at_once(w);
	for (int64_t i = 0; i < 4; i++)
		world_command(w, i, ((const char *[]){ "a", "b", "c", "d" })[i], "ann");
	assert_true(w->partitions[0].is_paused);
	world_accept(w);
	assert_true(w->partitions[0].is_paused);
	world_accept(w);
	assert_false(w->partitions[0].is_paused);
}

/* The map is short as long as few offsets are open. */
static void one_open_offset_far_behind_does_not_stop_its_partition(void **state)
{
	struct world *w = *state;

	w->policy.offsets_per_partition = 100;
	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1000000, "call-b", "bob");
	assert_false(w->partitions[0].is_paused);
	world_accept(w);
	world_accept(w);
	expect_stored(w, 1000001);
}

static void give_many(struct world *w, int64_t first, int64_t n)
{
	for (int64_t i = first; i < first + n; i++) {
		char call[32];

		snprintf(call, sizeof(call), "call-%lld", (long long)i);
		world_command(w, i * 100, call, "ann");
	}
}

static void fetching_pauses_when_many_offsets_far_apart_are_open(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.max_in_flight = 1000;
	world_reopen(w, policy);
	at_once(w);
	give_many(w, 0, 479);
	assert_false(w->partitions[0].is_paused);
	give_many(w, 479, 1);
	assert_true(w->partitions[0].is_paused);
	for (unsigned i = 0; i < 240; i++)
		world_accept(w);
	assert_true(w->partitions[0].is_paused);
	world_accept(w);
	assert_false(w->partitions[0].is_paused);
}

static void offsets_that_never_come_hold_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 3, "call-a", "ann");
	world_command(w, 1000000000000, "call-b", "bob");
	world_accept(w);
	expect_stored(w, 1000000000000);
	world_position(w, 0, 1000000000010);
	world_accept(w);
	expect_stored(w, 1000000000010);
	world_position(w, 0, 1000000000020);
	expect_stored(w, 1000000000020);
}

static void a_record_that_comes_again_is_counted_and_not_sent(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 5, "call-a", "ann");
	world_accept(w);
	world_command(w, 5, "call-a", "ann");
	world_command(w, 4, "call-a", "ann");
	assert_int_equal(w->n_posts, 1);
	assert_int_equal(w->metrics.values[METRIC_commands_repeated], 2);
}

static void when_revoked_what_was_not_started_is_left_and_what_was_started_finishes(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "+4930123456 +4930123457");
	world_command(w, 2, "call-a", "bob");
	world_revoke(w, 0);
	world_command(w, 3, "call-c", "dora");
	assert_int_equal(w->n_posts, 2);
	world_accept(w);
	world_accept(w);
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_written(w, NULL);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_written(w, NULL);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	expect_stored(w, 2);
	EXPECT_REQUESTS(w, "ann", "+4930123456", "+4930123457");
	world_finish(w);
	assert_int_equal(w->n_posts, 3);
}

/* The map tells the next owner what is replied behind it. */
static void when_revoked_what_stands_before_a_started_command_is_left_too(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_command(w, 2, "call-b", "carl");
	world_revoke(w, 0);
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	expect_stored(w, 1);
	world_restart(w);
	world_elapse(w, 5000);
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "carl", "bob");
	expect_stored(w, 3);
	world_finish(w);
	expect_all_done(w);
}

static void a_request_that_had_no_effect_is_left_when_its_partition_is_revoked(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	world_answer(w, 429, "1", NULL);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_finish(w);
	assert_int_equal(w->n_posts, 1);
	assert_null(world_find(w, 0, 0)->reply);
}

static void an_idle_partition_is_quiet_at_once(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_finish(w);
	assert_int_equal(w->n_alarms, 0);
}

static void drain_is_revoke_for_all_partitions(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_assign(w, 1, 2, 2);
	world_command(w, 0, "call-a", "ann");
	world_drain(w);
	assert_int_equal(w->partitions[0].n_quiet, 0);
	assert_int_equal(w->partitions[1].n_quiet, 1);
	assert_false(engine_is_quiet(w->engine));
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	assert_true(engine_is_quiet(w->engine));
	expect_stored(w, 1);
}

static void a_late_answer_to_a_forgotten_partition_changes_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_forget(w, 0);
	assert_int_equal(w->metrics.values[METRIC_in_flight], 1);
	buffer_clear(&w->trace);
	world_accept(w);
	expect_trace(w, "");
	assert_null(world_find(w, 0, 0)->reply);
	world_finish(w);
	assert_int_equal(w->n_alarms, 0);
	assert_true(engine_is_quiet(w->engine));
}

static void a_late_mark_of_a_forgotten_partition_sends_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->marks_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_forget(w, 0);
	world_mark(w);
	assert_int_equal(w->n_posts, 0);
	assert_true(engine_is_quiet(w->engine));
}

static void a_late_write_of_a_forgotten_partition_stores_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_forget(w, 0);
	world_assign(w, 0, 1, 1);
	world_written(w, NULL);
	assert_int_equal(w->partitions[0].stored, -1);
}

static void a_partition_that_comes_back_starts_afresh(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->policy.exactly_once = false;
	world_command(w, 7, "call-a", "ann");
	world_forget(w, 0);
	world_assign(w, 0, 1, 1);
	world_command(w, 7, "call-a", "ann");
	assert_int_equal(w->n_posts, 2);
	world_accept(w);
	assert_null(world_find(w, 0, 7)->reply);
	world_accept(w);
	expect_status(w, 7, "accepted");
	expect_stored(w, 8);
	world_finish(w);
	expect_all_done(w);
}

static void events_of_partitions_that_are_not_ours_are_ignored(void **state)
{
	struct world *w = *state;

	world_forget(w, 0);
	world_command(w, 0, "call-a", "ann");
	world_position(w, 0, 10);
	world_revoke(w, 0);
	world_forget(w, 0);
	assert_int_equal(w->n_alarms, 0);
	assert_int_equal(w->metrics.values[METRIC_jobs_open], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_rejected_record_has_a_reply_and_a_dead_letter),
		WORLD_TEST(a_reply_refused_by_its_topic_goes_to_the_default_topic),
		WORLD_TEST(a_reply_topic_that_is_not_allowed_is_not_used),
		WORLD_TEST(a_reply_that_no_topic_takes_is_named_by_a_dead_letter),
		WORLD_TEST(an_offset_is_held_when_nothing_of_it_can_be_written),
		WORLD_TEST(a_dead_letter_that_is_refused_is_cut_short),
		WORLD_TEST(fetching_pauses_when_full_and_resumes_at_half),
		WORLD_TEST(one_open_offset_far_behind_does_not_stop_its_partition),
		WORLD_TEST(fetching_pauses_when_many_offsets_far_apart_are_open),
		WORLD_TEST(offsets_that_never_come_hold_nothing),
		WORLD_TEST(a_record_that_comes_again_is_counted_and_not_sent),
		WORLD_TEST(when_revoked_what_was_not_started_is_left_and_what_was_started_finishes),
		WORLD_TEST(when_revoked_what_stands_before_a_started_command_is_left_too),
		WORLD_TEST(a_request_that_had_no_effect_is_left_when_its_partition_is_revoked),
		WORLD_TEST(an_idle_partition_is_quiet_at_once),
		WORLD_TEST(drain_is_revoke_for_all_partitions),
		WORLD_TEST(a_late_answer_to_a_forgotten_partition_changes_nothing),
		WORLD_TEST(a_late_mark_of_a_forgotten_partition_sends_nothing),
		WORLD_TEST(a_late_write_of_a_forgotten_partition_stores_nothing),
		WORLD_TEST(a_partition_that_comes_back_starts_afresh),
		WORLD_TEST(events_of_partitions_that_are_not_ours_are_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
