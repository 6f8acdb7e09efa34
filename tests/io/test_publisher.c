/* The publisher against a cluster in this process: order, refusals, a broker that is away, the end.
 */
#include "worker/io/publisher.h"

#include "cluster.h"

#include <stdio.h>
#include <string.h>

#define RESULTS_MAX 20000

struct fixture {
	uv_loop_t loop;
	struct cluster cluster;
	struct log log;
	struct publisher *publisher;
	uint64_t ids[RESULTS_MAX]; /* In the order in which the results came */
	size_t n_results;
	size_t n_refused;
	size_t expected;
	char last_error[128];
	bool in_write;
	bool closed;
	bool is_fatal;
};

static void on_result(void *owner, uint64_t id, const char *error)
{
	struct fixture *f = owner;

	assert_false(f->in_write);
	assert_true(f->n_results < RESULTS_MAX);
	f->ids[f->n_results++] = id;
	if (error) {
		f->n_refused++;
		snprintf(f->last_error, sizeof(f->last_error), "%s", error);
	}
}

static void on_fatal(void *owner, const char *message)
{
	struct fixture *f = owner;

	(void)message;
	f->is_fatal = true;
}

static void on_closed(void *owner)
{
	struct fixture *f = owner;

	f->closed = true;
}

static bool is_closed(void *arg)
{
	struct fixture *f = arg;

	return f->closed;
}

static bool has_results(void *arg)
{
	struct fixture *f = arg;

	return f->n_results >= f->expected;
}

static void open_publisher(struct fixture *f, const struct kafka_property *more, size_t n_more)
{
	struct kafka_property list[8];
	struct kafka_properties properties = { list, n_more + 1 };
	struct err err;

	list[0] = f->cluster.bootstrap;
	for (size_t i = 0; i < n_more; i++)
		list[i + 1] = more[i];
	f->publisher = publisher_new(&f->loop, &properties, on_result, f, on_fatal, &f->log, &err);
	assert_non_null(f->publisher);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	uv_loop_init(&f.loop);
	log_init(&f.log, NULL, LOG_DEBUG);
	cluster_init(&f.cluster, "replies", 1);
	*state = &f;
	return 0;
}

static void close_publisher(struct fixture *f, int64_t deadline_ms)
{
	publisher_close(f->publisher, duration_ms(deadline_ms), on_closed, f);
	loop_until(&f->loop, is_closed, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (!f->closed)
		close_publisher(f, CLUSTER_PATIENCE_MS);
	loop_end(&f->loop);
	cluster_close(&f->cluster);
	return 0;
}

static void write_value(struct fixture *f, uint64_t id, const char *topic, struct bytes value)
{
	struct record_header headers[] = {
		{ .name = bytes_of("traceparent"), .value = bytes_of("00-1") },
		{ .name = bytes_of("nothing"), .is_null = true },
	};
	struct publisher_write write = {
		.id = id,
		.topic = topic,
		.has_key = true,
		.key = bytes_of("call"),
		.value = value,
		.headers = headers,
		.n_headers = id % 2 ? 2 : 0,
	};

	f->in_write = true;
	publisher_write(f->publisher, &write);
	f->in_write = false;
}

static void write_number(struct fixture *f, uint64_t id)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	write_value(f, id, "replies", bytes_of(text));
}

static void wait_results(struct fixture *f, size_t n)
{
	f->expected = n;
	loop_until(&f->loop, has_results, f);
}

