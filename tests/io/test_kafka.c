/* Which properties are the user's, and what a configuration is made of. */
#include "worker/io/kafka.h"
#include "worker/io/tool_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void what_the_worker_sets_is_refused_with_a_reason(void **state)
{
	static const char *const names[] = { "enable.auto.commit",    "group.id", "acks",
		                             "request.required.acks", "retries",  "error_cb",
		                             "plugin.library.paths" };
	(void)state;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *why = NULL;
		struct err err;

		assert_true(kafka_property_is_ours(names[i], &why));
		assert_true(strlen(why) > 10);
		assert_int_equal(kafka_property_check(names[i], "1", &err), -1);
		assert_non_null(strstr(err.msg, why));
	}
}

static void what_is_the_users_passes(void **state)
{
	const char *why;
	struct err err;
	(void)state;

	assert_false(kafka_property_is_ours("bootstrap.servers", &why));
	assert_int_equal(kafka_property_check("bootstrap.servers", "a:9092,b:9092", &err), 0);
	assert_int_equal(kafka_property_check("sasl.password", "x", &err), 0);
	assert_int_equal(kafka_property_check("linger.ms", "5", &err), 0);
	assert_int_equal(kafka_property_check("fetch.min.bytes", "1", &err), 0);
}

static void a_mistake_is_told_with_the_name_of_the_property(void **state)
{
	struct err err;
	(void)state;

	assert_int_equal(kafka_property_check("no.such.thing", "1", &err), -1);
	assert_non_null(strstr(err.msg, "no.such.thing"));
	assert_int_equal(kafka_property_check("security.protocol", "tcp", &err), -1);
	assert_non_null(strstr(err.msg, "security.protocol"));
	assert_int_equal(kafka_property_check("fetch.min.bytes", "-7", &err), -1);
	assert_non_null(strstr(err.msg, "fetch.min.bytes"));
}

static void a_secret_never_stands_in_a_message(void **state)
{
	struct err err;
	(void)state;

	assert_int_equal(
	    kafka_property_check("enable.sasl.oauthbearer.unsecure.jwt", "hunter2", &err), -1);
	assert_null(strstr(err.msg, "hunter2"));
}

static void assert_conf(const rd_kafka_conf_t *conf, const char *name, const char *expected)
{
	char value[128];
	size_t size = sizeof(value);

	assert_int_equal(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
	assert_string_equal(value, expected);
}

static rd_kafka_conf_t *make(enum kafka_role role)
{
	static const struct kafka_property defaults[] = { { "client.id", "default" },
		                                          { "socket.timeout.ms", "7000" } };
	static const struct kafka_property user[] = { { "client.id", "users" },
		                                      { "fetch.min.bytes", "77" },
		                                      { "linger.ms", "99" },
		                                      { "acks", "1" },
		                                      { "socket.keepalive.enable", "true" } };
	static const struct kafka_property ours[] = { { "socket.keepalive.enable", "false" } };
	struct kafka_conf_options options = {
		.role = role, .defaults = { defaults, 2 }, .user = { user, 5 }, .ours = { ours, 1 }
	};
	struct err err;
	rd_kafka_conf_t *conf = kafka_conf_new(&options, &err);

	assert_non_null(conf);
	return conf;
}

static void the_users_value_wins_over_a_default_and_ours_over_the_users(void **state)
{
	rd_kafka_conf_t *conf = make(KAFKA_CONSUMER);
	(void)state;

	assert_conf(conf, "client.id", "users");
	assert_conf(conf, "socket.timeout.ms", "7000");
	assert_conf(conf, "socket.keepalive.enable", "false");
	rd_kafka_conf_destroy(conf);
}

static void properties_of_the_other_role_are_left_out(void **state)
{
	rd_kafka_conf_t *consumer = make(KAFKA_CONSUMER);
	rd_kafka_conf_t *producer = make(KAFKA_PRODUCER);
	(void)state;

	assert_conf(consumer, "fetch.min.bytes", "77");
	assert_conf(consumer, "linger.ms", "5");
	assert_conf(producer, "fetch.min.bytes", "1");
	assert_conf(producer, "linger.ms", "99");
	rd_kafka_conf_destroy(consumer);
	rd_kafka_conf_destroy(producer);
}

static void a_producer_of_transactions_takes_its_socket_timeout_from_theirs(void **state)
{
	static const struct kafka_property user[] = { { KAFKA_SOCKET_TIMEOUT, "60000" } };
	static const struct kafka_property ours[] = { { "transactional.id", "id" },
		                                      { "transaction.timeout.ms", "5000" } };
	const struct kafka_conf_options options = { .role = KAFKA_PRODUCER,
		                                    .user = { user, 1 },
		                                    .ours = { ours, 2 } };
	struct err err;
	rd_kafka_conf_t *conf = kafka_conf_new(&options, &err);
	rd_kafka_t *rk;
	char why[200];
	(void)state;

	assert_non_null(conf);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(rk);
	rd_kafka_destroy(rk);
}

/* librdkafka refuses one that is shorter than the session, here its own of 45 s. */
static void a_tool_opens_whatever_poll_interval_the_user_has(void **state)
{
	static const struct kafka_property user[] = { { KAFKA_POLL_INTERVAL, "20000" } };
	const struct kafka_properties properties = { user, 1 };
	struct tool_client client;
	struct err err;
	(void)state;

	assert_int_equal(tool_client_open(&client, &properties, "group", &err), 0);
	tool_client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_worker_sets_is_refused_with_a_reason),
		cmocka_unit_test(what_is_the_users_passes),
		cmocka_unit_test(a_mistake_is_told_with_the_name_of_the_property),
		cmocka_unit_test(a_secret_never_stands_in_a_message),
		cmocka_unit_test(the_users_value_wins_over_a_default_and_ours_over_the_users),
		cmocka_unit_test(properties_of_the_other_role_are_left_out),
		cmocka_unit_test(a_producer_of_transactions_takes_its_socket_timeout_from_theirs),
		cmocka_unit_test(a_tool_opens_whatever_poll_interval_the_user_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
