/* The consumer against a cluster in this process: records, pauses, commits, rebalances, the end. */
#include "worker/io/consumer.h"

#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC          "commands"
#define GROUP          "workers"
#define OFFSETS_MAX    20000
#define PARTITIONS_MAX 4

struct world {
	uv_loop_t loop;
	struct cluster cluster;
	struct metrics metrics;
	struct log log;
	char *log_text;
	size_t log_size;
};

/* One member of the group and all that it was told. */
struct member {
	struct world *world;
	struct consumer *consumer;
	bool holds_offers; /* Does not accept by itself */
	bool holds_revokes;
	size_t n_assigned;
	size_t n_partitions;
	int32_t partitions_of_topic;
	size_t n_revoked;
	bool lost;
	int64_t next[PARTITIONS_MAX]; /* The offset after the last record; -1: none yet */
	int64_t first[PARTITIONS_MAX];
	int64_t end[PARTITIONS_MAX];
	size_t n_records;
	size_t n_jumps; /* Records that were not the next one */
	size_t in_turn;
	size_t most_in_turn;
	uint64_t answered;
	char error[128];
	bool is_fatal;
	bool closed;
	uv_check_t check;
	size_t wanted;
};

static void on_record(void *owner, const struct record *record)
{
	struct member *m = owner;
	char text[16];

	assert_in_range(record->partition, 0, PARTITIONS_MAX - 1);
	snprintf(text, sizeof(text), "%d", (int)record->offset);
	assert_true(bytes_equal_text(record->value, text));
	assert_true(record->has_key && bytes_equal_text(record->key, "key"));
	assert_int_equal(record->n_headers, 1);
	assert_true(bytes_equal_text(record->headers[0].name, "name"));
	assert_true(bytes_equal_text(record->headers[0].value, "v"));
	assert_true(record->timestamp.us > 0);
	if (m->next[record->partition] < 0)
		m->first[record->partition] = record->offset;
	else if (record->offset != m->next[record->partition])
		m->n_jumps++;
	m->next[record->partition] = record->offset + 1;
	m->n_records++;
	if (++m->in_turn > m->most_in_turn)
		m->most_in_turn = m->in_turn;
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	struct member *m = owner;

	m->end[partition] = offset;
}

static void on_assigned(void *owner, const int32_t *partitions, size_t n, int32_t of_topic)
{
	struct member *m = owner;

	(void)partitions;
	m->n_assigned++;
	m->n_partitions = n;
	m->partitions_of_topic = of_topic;
	if (!m->holds_offers)
		consumer_accept(m->consumer);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t n, bool lost)
{
	struct member *m = owner;

	(void)partitions;
	assert_int_equal(n, m->n_partitions);
	m->n_revoked++;
	m->n_partitions = 0;
	m->lost = lost;
	m->next[0] = -1;
	if (!m->holds_revokes)
		consumer_release(m->consumer);
}

static void on_committed(void *owner, uint64_t opaque, const char *error)
{
	struct member *m = owner;

	m->answered = opaque;
	snprintf(m->error, sizeof(m->error), "%s", error ? error : "");
}

static void on_fatal(void *owner, const char *message)
{
	struct member *m = owner;

	assert_true(strlen(message) > 0);
	assert_false(m->is_fatal);
	m->is_fatal = true;
}

static void on_closed(void *owner)
{
	struct member *m = owner;

	m->closed = true;
}

/* The end of the poll phase, in which all records of a turn are delivered. */
static void on_check(uv_check_t *check)
{
	struct member *m = check->data;

	m->in_turn = 0;
}

struct member_options {
	const char *instance_id;
	uint32_t batch;
	int64_t session_ms;
};

static struct member *new_member(struct world *w, const struct member_options *how)
{
	struct member *m = calloc(1, sizeof(*m));
	struct kafka_property list[] = { w->cluster.bootstrap,
		                         { "reconnect.backoff.max.ms", "200" },
		                         { "heartbeat.interval.ms", "200" },
		                         { "compression.codec", "lz4" } };
	struct kafka_properties properties = { list, 4 };
	struct consumer_options options = {
		.kafka = &properties,
		.topic = TOPIC,
		.group = GROUP,
		.instance_id = how ? how->instance_id : NULL,
		.batch = how && how->batch ? how->batch : 1000,
		.session_timeout = duration_ms(how && how->session_ms ? how->session_ms : 6000),
	};
	struct consumer_callbacks callbacks = {
		.owner = m,
		.record = on_record,
		.position = on_position,
		.assigned = on_assigned,
		.revoked = on_revoked,
		.committed = on_committed,
		.fatal = on_fatal,
	};
	struct err err;

