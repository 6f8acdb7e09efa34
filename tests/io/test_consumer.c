/* The consumer against a cluster in this process: records, pauses, commits. */
#include "member.h"

#include <stdio.h>
#include <string.h>

static void all_records_arrive_in_order_and_then_the_end(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 1000);
	m = member_new(w, NULL);
	member_wait_records(m, 1000);
	m->wanted = 1000;
	loop_until(&w->loop, member_is_at_end, m);
	assert_int_equal(m->end[0], 1000);
	assert_int_equal(m->n_jumps, 0);
	assert_int_equal(m->partitions_of_topic, 1);
	assert_true(consumer_is_member(m->consumer));
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_turn_of_the_loop_takes_no_more_than_a_batch(void **state)
{
	struct world *w = *state;
	struct member_options how = { .batch = 7 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 500);
	m = member_new(w, &how);
	member_wait_records(m, 500);
	/* A tick of the timer may take a second batch in the same turn. */
	assert_in_range(m->most_in_turn, 7, 14);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void nothing_is_read_before_the_offer_is_accepted(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, NULL);
	m->holds_offers = true;
	member_wait_assigned(m, 1);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 0);
	consumer_accept(m->consumer);
	member_wait_records(m, 10);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void pausing_and_resuming_repeats_and_skips_nothing(void **state)
{
	struct world *w = *state;
	struct member_options how = { .batch = 20 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 2000);
	m = member_new(w, &how);
	for (size_t n = 100; n <= 1500; n += 100) {
		size_t seen;

		member_wait_records(m, n);
		consumer_pause(m->consumer, 0);
		consumer_pause(m->consumer, 0);
		seen = m->n_records;
		loop_for(&w->loop, 20);
		assert_int_equal(m->n_records, seen);
		consumer_resume(m->consumer, 0);
		consumer_resume(m->consumer, 0);
	}
	member_wait_records(m, 2000);
	consumer_resume(m->consumer, 0);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 2000);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_partition_paused_before_its_first_record_resumes_at_the_committed_offset(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 100);
	m = member_new(w, NULL);
	member_wait_records(m, 100);
	member_commit(m, 60, 1);
	member_close(m, CLUSTER_PATIENCE_MS);
	m = member_new(w, NULL);
	m->holds_offers = true;
	member_wait_assigned(m, 1);
	consumer_accept(m->consumer);
	consumer_pause(m->consumer, 0);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 0);
	consumer_resume(m->consumer, 0);
	member_wait_records(m, 40);
	assert_int_equal(m->first[0], 60);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_restart_goes_on_at_the_committed_offset(void **state)
{
	struct world *w = *state;
	struct member_options how = { .instance_id = "one" };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 50);
	m = member_new(w, &how);
	member_wait_records(m, 50);
	member_commit(m, 30, 7);
	assert_string_equal(m->error, "");
	member_close(m, CLUSTER_PATIENCE_MS);
	assert_int_equal(cluster_committed(&w->cluster, GROUP, TOPIC, 0), 30);
	m = member_new(w, &how);
	member_wait_records(m, 20);
	assert_int_equal(m->first[0], 30);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void an_offer_has_the_metadata_and_history_is_read_again(void **state)
{
	struct world *w = *state;
	struct member_options how = { .history = 20 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 50);
	m = member_new(w, &how);
	member_wait_records(m, 50);
	assert_int_equal(m->offered, -1);
	assert_string_equal(m->metadata, "");
	member_commit(m, 30, 7);
	member_close(m, CLUSTER_PATIENCE_MS);
	m = member_new(w, &how);
	member_wait_records(m, 40);
	assert_int_equal(m->offered, 30);
	assert_string_equal(m->metadata, "a map");
	assert_int_equal(m->first[0], 10);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void history_begins_where_the_log_does(void **state)
{
	struct world *w = *state;
	struct member_options how = { .history = 200 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 50);
	m = member_new(w, &how);
	member_wait_records(m, 50);
	member_commit(m, 30, 7);
	member_close(m, CLUSTER_PATIENCE_MS);
	m = member_new(w, &how);
	member_wait_records(m, 50);
	assert_int_equal(m->first[0], 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_refused_commit_is_answered_with_its_error(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 5);
	m = member_new(w, NULL);
	member_wait_records(m, 5);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 8 /* OffsetCommit */, 1,
	                                  RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
	member_commit(m, 3, 9);
	assert_true(strlen(m->error) > 0);
	member_commit(m, 4, 10);
	assert_string_equal(m->error, "");
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_partition_that_is_not_ours_is_not_committed(void **state)
{
	struct consumer_position position = { 3, 1, bytes_of("") };
	struct world *w = *state;
	struct member *m = member_new(w, NULL);
	struct err err;

	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	member_wait_assigned(m, 1);
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	member_close(m, CLUSTER_PATIENCE_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_records_arrive_in_order_and_then_the_end),
		TEST(a_turn_of_the_loop_takes_no_more_than_a_batch),
		TEST(nothing_is_read_before_the_offer_is_accepted),
		TEST(pausing_and_resuming_repeats_and_skips_nothing),
		TEST(a_partition_paused_before_its_first_record_resumes_at_the_committed_offset),
		TEST(a_restart_goes_on_at_the_committed_offset),
		TEST(an_offer_has_the_metadata_and_history_is_read_again),
		TEST(history_begins_where_the_log_does),
		TEST(a_refused_commit_is_answered_with_its_error),
		TEST(a_partition_that_is_not_ours_is_not_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
