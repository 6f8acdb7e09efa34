/* From the notifications topic to the outcomes topic, in a cluster in this process. */
#include "worker/io/notifications.h"

#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTIFICATIONS "notifications"
#define OUTCOMES      "outcomes"
#define GROUP         "group-outcomes"
#define TEXT_SIZE     (512 * 1024)
#define OUTCOME_SIZE  256 /* More than any here has */

struct world {
	uv_loop_t loop;
	struct cluster cluster;
	struct log log;
	char *told; /* Owned: the outcomes that were read last */
};

/* One worker's part. */
struct teller {
	struct notifications *notifications;
	struct metrics metrics;
	bool has_stopped;
	bool has_failed;
	enum metric metric; /* What is waited for */
	int64_t wanted;
};

static int setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	uv_loop_init(&w.loop);
	log_init(&w.log, NULL, LOG_DEBUG);
	cluster_init(&w.cluster, NOTIFICATIONS, 2);
	assert_int_equal(rd_kafka_mock_topic_create(w.cluster.mock, OUTCOMES, 1, 1), 0);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	loop_end(&w->loop);
	cluster_close(&w->cluster);
	free(w->told);
	return 0;
}

static void on_stopped(void *owner, bool has_failed)
{
	struct teller *t = owner;

	assert_false(t->has_stopped);
	t->has_stopped = true;
	t->has_failed = has_failed;
}

static bool has_stopped(void *arg)
{
	const struct teller *t = arg;

	return t->has_stopped;
}

static void teller_start(struct world *w, struct teller *t, int64_t drain_ms)
{
	const struct notifications_options options = {
		.commands_topic = "commands",
		.outcomes_topic = OUTCOMES,
		.delivery = { .kafka = w->cluster.properties,
		              .consumer = { .kafka = &w->cluster.properties,
		                            .topic = NOTIFICATIONS,
		                            .group = GROUP,
		                            .batch = 100,
		                            .session_timeout = duration_ms(3000) },
		              .committer = { .interval = duration_ms(50) },
		              .leave_deadline = duration_ms(1000) },
		.drain_timeout = duration_ms(drain_ms),
	};
	struct err err;

	*t = (struct teller){ 0 };
	t->notifications =
	    notifications_new(&w->loop, &options, on_stopped, t, &w->log, &t->metrics, &err);
	assert_non_null(t->notifications);
	assert_int_equal(notifications_start(t->notifications, &err), 0);
}

static void teller_stop(struct world *w, struct teller *t)
{
	notifications_stop(t->notifications);
	notifications_stop(t->notifications);
	loop_until(&w->loop, has_stopped, t);
}

static int64_t count_of(const struct teller *t, enum metric metric)
{
	return t->metrics.values[metric];
}

static bool is_counted(void *arg)
{
	const struct teller *t = arg;

	return count_of(t, t->metric) >= t->wanted;
}

static void wait_for(struct world *w, struct teller *t, enum metric metric, int64_t wanted)
{
	t->metric = metric;
	t->wanted = wanted;
	loop_until(&w->loop, is_counted, t);
}

/* A record with the ends of the operations from 'first' on. */
static void put(struct world *w, int32_t partition, int first, int n)
{
	struct buffer text;

	buffer_init(&text, TEXT_SIZE);
	buffer_append_text(&text, "{\"value\":[");
	for (int i = first; i < first + n; i++)
		buffer_printf(&text,
		              "%s{\"resourceUrl\":\"/calls/c/operations/%d\",\"resourceData\":"
		              "{\"status\":\"completed\",\"clientContext\":\"x\"}}",
		              i > first ? "," : "", i);
	buffer_append_text(&text, "]}");
	assert_true(buffer_ok(&text));
	cluster_put(&w->cluster, NOTIFICATIONS, partition, text.data);
	buffer_close(&text);
}

/* Read so many outcomes, for times_told(). */
static void read_outcomes(struct world *w, int64_t n)
{
	size_t size = (size_t)(n + 1) * OUTCOME_SIZE;

	free(w->told);
	w->told = malloc(size);
	assert_non_null(w->told);
	cluster_read(&w->cluster, OUTCOMES, 0, (int)n, w->told, size);
}

/* How often they tell of an operation. */
static unsigned times_told(const struct world *w, int operation)
{
	char name[32];
	unsigned n = 0;

	snprintf(name, sizeof(name), "\"outcomeId\":\"c:%d\"", operation);
	for (const char *found = w->told; (found = strstr(found, name)); found++)
		n++;
	return n;
}

static int64_t committed(struct world *w, int32_t partition)
{
	return cluster_committed(&w->cluster, GROUP, NOTIFICATIONS, partition);
}