static void assert_stored_in_order(struct fixture *f, int n)
{
	char expected[RESULTS_MAX];
	char text[RESULTS_MAX];
	size_t used = 0;

	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%d ", i);
	cluster_read(&f->cluster, "replies", 0, n, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void each_write_is_reported_once_and_stored_in_order(void **state)
{
	struct fixture *f = *state;

	open_publisher(f, NULL, 0);
	for (uint64_t id = 0; id < 1000; id++)
		write_number(f, id);
	assert_int_equal(publisher_pending(f->publisher), 1000);
	wait_results(f, 1000);
	assert_int_equal(publisher_pending(f->publisher), 0);
	assert_int_equal(f->n_refused, 0);
	for (uint64_t id = 0; id < 1000; id++)
		assert_int_equal(f->ids[id], id);
	assert_stored_in_order(f, 1000);
}

static void a_full_queue_keeps_the_order(void **state)
{
	static const struct kafka_property small[] = { { "queue.buffering.max.messages", "10" } };
	struct fixture *f = *state;

	open_publisher(f, small, 1);
	for (uint64_t id = 0; id < 500; id++)
		write_number(f, id);
	wait_results(f, 500);
	assert_int_equal(f->n_refused, 0);
	assert_stored_in_order(f, 500);
}

static void a_record_that_is_too_large_is_refused_later_and_harms_no_other(void **state)
{
	static char large[2 * 1000 * 1000];
	struct fixture *f = *state;

	open_publisher(f, NULL, 0);
	write_number(f, 0);
	write_value(f, 77, "replies", (struct bytes){ large, sizeof(large) });
	write_number(f, 1);
	assert_int_equal(f->n_results, 0);
	wait_results(f, 3);
	assert_int_equal(f->n_refused, 1);
	assert_non_null(strstr(f->last_error, "too large"));
	assert_stored_in_order(f, 2);
}

static void a_record_that_the_broker_refuses_for_good_is_reported(void **state)
{
	struct fixture *f = *state;

	open_publisher(f, NULL, 0);
	rd_kafka_mock_push_request_errors(f->cluster.mock, 0 /* Produce */, 1,
	                                  RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	write_number(f, 0);
	wait_results(f, 1);
	assert_int_equal(f->n_refused, 1);
	assert_false(f->is_fatal);
}

static void an_error_that_passes_is_not_reported(void **state)
{
	struct fixture *f = *state;

	open_publisher(f, NULL, 0);
	rd_kafka_mock_push_request_errors(
	    f->cluster.mock, 0 /* Produce */, 3, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
	    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
	write_number(f, 0);
	write_number(f, 1);
	wait_results(f, 2);
	assert_int_equal(f->n_refused, 0);
	assert_stored_in_order(f, 2);
}

static void records_wait_for_a_broker_that_is_away(void **state)
{
	static const struct kafka_property quick[] = { { "reconnect.backoff.max.ms", "200" } };
	struct fixture *f = *state;

	open_publisher(f, quick, 1);
	write_number(f, 0);
	wait_results(f, 1);
	rd_kafka_mock_broker_set_down(f->cluster.mock, 1);
	for (uint64_t id = 1; id < 20; id++)
		write_number(f, id);
	loop_for(&f->loop, 300);
	assert_int_equal(f->n_results, 1);
	rd_kafka_mock_broker_set_up(f->cluster.mock, 1);
	wait_results(f, 20);
	assert_int_equal(f->n_refused, 0);
	assert_stored_in_order(f, 20);
}

static void closing_waits_for_the_results(void **state)
{
	struct fixture *f = *state;

	open_publisher(f, NULL, 0);
	for (uint64_t id = 0; id < 100; id++)
		write_number(f, id);
	close_publisher(f, CLUSTER_PATIENCE_MS);
	assert_int_equal(f->n_results, 100);
}

static void closing_keeps_its_deadline_when_the_broker_is_gone(void **state)
{
	struct fixture *f = *state;
	uint64_t began_ms;

	open_publisher(f, NULL, 0);
	write_number(f, 0);
	wait_results(f, 1);
	rd_kafka_mock_broker_set_down(f->cluster.mock, 1);
	write_number(f, 1);
	uv_update_time(&f->loop);
	began_ms = uv_now(&f->loop);
	close_publisher(f, 300);
	uv_update_time(&f->loop);
	assert_in_range(uv_now(&f->loop) - began_ms, 299, 3000);
	assert_int_equal(f->n_results, 1);
}

static void a_publisher_without_any_broker_closes(void **state)
{
	struct fixture *f = *state;

	rd_kafka_mock_broker_set_down(f->cluster.mock, 1);
	open_publisher(f, NULL, 0);
	close_publisher(f, 300);
	assert_false(f->is_fatal);
}

static void a_property_that_librdkafka_refuses_is_an_error(void **state)
{
	static const struct kafka_property list[] = { { "linger.ms", "soon" } };
	struct kafka_properties properties = { list, 1 };
	struct fixture *f = *state;
	struct err err;

	assert_null(publisher_new(&f->loop, &properties, on_result, f, on_fatal, &f->log, &err));
	f->closed = true;
	assert_non_null(strstr(err.msg, "linger.ms"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_write_is_reported_once_and_stored_in_order),
		TEST(a_full_queue_keeps_the_order),
		TEST(a_record_that_is_too_large_is_refused_later_and_harms_no_other),
		TEST(a_record_that_the_broker_refuses_for_good_is_reported),
		TEST(an_error_that_passes_is_not_reported),
		TEST(records_wait_for_a_broker_that_is_away),
		TEST(closing_waits_for_the_results),
		TEST(closing_keeps_its_deadline_when_the_broker_is_gone),
		TEST(a_publisher_without_any_broker_closes),
		TEST(a_property_that_librdkafka_refuses_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