	m->world = w;
	for (int i = 0; i < PARTITIONS_MAX; i++) {
		m->next[i] = -1;
		m->first[i] = -1;
		m->end[i] = -1;
	}
	m->consumer = consumer_new(&w->loop, &options, &callbacks, &w->log, &w->metrics, &err);
	assert_non_null(m->consumer);
	assert_false(consumer_is_member(m->consumer));
	uv_check_init(&w->loop, &m->check);
	m->check.data = m;
	uv_check_start(&m->check, on_check);
	assert_int_equal(consumer_start(m->consumer, &err), 0);
	return m;
}

static bool is_closed(void *arg)
{
	struct member *m = arg;

	return m->closed;
}

static void close_member(struct member *m, int64_t deadline_ms)
{
	struct world *w = m->world;

	uv_close((uv_handle_t *)&m->check, NULL);
	consumer_close(m->consumer, duration_ms(deadline_ms), on_closed, m);
	loop_until(&w->loop, is_closed, m);
	free(m);
}

static bool has_records(void *arg)
{
	struct member *m = arg;

	return m->n_records >= m->wanted;
}

static void wait_records(struct member *m, size_t n)
{
	m->wanted = n;
	loop_until(&m->world->loop, has_records, m);
}

static bool is_assigned(void *arg)
{
	struct member *m = arg;

	return m->n_assigned >= m->wanted;
}

static void wait_assigned(struct member *m, size_t n)
{
	m->wanted = n;
	loop_until(&m->world->loop, is_assigned, m);
}

static bool is_revoked(void *arg)
{
	struct member *m = arg;

	return m->n_revoked >= m->wanted;
}

static bool is_answered(void *arg)
{
	struct member *m = arg;

	return m->answered == m->wanted;
}

static bool is_fatal(void *arg)
{
	struct member *m = arg;

	return m->is_fatal;
}

static bool is_at_end(void *arg)
{
	struct member *m = arg;

	return m->end[0] >= (int64_t)m->wanted;
}

static int setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	uv_loop_init(&w.loop);
	log_init(&w.log, open_memstream(&w.log_text, &w.log_size), LOG_DEBUG);
	cluster_init(&w.cluster, TOPIC, 1);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	loop_end(&w->loop);
	cluster_close(&w->cluster);
	fclose(w->log.file);
	assert_null(strstr(w->log_text, "CONFWARN"));
	free(w->log_text);
	return 0;
}

static void commit(struct member *m, int64_t offset, uint64_t opaque)
{
	struct consumer_position position = { 0, offset };
	struct err err;

	assert_int_equal(consumer_commit(m->consumer, &position, 1, opaque, &err), 0);
	m->wanted = opaque;
	loop_until(&m->world->loop, is_answered, m);
}

