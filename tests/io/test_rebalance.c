/* The consumer against a cluster in this process: what becomes of its membership, and its end. */
#include "member.h"

#include <stdio.h>
#include <string.h>

static void the_session_outlives_a_long_pause(void **state)
{
	struct world *w = *state;
	struct member_options how = { .session_ms = 4000 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, &how);
	member_wait_records(m, 10);
	consumer_pause(m->consumer, 0);
	loop_for(&w->loop, 5000);
	assert_true(consumer_is_member(m->consumer));
	assert_int_equal(m->n_revoked, 0);
	consumer_resume(m->consumer, 0);
	cluster_fill(&w->cluster, TOPIC, 0, 10, 1);
	member_wait_records(m, 11);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

/* The coordinator forgets the member: the answer to the next heartbeat says so. */
static void lose_membership(struct world *w)
{
	rd_kafka_mock_push_request_errors(w->cluster.mock, 12 /* Heartbeat */, 1,
	                                  RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
}

static void a_lost_assignment_is_told_as_lost_and_comes_again(void **state)
{
	struct consumer_position position = { 0, 5, bytes_of("") };
	struct world *w = *state;
	struct member *m;
	struct err err;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, NULL);
	m->holds_revokes = true;
	member_wait_records(m, 10);
	consumer_pause(m->consumer, 0);
	lose_membership(w);
	m->wanted = 1;
	loop_until(&w->loop, member_is_revoked, m);
	assert_true(m->lost);
	assert_false(consumer_is_member(m->consumer));
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	loop_for(&w->loop, 1500);
	consumer_release(m->consumer);
	member_wait_assigned(m, 2);
	/* Nothing was committed: all over again, and the pause is forgotten. */
	member_wait_records(m, 20);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_rebalance_during_an_offer_is_told_once_it_is_accepted(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, NULL);
	m->holds_offers = true;
	member_wait_assigned(m, 1);
	lose_membership(w);
	loop_for(&w->loop, 1500);
	assert_int_equal(m->n_revoked, 0);
	consumer_accept(m->consumer);
	m->wanted = 1;
	loop_until(&w->loop, member_is_revoked, m);
	assert_true(m->lost);
	member_wait_assigned(m, 2);
	m->n_records = 0;
	consumer_accept(m->consumer);
	member_wait_records(m, 10);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_rebalance_during_the_lookup_begins_another_one(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	/* The look-up hangs in its first answers, so that a heartbeat comes in between. */
	for (int i = 0; i < 3; i++)
		rd_kafka_mock_push_request_errors(w->cluster.mock, 9 /* OffsetFetch */, 1,
		                                  RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS);
	lose_membership(w);
	m = member_new(w, NULL);
	member_wait_records(m, 10);
	assert_int_equal(m->n_jumps, 0);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_failed_lookup_is_tried_again(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 9 /* OffsetFetch */, 2,
	                                  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	                                  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	m = member_new(w, NULL);
	member_wait_records(m, 10);
	assert_int_equal(m->n_assigned, 1);
	fflush(w->log.file);
	assert_non_null(strstr(w->log_text, "GROUP_AUTHORIZATION_FAILED"));
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_fenced_member_is_told_once(void **state)
{
	struct world *w = *state;
	struct member_options how = { .instance_id = "one" };
	struct member *m = member_new(w, &how);

	member_wait_assigned(m, 1);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 12 /* Heartbeat */, 1,
	                                  RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
	loop_until(&w->loop, member_is_fatal, m);
	loop_for(&w->loop, 700);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void reading_goes_on_when_the_broker_is_back(void **state)
{
	struct world *w = *state;
	struct member *m;
	const char *down;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, NULL);
	member_wait_records(m, 10);
	rd_kafka_mock_broker_set_down(w->cluster.mock, 1);
	loop_for(&w->loop, 1500);
	rd_kafka_mock_broker_set_up(w->cluster.mock, 1);
	cluster_fill(&w->cluster, TOPIC, 0, 10, 10);
	member_wait_records(m, 20);
	assert_int_equal(m->n_jumps, 0);
	fflush(w->log.file);
	down = strstr(w->log_text, "kafka.broker-down");
	assert_non_null(down);
	assert_null(strstr(down + 1, "kafka.broker-down"));
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void closing_keeps_its_deadline_when_the_broker_is_gone(void **state)
{
	struct world *w = *state;
	struct consumer_position position = { 0, 5, bytes_of("") };
	struct member *m;
	struct err err;
	uint64_t began_ms;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = member_new(w, NULL);
	member_wait_records(m, 10);
	rd_kafka_mock_broker_set_down(w->cluster.mock, 1);
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), 0);
	uv_update_time(&w->loop);
	began_ms = uv_now(&w->loop);
	member_close(m, 500);
	uv_update_time(&w->loop);
	assert_in_range(uv_now(&w->loop) - began_ms, 0, 3000);
}

static void a_consumer_closes_in_the_middle_of_an_offer(void **state)
{
	struct world *w = *state;
	struct member *m = member_new(w, NULL);

	m->holds_offers = true;
	member_wait_assigned(m, 1);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_consumer_closes_in_the_middle_of_joining(void **state)
{
	struct world *w = *state;
	struct member *m = member_new(w, NULL);

	loop_for(&w->loop, 50);
	member_close(m, CLUSTER_PATIENCE_MS);
}

/* The same member with a new client: lost, offered again at what was committed, read on. */
static void renew_and_read_again(struct world *w, const struct member_options *how, bool late)
{
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 20);
	m = member_new(w, how);
	m->holds_revokes = late;
	member_wait_records(m, 20);
	member_commit(m, 10, 7);
	consumer_pause(m->consumer, 0);
	consumer_renew(m->consumer);
	consumer_renew(m->consumer);
	assert_true(consumer_is_lost(m->consumer));
	assert_int_equal(m->n_revoked, 0);
	m->wanted = 1;
	loop_until(&w->loop, member_is_revoked, m);
	assert_true(m->lost);
	assert_null(consumer_group_metadata(m->consumer));
	if (late) {
		loop_for(&w->loop, 700);
		assert_int_equal(m->n_assigned, 1);
		consumer_release(m->consumer);
	}
	member_wait_records(m, 30);
	assert_int_equal(m->n_assigned, 2);
	assert_int_equal(m->offered, 10);
	assert_string_equal(m->metadata, "a map");
	assert_false(consumer_is_lost(m->consumer));
	assert_non_null(consumer_group_metadata(m->consumer));
	member_commit(m, 15, 8);
	assert_string_equal(m->error, "");
	member_close(m, CLUSTER_PATIENCE_MS);
	assert_int_equal(cluster_committed(&w->cluster, GROUP, TOPIC, 0), 15);
}

static void a_renewed_dynamic_member_is_offered_what_was_committed(void **state)
{
	renew_and_read_again(*state, NULL, false);
}

static void nothing_is_offered_by_a_new_client_before_the_old_assignment_is_released(void **state)
{
	renew_and_read_again(*state, NULL, true);
}

static void what_is_lost_while_it_is_given_back_is_told_again_as_lost(void **state)
{
	struct world *w = *state;
	struct member *m = member_new(w, NULL), *other;

	m->holds_revokes = true;
	member_wait_assigned(m, 1);
	other = member_new(w, NULL);
	m->wanted = 1;
	loop_until(&w->loop, member_is_revoked, m);
	assert_false(m->lost);
	consumer_renew(m->consumer);
	m->wanted = 2;
	loop_until(&w->loop, member_is_revoked, m);
	assert_true(m->lost);
	consumer_release(m->consumer);
	member_close(other, CLUSTER_PATIENCE_MS);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_consumer_closes_in_the_middle_of_a_renewal(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 5);
	m = member_new(w, NULL);
	member_wait_records(m, 5);
	consumer_renew(m->consumer);
	m->wanted = 1;
	loop_until(&w->loop, member_is_revoked, m);
	member_close(m, CLUSTER_PATIENCE_MS);
}

static void a_consumer_closes_before_a_renewal_has_begun(void **state)
{
	struct world *w = *state;
	struct member *m = member_new(w, NULL);

	member_wait_assigned(m, 1);
	consumer_renew(m->consumer);
	member_close(m, CLUSTER_PATIENCE_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_session_outlives_a_long_pause),
		TEST(a_lost_assignment_is_told_as_lost_and_comes_again),
		TEST(a_rebalance_during_an_offer_is_told_once_it_is_accepted),
		TEST(a_rebalance_during_the_lookup_begins_another_one),
		TEST(a_failed_lookup_is_tried_again),
		TEST(a_fenced_member_is_told_once),
		TEST(reading_goes_on_when_the_broker_is_back),
		TEST(closing_keeps_its_deadline_when_the_broker_is_gone),
		TEST(a_consumer_closes_in_the_middle_of_an_offer),
		TEST(a_consumer_closes_in_the_middle_of_joining),
		TEST(a_renewed_dynamic_member_is_offered_what_was_committed),
		TEST(nothing_is_offered_by_a_new_client_before_the_old_assignment_is_released),
		TEST(what_is_lost_while_it_is_given_back_is_told_again_as_lost),
		TEST(a_consumer_closes_in_the_middle_of_a_renewal),
		TEST(a_consumer_closes_before_a_renewal_has_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
