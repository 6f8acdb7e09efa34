/* Maps that cannot be used, offsets that never come, and replies in transactions. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void at_once(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
}

/* A map with a started offset at 7; 5 is its base, and replied are 6 and 8. */
static void offer_with_gaps(struct world *w)
{
	const struct map_entry entries[] = { { .offset = 5 },
		                             { .offset = 7, .state = MAP_STARTED } };
	struct map map;
	struct buffer text;

	map_init(&map, 5);
	buffer_init(&text, MAP_TEXT_MAX);
	assert_true(map_add(&map, &entries[0]) && map_add(&map, &entries[1]));
	map.end = 9;
	assert_true(map_encode(&map, &text));
	at_once(w);
	world_forget(w, 0);
	world_offer(w, 0, 5, buffer_bytes(&text).data);
	map_close(&map);
	buffer_close(&text);
}

static void what_never_comes_again_holds_nothing(void **state)
{
	struct world *w = *state;

	offer_with_gaps(w);
	w->latency_us = 0;
	world_command(w, 9, "call-a", "ann");
	world_elapse(w, 10);
	expect_status(w, 9, "accepted");
	expect_stored(w, 10);
	world_finish(w);
	expect_all_done(w);
}

static void a_position_passes_what_was_compacted(void **state)
{
	struct world *w = *state;

	offer_with_gaps(w);
	world_position(w, 0, 12);
	expect_stored(w, 12);
}

static void expect_bad_map(struct world *w, int64_t offset, const char *map,
                           enum map_problem problem)
{
	world_offer(w, 0, offset, map);
	assert_int_equal(w->partitions[0].n_alerts, 1);
	assert_int_equal(w->partitions[0].problem, problem);
}

static void a_map_that_cannot_be_used_stops_its_partition(void **state)
{
	static const struct {
		const char *map;
		enum map_problem problem;
	} cases[] = {
		{ "", MAP_EMPTY },
		{ "2:5:00000000:sA", MAP_VERSION },
		{ "1:5:00000000:sA", MAP_CHECKSUM },
		{ "anything", MAP_MALFORMED },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_reopen(w, world_policy());
		world_forget(w, 0);
		expect_bad_map(w, 5, cases[i].map, cases[i].problem);
		assert_true(w->partitions[0].is_paused);
		world_command(w, 5, "call-a", "ann");
		world_position(w, 0, 9);
		world_elapse(w, 100);
		assert_int_equal(w->n_posts, 0);
		expect_no_reply(w, 5);
		assert_int_equal(w->partitions[0].stored, -1);
	}
}

static void a_map_of_another_offset_stops_its_partition(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_crash(w);
	expect_bad_map(w, 1, w->partitions[0].committed.map, MAP_BASE);
	assert_true(w->partitions[0].is_paused);
}

static void a_stopped_partition_is_quiet_when_it_is_revoked(void **state)
{
	struct world *w = *state;

	world_forget(w, 0);
	expect_bad_map(w, 5, "", MAP_EMPTY);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_forget(w, 0);
	assert_int_equal(w->metrics.values[METRIC_partitions_paused], 0);
}

static void with_report_everything_that_may_have_been_begun_is_in_doubt(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.on_bad_map = BAD_MAP_REPORT;
	policy.offsets_per_partition = 3;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	world_forget(w, 0);
	expect_bad_map(w, 5, "", MAP_EMPTY);
	assert_false(w->partitions[0].is_paused);
	w->latency_us = 0;
	world_command(w, 5, "call-a", "ann");
	world_command(w, 7, "call-b", "bob");
	world_command(w, 8, "call-c", "carl");
	world_finish(w);
	expect_status(w, 5, "unknown");
	expect_status(w, 7, "unknown");
	expect_status(w, 8, "accepted");
	EXPECT_REQUESTS(w, "carl");
	expect_all_done(w);
}

static void what_is_in_doubt_fits_into_a_map_however_wide_the_window(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.on_bad_map = BAD_MAP_REPORT;
	policy.offsets_per_partition = 1000000;
	world_reopen(w, policy);
	world_forget(w, 0);
	expect_bad_map(w, 5, "", MAP_EMPTY);
	world_command(w, 5, "call-a", "ann");
	world_commit(w, 0);
	world_crash(w);
	world_offer(w, 0, 5, NULL);
	assert_int_equal(w->partitions[0].n_alerts, 0);
}

static void with_trust_offset_nothing_behind_it_was_begun(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.on_bad_map = BAD_MAP_TRUST;
	world_reopen(w, policy);
	world_forget(w, 0);
	expect_bad_map(w, 5, "nonsense", MAP_MALFORMED);
	w->latency_us = 0;
	world_command(w, 5, "call-a", "ann");
	world_finish(w);
	expect_status(w, 5, "accepted");
	expect_stored(w, 6);
	expect_all_done(w);
}

static void no_map_at_offset_0_is_a_beginning(void **state)
{
	struct world *w = *state;

	world_forget(w, 0);
	w->latency_us = 0;
	world_offer(w, 0, 0, "");
	assert_int_equal(w->partitions[0].n_alerts, 0);
	expect_stored(w, 0);
	world_command(w, 0, "call-a", "ann");
	world_finish(w);
	expect_all_done(w);
}

static void without_an_offset_there_is_no_map_until_a_record_comes(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->partitions[0].stored, -1);
	world_command(w, 42, "call-a", "ann");
	expect_stored(w, 42);
}