static void all_records_arrive_in_order_and_then_the_end(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 1000);
	m = new_member(w, NULL);
	wait_records(m, 1000);
	m->wanted = 1000;
	loop_until(&w->loop, is_at_end, m);
	assert_int_equal(m->end[0], 1000);
	assert_int_equal(m->n_jumps, 0);
	assert_int_equal(m->partitions_of_topic, 1);
	assert_true(consumer_is_member(m->consumer));
	assert_int_equal(w->metrics.values[METRIC_partitions_owned], 1);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_turn_of_the_loop_takes_no_more_than_a_batch(void **state)
{
	struct world *w = *state;
	struct member_options how = { .batch = 7 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 500);
	m = new_member(w, &how);
	wait_records(m, 500);
	/* A tick of the timer may take a second batch in the same turn. */
	assert_in_range(m->most_in_turn, 7, 14);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void nothing_is_read_before_the_offer_is_accepted(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, NULL);
	m->holds_offers = true;
	wait_assigned(m, 1);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 0);
	consumer_accept(m->consumer);
	wait_records(m, 10);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void pausing_and_resuming_repeats_and_skips_nothing(void **state)
{
	struct world *w = *state;
	struct member_options how = { .batch = 20 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 2000);
	m = new_member(w, &how);
	for (size_t n = 100; n <= 1500; n += 100) {
		size_t seen;

		wait_records(m, n);
		consumer_pause(m->consumer, 0);
		consumer_pause(m->consumer, 0);
		assert_int_equal(w->metrics.values[METRIC_partitions_paused], 1);
		seen = m->n_records;
		loop_for(&w->loop, 20);
		assert_int_equal(m->n_records, seen);
		consumer_resume(m->consumer, 0);
		consumer_resume(m->consumer, 0);
	}
	wait_records(m, 2000);
	consumer_resume(m->consumer, 0);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 2000);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_partition_paused_before_its_first_record_resumes_at_the_committed_offset(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 100);
	m = new_member(w, NULL);
	wait_records(m, 100);
	commit(m, 60, 1);
	close_member(m, CLUSTER_PATIENCE_MS);
	m = new_member(w, NULL);
	m->holds_offers = true;
	wait_assigned(m, 1);
	consumer_accept(m->consumer);
	consumer_pause(m->consumer, 0);
	loop_for(&w->loop, 700);
	assert_int_equal(m->n_records, 0);
	consumer_resume(m->consumer, 0);
	wait_records(m, 40);
	assert_int_equal(m->first[0], 60);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_restart_goes_on_at_the_committed_offset(void **state)
{
	struct world *w = *state;
	struct member_options how = { .instance_id = "one" };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 50);
	m = new_member(w, &how);
	wait_records(m, 50);
	commit(m, 30, 7);
	assert_string_equal(m->error, "");
	close_member(m, CLUSTER_PATIENCE_MS);
	assert_int_equal(cluster_committed(&w->cluster, GROUP, TOPIC, 0), 30);
	m = new_member(w, &how);
	wait_records(m, 20);
	assert_int_equal(m->first[0], 30);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_refused_commit_is_answered_with_its_error(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 5);
	m = new_member(w, NULL);
	wait_records(m, 5);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 8 /* OffsetCommit */, 1,
	                                  RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE);
	commit(m, 3, 9);
	assert_true(strlen(m->error) > 0);
	commit(m, 4, 10);
	assert_string_equal(m->error, "");
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_partition_that_is_not_ours_is_not_committed(void **state)
{
	struct consumer_position position = { 3, 1 };
	struct world *w = *state;
	struct member *m = new_member(w, NULL);
	struct err err;

	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	wait_assigned(m, 1);
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void the_session_outlives_a_long_pause(void **state)
{
	struct world *w = *state;
	struct member_options how = { .session_ms = 4000 };
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, &how);
	wait_records(m, 10);
	consumer_pause(m->consumer, 0);
	loop_for(&w->loop, 5000);
	assert_true(consumer_is_member(m->consumer));
	assert_int_equal(m->n_revoked, 0);
	consumer_resume(m->consumer, 0);
	cluster_fill(&w->cluster, TOPIC, 0, 10, 1);
	wait_records(m, 11);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

/* The coordinator forgets the member: the answer to the next heartbeat says so. */
static void lose_membership(struct world *w)
{
	rd_kafka_mock_push_request_errors(w->cluster.mock, 12 /* Heartbeat */, 1,
	                                  RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
}

static void a_lost_assignment_is_told_as_lost_and_comes_again(void **state)
{
	struct consumer_position position = { 0, 5 };
	struct world *w = *state;
	struct member *m;
	struct err err;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, NULL);
	m->holds_revokes = true;
	wait_records(m, 10);
	consumer_pause(m->consumer, 0);
	lose_membership(w);
	m->wanted = 1;
	loop_until(&w->loop, is_revoked, m);
	assert_true(m->lost);
	assert_false(consumer_is_member(m->consumer));
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), -1);
	loop_for(&w->loop, 1500);
	consumer_release(m->consumer);
	wait_assigned(m, 2);
	/* Nothing was committed: all over again, and the pause is forgotten. */
	wait_records(m, 20);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_rebalance_during_an_offer_is_told_once_it_is_accepted(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, NULL);
	m->holds_offers = true;
	wait_assigned(m, 1);
	lose_membership(w);
	loop_for(&w->loop, 1500);
	assert_int_equal(m->n_revoked, 0);
	consumer_accept(m->consumer);
	m->wanted = 1;
	loop_until(&w->loop, is_revoked, m);
	assert_true(m->lost);
	wait_assigned(m, 2);
	m->n_records = 0;
	consumer_accept(m->consumer);
	wait_records(m, 10);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
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
	m = new_member(w, NULL);
	wait_records(m, 10);
	assert_int_equal(m->n_jumps, 0);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_failed_lookup_is_tried_again(void **state)
{
	struct world *w = *state;
	struct member *m;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 9 /* OffsetFetch */, 2,
	                                  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
	                                  RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
	m = new_member(w, NULL);
	wait_records(m, 10);
	assert_int_equal(m->n_assigned, 1);
	fflush(w->log.file);
	assert_non_null(strstr(w->log_text, "GROUP_AUTHORIZATION_FAILED"));
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_fenced_member_is_told_once(void **state)
{
	struct world *w = *state;
	struct member_options how = { .instance_id = "one" };
	struct member *m = new_member(w, &how);

	wait_assigned(m, 1);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 12 /* Heartbeat */, 1,
	                                  RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
	loop_until(&w->loop, is_fatal, m);
	loop_for(&w->loop, 700);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void reading_goes_on_when_the_broker_is_back(void **state)
{
	struct world *w = *state;
	struct member *m;
	const char *down;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, NULL);
	wait_records(m, 10);
	rd_kafka_mock_broker_set_down(w->cluster.mock, 1);
	loop_for(&w->loop, 1500);
	rd_kafka_mock_broker_set_up(w->cluster.mock, 1);
	cluster_fill(&w->cluster, TOPIC, 0, 10, 10);
	wait_records(m, 20);
	assert_int_equal(m->n_jumps, 0);
	fflush(w->log.file);
	down = strstr(w->log_text, "kafka.broker-down");
	assert_non_null(down);
	assert_null(strstr(down + 1, "kafka.broker-down"));
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void closing_keeps_its_deadline_when_the_broker_is_gone(void **state)
{
	struct world *w = *state;
	struct consumer_position position = { 0, 5 };
	struct member *m;
	struct err err;
	uint64_t began_ms;

	cluster_fill(&w->cluster, TOPIC, 0, 0, 10);
	m = new_member(w, NULL);
	wait_records(m, 10);
	rd_kafka_mock_broker_set_down(w->cluster.mock, 1);
	assert_int_equal(consumer_commit(m->consumer, &position, 1, 1, &err), 0);
	uv_update_time(&w->loop);
	began_ms = uv_now(&w->loop);
	close_member(m, 500);
	uv_update_time(&w->loop);
	assert_in_range(uv_now(&w->loop) - began_ms, 0, 3000);
}

static void a_consumer_closes_in_the_middle_of_an_offer(void **state)
{
	struct world *w = *state;
	struct member *m = new_member(w, NULL);

	m->holds_offers = true;
	wait_assigned(m, 1);
	close_member(m, CLUSTER_PATIENCE_MS);
}

static void a_consumer_closes_in_the_middle_of_joining(void **state)
{
	struct world *w = *state;
	struct member *m = new_member(w, NULL);

	loop_for(&w->loop, 50);
	close_member(m, CLUSTER_PATIENCE_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_records_arrive_in_order_and_then_the_end),
		TEST(a_turn_of_the_loop_takes_no_more_than_a_batch),
		TEST(nothing_is_read_before_the_offer_is_accepted),
		TEST(pausing_and_resuming_repeats_and_skips_nothing),
		TEST(a_partition_paused_before_its_first_record_resumes_at_the_committed_offset),
		TEST(a_restart_goes_on_at_the_committed_offset),
		TEST(a_refused_commit_is_answered_with_its_error),
		TEST(a_partition_that_is_not_ours_is_not_committed),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
