/* The same commandId twice for a call: sent once, and every record has its reply. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void give_first(struct world *w)
{
	w->policy.batch_window = duration_ms(0);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .id = "one" });
}

static void repeat(struct world *w, int64_t offset)
{
	world_give(w, (struct given){ .offset = offset, .call = "call-a", .repeats = true });
}

static void expect_duplicate_of(struct world *w, int64_t offset, int64_t first)
{
	const json_t *place = json_object_get(world_find(w, 0, offset)->reply, "duplicateOf");

	expect_status(w, offset, "duplicate");
	assert_string_equal(json_string_value(json_object_get(place, "topic")), "invite-commands");
	assert_int_equal(json_integer_value(json_object_get(place, "partition")), 0);
	assert_true(json_is_integer(json_object_get(place, "offset")));
	assert_int_equal(json_integer_value(json_object_get(place, "offset")), first);
}

static void a_duplicate_waits_for_the_first_and_points_to_it(void **state)
{
	struct world *w = *state;

	give_first(w);
	repeat(w, 1);
	expect_no_reply(w, 1);
	w->writes_by_hand = true;
	world_accept(w);
	expect_status(w, 0, "accepted");
	expect_no_reply(w, 1);
	world_written(w, NULL);
	expect_duplicate_of(w, 1, 0);
	assert_true(json_is_null(json_object_get(world_find(w, 0, 0)->reply, "duplicateOf")));
	world_written(w, NULL);
	EXPECT_REQUESTS(w, "ann");
	expect_stored(w, 2);
	world_finish(w);
	expect_all_done(w);
}

static void a_duplicate_of_what_is_replied_is_replied_to_at_once(void **state)
{
	struct world *w = *state;

	give_first(w);
	world_accept(w);
	repeat(w, 1);
	expect_duplicate_of(w, 1, 0);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void all_duplicates_point_to_the_first_in_their_order(void **state)
{
	struct world *w = *state;

	give_first(w);
	for (int64_t i = 1; i < 4; i++)
		repeat(w, i);
	w->writes_by_hand = true;
	world_accept(w);
	world_written(w, NULL);
	assert_int_equal(w->n_writes, 3);
	for (int64_t i = 1; i < 4; i++) {
		assert_int_equal(w->writes[i - 1].command, i);
		expect_duplicate_of(w, i, 0);
	}
	w->writes_by_hand = false;
	world_position(w, 0, 4);
	expect_stored(w, 4);
	world_finish(w);
	expect_all_done(w);
}

static void a_duplicate_follows_a_first_that_was_not_accepted(void **state)
{
	struct world *w = *state;

	give_first(w);
	repeat(w, 1);
	world_refuse(w, 409, "Conflict");
	expect_status(w, 0, "failed");
	expect_duplicate_of(w, 1, 0);
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_duplicate_of_a_doubt_waits_for_its_end(void **state)
{
	struct world *w = *state;

	give_first(w);
	repeat(w, 1);
	world_break_after_effect(w);
	world_elapse(w, 10000);
	expect_no_reply(w, 1);
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_duplicate_of(w, 1, 0);
	expect_all_done(w);
}

static void another_call_or_another_id_is_no_duplicate(void **state)
{
	struct world *w = *state;

	give_first(w);
	world_give(w, (struct given){ .offset = 1, .call = "call-b", .who = "ann", .id = "one" });
	world_give(w, (struct given){ .offset = 2, .call = "call-c", .who = "ann", .id = "two" });
	world_command(w, 3, "call-d", "ann");
	world_command(w, 4, "call-e", "ann");
	assert_int_equal(w->n_posts, 5);
}

static void the_same_id_with_other_content_is_rejected_and_kept(void **state)
{
	struct world *w = *state;

	give_first(w);
	world_give(w, (struct given){ .offset = 1, .call = "call-a", .who = "bob", .id = "one" });
	expect_status(w, 1, "rejected");
	expect_error(w, 1, "reused-id");
	expect_message(w, 1, "offset 0 has it");
	assert_int_equal(world_find(w, 0, 1)->n_dead_letters, 1);
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void what_is_rejected_for_its_id_tells_of_its_id_and_of_nobody(void **state)
{
	struct world *w = *state;
	const json_t *reply;

	give_first(w);
	world_give(w, (struct given){
	                  .offset = 1, .call = "call-a", .who = "bob carl dora", .id = "one" });
	expect_error(w, 1, "reused-id");
	reply = world_find(w, 0, 1)->reply;
	assert_string_equal(json_string_value(json_object_get(reply, "commandId")), "one");
	assert_string_equal(json_string_value(json_object_get(reply, "callId")), "call-a");
	assert_int_equal(json_array_size(json_object_get(reply, "participants")), 0);
}

static void what_is_redriven_is_sent_again(void **state)
{
	struct world *w = *state;

	give_first(w);
	world_accept(w);
	world_give(w, (struct given){
	                  .offset = 1, .call = "call-a", .repeats = true, .is_redriven = true });
	world_accept(w);
	expect_status(w, 1, "accepted");
	EXPECT_REQUESTS(w, "ann", "ann");
	world_finish(w);
	expect_all_done(w);
}

static void ids_are_known_after_a_restart(void **state)
{
	struct world *w = *state;

	give_first(w);
	world_accept(w);
	world_command(w, 1, "call-b", "bob");
	world_restart(w);
	repeat(w, 2);
	expect_duplicate_of(w, 2, 0);
	world_give(w, (struct given){ .offset = 3, .call = "call-a", .who = "carl", .id = "one" });
	expect_error(w, 3, "reused-id");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "bob");
	expect_all_done(w);
}

static void a_duplicate_that_waited_waits_again_after_a_restart(void **state)
{
	struct world *w = *state;

	give_first(w);
	repeat(w, 1);
	world_restart(w);
	expect_no_reply(w, 1);
	world_finish(w);
	expect_status(w, 0, "unknown");
	expect_duplicate_of(w, 1, 0);
	EXPECT_REQUESTS(w, "ann");
	expect_all_done(w);
}

static void a_duplicate_behind_a_first_that_is_replied_in_the_map_is_known(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-b", "bob");
	world_give(w, (struct given){ .offset = 1, .call = "call-a", .who = "ann", .id = "one" });
	world_accept_post(w, &w->posts[1]);
	world_restart(w);
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .repeats = true, .first = 1 });
	expect_duplicate_of(w, 2, 1);
	world_finish(w);
	EXPECT_REQUESTS(w, "bob", "ann");
	expect_all_done(w);
}

static void ids_count_for_so_many_records(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.history = 10;
	world_reopen(w, policy);
	give_first(w);
	world_accept(w);
	repeat(w, 9);
	expect_duplicate_of(w, 9, 0);
	world_give(w, (struct given){ .offset = 10, .call = "call-a", .who = "bob", .id = "one" });
	world_accept(w);
	expect_status(w, 10, "accepted");
	EXPECT_REQUESTS(w, "ann", "bob");
}

static void without_a_history_every_record_is_sent(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.history = 0;
	world_reopen(w, policy);
	give_first(w);
	world_accept(w);
	world_give(w, (struct given){ .offset = 1, .call = "call-a", .who = "ann", .id = "one" });
	world_accept(w);
	expect_status(w, 1, "accepted");
}

/* Its own history was shorter when it was begun. */
static void what_was_begun_is_judged_by_evidence_and_not_by_its_id(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.history = 2;
	world_reopen(w, policy);
	give_first(w);
	world_accept(w);
	world_give(w, (struct given){ .offset = 5, .call = "call-a", .who = "bob", .id = "one" });
	assert_int_equal(w->n_posts, 2);
	w->policy.history = 100;
	world_restart(w);
	world_finish(w);
	expect_status(w, 5, "unknown");
	expect_all_done(w);
}