static void replies_in_the_transaction_count_only_in_its_map(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	world_accept(w);
	world_accept(w);
	world_stage(w, 2);
	world_commit(w, 0);
	assert_int_equal(w->partitions[0].committed.offset, 0);
	world_unstage(w);
	world_stage(w, 1);
	world_commit_staged(w);
	expect_stored(w, 1);
	world_stage(w, 1);
	world_commit_staged(w);
	assert_int_equal(w->partitions[0].committed.offset, 2);
	world_finish(w);
	expect_all_done(w);
}

static void a_crash_after_the_transaction_repeats_nothing(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_stage(w, 1);
	world_commit_staged(w);
	world_restart(w);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_crash_before_the_transaction_makes_the_reply_anew(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_stage(w, 1);
	w->writes_by_hand = false;
	world_restart(w);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_reply_and_its_dead_letter_count_together(void **state)
{
	struct world *w = *state;

	w->writes_by_hand = true;
	world_give(w, (struct given){ .call = "call-a", .raw = "nonsense" });
	assert_int_equal(w->n_writes, 2);
	world_stage(w, 1);
	world_unstage(w);
	world_stage(w, 2);
	world_commit_staged(w);
	assert_int_equal(w->partitions[0].committed.offset, 1);
	expect_all_done(w);
}

static void a_reply_that_was_staged_and_then_refused_counts_no_more(void **state)
{
	struct world *w = *state;

	at_once(w);
	w->writes_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_accept(w);
	world_stage(w, 1);
	w->writes[0].is_staged = false;
	world_find(w, 0, 0)->n_in_transaction = 0;
	world_find(w, 0, 0)->is_reply_staged = false;
	world_write_done(w, 0, "too large");
	assert_int_equal(w->n_writes, 1);
	world_stage(w, 1);
	world_commit_staged(w);
	expect_stored(w, 1);
}

/* The map as it is now, a letter for each offset from its base to its end: new, started, replied.
 */
static void expect_map(struct world *w, int64_t base, const char *states)
{
	static const char letters[] = {
		[MAP_NEW] = 'n', [MAP_STARTED] = 's', [MAP_REPLIED] = 'r', [MAP_PARTLY] = 'p'
	};
	struct world_commit *commit = &w->partitions[0].committed;
	char found[64] = "";
	struct map map;

	world_commit(w, 0);
	assert_int_equal(map_decode(bytes_of(commit->map), commit->offset, &map), MAP_OK);
	for (int64_t at = map.base; at < map.end; at++)
		found[at - map.base] = letters[map_state(&map, at)];
	assert_int_equal(map.base, base);
	assert_string_equal(found, states);
	map_close(&map);
}

static void a_map_ends_with_the_last_command_that_was_begun(void **state)
{
	struct world *w = *state;

	at_once(w);
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_command(w, 2, "call-a", "cid");
	expect_map(w, 0, "s");
	world_command(w, 3, "call-b", "dan");
	world_command(w, 4, "call-a", "eve");
	expect_map(w, 0, "snns");
	world_accept_post(w, &w->posts[1]);
	expect_map(w, 0, "snnr");
	world_accept(w);
	expect_map(w, 1, "ssrs");
}

static void a_map_of_new_commands_alone_is_empty(void **state)
{
	struct world *w = *state;

	w->latency_us = 0;
	world_command(w, 0, "call-a", "ann");
	expect_map(w, 0, "");
	world_elapse(w, 30);
	expect_status(w, 0, "accepted");
	world_command(w, 1, "call-a", "bob");
	world_command(w, 2, "call-a", "cid");
	expect_map(w, 1, "");
}

static void what_was_not_read_again_stays_in_the_map(void **state)
{
	struct world *w = *state;

	offer_with_gaps(w);
	expect_map(w, 5, "nrsr");
	world_command(w, 5, "call-a", "ann");
	expect_map(w, 5, "nrsr");
	world_elapse(w, 1000);
	expect_map(w, 5, "srsr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_never_comes_again_holds_nothing),
		WORLD_TEST(a_position_passes_what_was_compacted),
		WORLD_TEST(a_map_that_cannot_be_used_stops_its_partition),
		WORLD_TEST(a_map_of_another_offset_stops_its_partition),
		WORLD_TEST(a_stopped_partition_is_quiet_when_it_is_revoked),
		WORLD_TEST(with_report_everything_that_may_have_been_begun_is_in_doubt),
		WORLD_TEST(what_is_in_doubt_fits_into_a_map_however_wide_the_window),
		WORLD_TEST(with_trust_offset_nothing_behind_it_was_begun),
		WORLD_TEST(no_map_at_offset_0_is_a_beginning),
		WORLD_TEST(without_an_offset_there_is_no_map_until_a_record_comes),
		WORLD_TEST(replies_in_the_transaction_count_only_in_its_map),
		WORLD_TEST(a_crash_after_the_transaction_repeats_nothing),
		WORLD_TEST(a_crash_before_the_transaction_makes_the_reply_anew),
		WORLD_TEST(a_reply_and_its_dead_letter_count_together),
		WORLD_TEST(a_reply_that_was_staged_and_then_refused_counts_no_more),
		WORLD_TEST(a_map_ends_with_the_last_command_that_was_begun),
		WORLD_TEST(a_map_of_new_commands_alone_is_empty),
		WORLD_TEST(what_was_not_read_again_stays_in_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