/* Among them more than may be open at a time: the partition is paused and goes on. */
static void offsets_are_committed_behind_stored_outcomes(void **state)
{
	struct world *w = *state;
	struct teller t;

	cluster_put(&w->cluster, NOTIFICATIONS, 0, "junk");
	put(w, 1, 0, 0);
	for (int i = 0; i < 8; i++)
		put(w, 0, i * 600, 600);
	teller_start(w, &t, CLUSTER_PATIENCE_MS);
	wait_for(w, &t, METRIC_outcomes_completed, 8 * 600);
	wait_for(w, &t, METRIC_notifications_read, 10);
	teller_stop(w, &t);
	assert_false(t.has_failed);
	assert_int_equal(committed(w, 0), 9);
	assert_int_equal(committed(w, 1), 1);
	assert_int_equal(count_of(&t, METRIC_notifications_junk), 1);
	assert_int_equal(count_of(&t, METRIC_outcomes_completed), 8 * 600);
	read_outcomes(w, 8 * 600);
	for (int i = 0; i < 8 * 600; i += 100)
		assert_int_equal(times_told(w, i), 1);
	/* What belongs to the other group is not counted as the worker's own. */
	assert_int_equal(count_of(&t, METRIC_commits), 0);
	assert_int_equal(count_of(&t, METRIC_rebalances), 0);
}

static void a_refused_outcome_holds_its_offset_until_a_restart(void **state)
{
	struct world *w = *state;
	struct teller t;

	put(w, 0, 0, 1);
	rd_kafka_mock_push_request_errors(w->cluster.mock, 0 /* Produce */, 1,
	                                  RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
	teller_start(w, &t, CLUSTER_PATIENCE_MS);
	wait_for(w, &t, METRIC_outcomes_refused, 1);
	put(w, 0, 1, 1);
	wait_for(w, &t, METRIC_outcomes_completed, 1);
	teller_stop(w, &t);
	assert_true(committed(w, 0) <= 0);
	teller_start(w, &t, CLUSTER_PATIENCE_MS);
	wait_for(w, &t, METRIC_outcomes_completed, 2);
	teller_stop(w, &t);
	assert_int_equal(committed(w, 0), 2);
	read_outcomes(w, 3);
	assert_int_equal(times_told(w, 0), 1);
	assert_int_equal(times_told(w, 1), 2);
}

/* A second member comes, which takes a partition from the first one, and then the first one goes.
 */
static void members_hand_partitions_over_and_tell_everything(void **state)
{
	struct world *w = *state;
	struct teller first, second;
	int n = 0;

	teller_start(w, &first, CLUSTER_PATIENCE_MS);
	put(w, 0, n++, 1);
	wait_for(w, &first, METRIC_outcomes_completed, 1);
	teller_start(w, &second, CLUSTER_PATIENCE_MS);
	while (count_of(&second, METRIC_outcomes_completed) == 0) {
		put(w, 0, n++, 1);
		put(w, 1, n++, 1);
		loop_for(&w->loop, 100);
		assert_true(n < 2000);
	}
	teller_stop(w, &first);
	put(w, 0, n++, 1);
	put(w, 1, n++, 1);
	for (int i = 0; committed(w, 0) + committed(w, 1) < n; i++) {
		loop_for(&w->loop, 100);
		assert_true(i < CLUSTER_PATIENCE_MS / 100);
	}
	teller_stop(w, &second);
	assert_false(first.has_failed || second.has_failed);
	read_outcomes(w, count_of(&first, METRIC_outcomes_completed) +
	                     count_of(&second, METRIC_outcomes_completed));
	for (int i = 0; i < n; i++)
		if (times_told(w, i) < 1)
			fail_msg("operation %d of %d was not told", i, n);
}

static void what_cannot_be_stored_in_time_is_left_at_the_end(void **state)
{
	struct world *w = *state;
	struct teller t;

	put(w, 0, 0, 1);
	teller_start(w, &t, 200);
	wait_for(w, &t, METRIC_outcomes_completed, 1);
	for (int i = 0; i < 3; i++)
		put(w, 0, 1 + i * 500, 500);
	wait_for(w, &t, METRIC_notifications_read, 3);
	rd_kafka_mock_broker_set_down(w->cluster.mock, 1);
	teller_stop(w, &t);
	assert_false(t.has_failed);
	rd_kafka_mock_broker_set_up(w->cluster.mock, 1);
}

static void it_ends_in_the_middle_of_joining(void **state)
{
	struct world *w = *state;
	struct teller t;

	teller_start(w, &t, CLUSTER_PATIENCE_MS);
	teller_stop(w, &t);
	assert_false(t.has_failed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(offsets_are_committed_behind_stored_outcomes),
		TEST(a_refused_outcome_holds_its_offset_until_a_restart),
		TEST(members_hand_partitions_over_and_tell_everything),
		TEST(what_cannot_be_stored_in_time_is_left_at_the_end),
		TEST(it_ends_in_the_middle_of_joining),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