static void duplicates_end_while_their_partition_is_revoked(void **state)
{
	struct world *w = *state;

	give_first(w);
	repeat(w, 1);
	world_revoke(w, 0);
	world_accept(w);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	expect_duplicate_of(w, 1, 0);
	expect_stored(w, 2);
}

static void a_duplicate_of_what_is_left_is_left_too(void **state)
{
	struct world *w = *state;

	w->marks_by_hand = true;
	w->policy.batch_window = duration_ms(1000);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .id = "one" });
	repeat(w, 1);
	world_revoke(w, 0);
	assert_int_equal(w->partitions[0].n_quiet, 1);
	world_commit(w, 0);
	w->marks_by_hand = false;
	world_restart(w);
	w->latency_us = 0;
	world_finish(w);
	expect_status(w, 0, "accepted");
	expect_duplicate_of(w, 1, 0);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_duplicate_waits_for_the_first_and_points_to_it),
		WORLD_TEST(a_duplicate_of_what_is_replied_is_replied_to_at_once),
		WORLD_TEST(all_duplicates_point_to_the_first_in_their_order),
		WORLD_TEST(a_duplicate_follows_a_first_that_was_not_accepted),
		WORLD_TEST(a_duplicate_of_a_doubt_waits_for_its_end),
		WORLD_TEST(another_call_or_another_id_is_no_duplicate),
		WORLD_TEST(the_same_id_with_other_content_is_rejected_and_kept),
		WORLD_TEST(what_is_rejected_for_its_id_tells_of_its_id_and_of_nobody),
		WORLD_TEST(what_is_redriven_is_sent_again),
		WORLD_TEST(ids_are_known_after_a_restart),
		WORLD_TEST(a_duplicate_that_waited_waits_again_after_a_restart),
		WORLD_TEST(a_duplicate_behind_a_first_that_is_replied_in_the_map_is_known),
		WORLD_TEST(ids_count_for_so_many_records),
		WORLD_TEST(without_a_history_every_record_is_sent),
		WORLD_TEST(what_was_begun_is_judged_by_evidence_and_not_by_its_id),
		WORLD_TEST(duplicates_end_while_their_partition_is_revoked),
		WORLD_TEST(a_duplicate_of_what_is_left_is_left_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
