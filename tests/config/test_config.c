/* From file and environment to the typed fields. */
#include "worker/base/log.h"
#include "worker/config.h"
#include "worker/core/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define REQUIRED                                                                                   \
	"login: { tenant_id: contoso.example, client_id: app, client_secret: hush }\n"             \
	"kafka: { bootstrap.servers: \"localhost:1\" }\n"                                          \
	"delivery: at-least-once\n"

struct fixture {
	char path[64];
	struct problems problems;
	struct config *config;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->path, sizeof(f->path), "/tmp/test-config-XXXXXX");
	close(mkstemp(f->path));
	problems_init(&f->problems);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	config_free(f->config);
	problems_close(&f->problems);
	unlink(f->path);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *text, char *const variables[])
{
	static char *const none[] = { NULL };
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return config_load(f->path, variables ? variables : none, &f->config, &f->problems);
}

static void gives_every_option_its_default(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, REQUIRED, NULL), 0);
	assert_string_equal(f->config->topics.commands, "invite-commands");
	assert_null(f->config->consumer.instance_id);
	assert_int_equal(f->config->consumer.commit_interval.us, 200000);
	assert_int_equal(f->config->consumer.batch, 500);
	assert_true(f->config->commands.require_key);
	assert_int_equal(f->config->commands.copy_headers.count, 3);
	assert_string_equal(f->config->commands.copy_headers.list[2], "correlation-id");
	assert_int_equal(f->config->commands.reply_topics.count, 0);
	assert_int_equal(f->config->batch.window.us, 20000);
	assert_true(f->config->rate.call == 5.0);
	assert_int_equal(f->config->commands.duplicate_window, 1000);
	assert_int_equal(f->config->exactly_once.lease.us, 7000000);
	assert_int_equal(f->config->exactly_once.commit_deadline.us, 3000000);
	assert_int_equal(f->config->exactly_once.transaction_timeout.us, 5000000);
	assert_int_equal(f->config->exactly_once.gap.us, 5000);
	assert_int_equal(f->config->exactly_once.on_bad_map, BAD_MAP_STOP);
	assert_true(f->config->evidence.operations);
	assert_true(f->config->evidence.roster);
	assert_null(f->config->graph.ca_file);
	assert_int_equal(f->config->log.level, LOG_INFO);
	assert_string_equal(f->config->login.scope, "https://graph.microsoft.com/.default");
}

static void has_the_defaults_of_the_engine(void **state)
{
	struct policy policy = policy_default();
	struct fixture *f = *state;

	assert_int_equal(load(f, REQUIRED, NULL), 0);
	assert_int_equal(f->config->commands.duplicate_window, policy.history);
	assert_int_equal(f->config->commands.max_age.us, policy.max_age.us);
	assert_int_equal(f->config->commands.default_expiry.us, policy.default_expiry.us);
	assert_int_equal(f->config->commands.dead_letter_failed, policy.dead_letter_failed);
	assert_int_equal(f->config->exactly_once.on_bad_map, policy.on_bad_map);
	assert_int_equal(f->config->evidence.operations, policy.look_at_operations);
	assert_int_equal(f->config->evidence.roster, policy.look_at_roster);
	assert_int_equal(f->config->batch.window.us, policy.batch_window.us);
	assert_int_equal(f->config->batch.max_participants, policy.batch_max);
	assert_true(f->config->rate.call == policy.call_rate);
	assert_true(f->config->rate.application == policy.application_rate);
	assert_int_equal(f->config->rate.application_burst, policy.application_burst);
	assert_int_equal(f->config->retry.base.us, policy.retry_base.us);
	assert_int_equal(f->config->retry.cap.us, policy.retry_cap.us);
	assert_int_equal(f->config->retry.max_hold.us, policy.max_hold.us);
	assert_int_equal(f->config->retry.max_attempts, policy.max_attempts);
	assert_int_equal(f->config->retry.settle.us, policy.settle.us);
	assert_int_equal(f->config->retry.call_grace.us, policy.call_grace.us);
	assert_int_equal(f->config->retry.call_over_memory.us, policy.call_over_memory.us);
	assert_int_equal(f->config->queue.commands_per_partition, policy.commands_per_partition);
	assert_int_equal(f->config->queue.offsets_per_partition, policy.offsets_per_partition);
	assert_int_equal(f->config->graph.max_in_flight, policy.max_in_flight);
	assert_int_equal(f->config->graph.min_in_flight, policy.min_in_flight);
	assert_int_equal(f->config->graph.breaker_failures, policy.breaker_row);
	assert_int_equal(f->config->graph.breaker_pause.us, policy.breaker_cap.us);
	assert_int_equal(f->config->consumer.session_timeout.us, policy.share_delay.us);
}

static void gives_what_the_file_says(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f,
	                      REQUIRED "commands: { require_key: false, copy_headers: [a] }\n"
	                               "graph: { url: 'http://127.0.0.1:8080/v1.0/' }\n"
	                               "log: { level: debug }\n"
	                               "rate: { call: 0.5 }\n",
	                      NULL),
	                 0);
	assert_false(f->config->commands.require_key);
	assert_int_equal(f->config->commands.copy_headers.count, 1);
	assert_string_equal(f->config->graph.url, "http://127.0.0.1:8080/v1.0");
	assert_string_equal(f->config->login.scope, "http://127.0.0.1:8080/.default");
	assert_int_equal(f->config->log.level, LOG_DEBUG);
	assert_true(f->config->rate.call == 0.5);
	assert_string_equal(f->config->login.client_secret.text, "hush");
}

static void lets_the_environment_win(void **state)
{
	struct fixture *f = *state;
	char *const variables[] = {
		(char[]){ "INVITE_WORKER_BATCH_WINDOW=1s" },
		(char[]){ "INVITE_WORKER_LOGIN_CLIENT_SECRET=other" },
		(char[]){ "INVITE_WORKER_COMMANDS_REPLY_TOPICS=a,b" },
		(char[]){ "INVITE_WORKER_KAFKA_BOOTSTRAP_SERVERS=localhost:2" },
		NULL,
	};

	assert_int_equal(load(f, REQUIRED "batch: { window: 2s }\n", variables), 0);
	assert_int_equal(f->config->batch.window.us, 1000000);
	assert_string_equal(f->config->login.client_secret.text, "other");
	assert_int_equal(f->config->commands.reply_topics.count, 2);
	assert_string_equal(f->config->commands.reply_topics.list[1], "b");
	assert_int_equal(f->config->kafka.count, 1);
	assert_string_equal(f->config->kafka.list[0].value, "localhost:2");
	assert_int_equal(f->problems.warnings, 0);
}

static void lists_the_default_tenant_before_the_others(void **state)
{
	struct fixture *f = *state;
	char *const variables[] = { (char[]){ "INVITE_WORKER_LOGIN_OTHER_TENANTS=b.example,a" },
		                    NULL };

	assert_int_equal(load(f, REQUIRED, NULL), 0);
	assert_int_equal(f->config->tenants.count, 1);
	assert_string_equal(f->config->tenants.list[0], "contoso.example");
	config_free(f->config);
	f->config = NULL;
	assert_int_equal(load(f, REQUIRED, variables), 0);
	assert_int_equal(f->config->tenants.count, 3);
	assert_string_equal(f->config->tenants.list[0], "contoso.example");
	assert_string_equal(f->config->tenants.list[1], "b.example");
	assert_string_equal(f->config->tenants.list[2], "a");
}

/* What a worker of exactly-once delivery needs, without its slot. */
#define EXACTLY_ONCE                                                                               \
	"login: { tenant_id: contoso.example, client_id: app, client_secret: hush }\n"             \
	"kafka: { bootstrap.servers: \"localhost:1\" }\n"

static void delivers_exactly_once_unless_told_otherwise(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, EXACTLY_ONCE "consumer: { instance_id: w-0 }\n", NULL), 0);
	assert_int_equal(f->config->delivery.value, CONFIG_EXACTLY_ONCE);
	assert_string_equal(f->config->consumer.instance_id, "w-0");
	assert_string_equal(f->config->exactly_once.transactional_id, "invite-worker-w-0");
}

static void takes_the_delivery_as_one_word(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, EXACTLY_ONCE "delivery: at-least-once\n", NULL), 0);
	assert_int_equal(f->config->delivery.value, CONFIG_AT_LEAST_ONCE);
	assert_null(f->config->exactly_once.transactional_id);
}

static void takes_the_delivery_from_the_environment(void **state)
{
	struct fixture *f = *state;
	char *const variables[] = { (char[]){ "INVITE_WORKER_DELIVERY=at-least-once" }, NULL };

	assert_int_equal(load(f, EXACTLY_ONCE "delivery: exactly-once\n", variables), 0);
	assert_int_equal(f->config->delivery.value, CONFIG_AT_LEAST_ONCE);
}

static void takes_the_transactions_name_and_the_use_of_bad_maps_from_the_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f,
	                      EXACTLY_ONCE
	                      "consumer: { instance_id: w-0 }\n"
	                      "exactly_once: { transactional_id: x, on_bad_map: trust-offset }\n",
	                      NULL),
	                 0);
	assert_string_equal(f->config->exactly_once.transactional_id, "x");
	assert_int_equal(f->config->exactly_once.on_bad_map, BAD_MAP_TRUST);
}

static void needs_a_slot_for_exactly_once_delivery(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, EXACTLY_ONCE, NULL), -1);
	assert_int_equal(f->problems.mistakes, 1);
	assert_string_equal(f->problems.list[f->problems.count - 1].path, "consumer.instance_id");
}

static void empties_a_list_by_an_empty_variable(void **state)
{
	struct fixture *f = *state;
	char *const variables[] = { (char[]){ "INVITE_WORKER_COMMANDS_COPY_HEADERS=" }, NULL };

	assert_int_equal(load(f, REQUIRED, variables), 0);
	assert_int_equal(f->config->commands.copy_headers.count, 0);
}

static void passes_properties_of_kafka_through_verbatim(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f,
	                      "login: { tenant_id: t, client_id: c, client_secret: s }\n"
	                      "delivery: at-least-once\n"
	                      "kafka:\n"
	                      "  bootstrap.servers: a:1,b:2\n"
	                      "  socket.keepalive.enable: true\n"
	                      "  socket.timeout.ms: 3000\n",
	                      NULL),
	                 0);
	assert_int_equal(f->config->kafka.count, 3);
	assert_string_equal(f->config->kafka.list[0].name, "bootstrap.servers");
	assert_string_equal(f->config->kafka.list[0].value, "a:1,b:2");
	assert_string_equal(f->config->kafka.list[1].value, "true");
	assert_string_equal(f->config->kafka.list[2].value, "3000");
}

static void the_environment_sets_properties_of_kafka_with_dots_and_the_one_without(void **state)
{
	struct fixture *f = *state;
	char *const variables[] = { (char[]){ "INVITE_WORKER_KAFKA_LOG_LEVEL=3" },
		                    (char[]){ "INVITE_WORKER_KAFKA_LINGER_MS=7" }, NULL };

	assert_int_equal(load(f, REQUIRED, variables), 0);
	assert_int_equal(f->config->kafka.count, 3);
	assert_string_equal(f->config->kafka.list[1].name, "log_level");
	assert_string_equal(f->config->kafka.list[2].name, "linger.ms");
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* With the client secret in 'path'. */
static void load_secret_from(struct fixture *f, const char *path)
{
	char variable[128];
	char *variables[] = { variable, NULL };

	snprintf(variable, sizeof(variable), "INVITE_WORKER_LOGIN_CLIENT_SECRET_FILE=%s", path);
	assert_int_equal(load(f,
	                      "login: { tenant_id: contoso.example, client_id: app }\n"
	                      "kafka: { bootstrap.servers: \"localhost:1\" }\n"
	                      "delivery: at-least-once\n",
	                      variables),
	                 0);
	assert_string_equal(f->config->login.client_secret.text, "hush");
}

static void remembers_the_file_that_a_secret_can_be_read_from_again(void **state)
{
	struct fixture *f = *state;
	char path[80];

	snprintf(path, sizeof(path), "%s.secret", f->path);
	write_text(path, "hush\n");
	load_secret_from(f, path);
	assert_string_equal(f->config->login.client_secret.file, path);
	unlink(path);
}

/* Nobody writes into it a second time: opening it again would wait for ever. */
static void a_secret_from_a_pipe_is_read_once_only(void **state)
{
	struct fixture *f = *state;
	char path[80];
	pid_t writer;
	int status;

	snprintf(path, sizeof(path), "%s.pipe", f->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0) {
		write_text(path, "hush\n");
		_exit(0);
	}
	load_secret_from(f, path);
	assert_null(f->config->login.client_secret.file);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	unlink(path);
}

static void gives_nothing_when_there_is_a_mistake(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(load(f, REQUIRED "batch: { window: 2 }\n", NULL), -1);
	assert_null(f->config);
	assert_int_equal(f->problems.mistakes, 1);
	assert_int_equal(f->problems.list[f->problems.count - 1].place.line, 4);
	assert_int_equal(f->problems.list[f->problems.count - 1].place.column, 18);
	assert_string_equal(f->problems.list[f->problems.count - 1].path, "batch.window");
}

static void counts_more_problems_than_it_keeps(void **state)
{
	struct fixture *f = *state;
	char text[8192] = "batch:\n";
	size_t used = strlen(text);

	for (int i = 0; i < 150; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "  nonsense%d: 1\n", i);
	assert_int_equal(load(f, text, NULL), -1);
	assert_int_equal(f->problems.count, PROBLEMS_MAX);
	assert_int_equal(f->problems.mistakes, 150 + 5);
}

static void releases_nothing_for_null(void **state)
{
	(void)state;
	config_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(gives_every_option_its_default),
		TEST(has_the_defaults_of_the_engine),
		TEST(gives_what_the_file_says),
		TEST(lets_the_environment_win),
		TEST(lists_the_default_tenant_before_the_others),
		TEST(delivers_exactly_once_unless_told_otherwise),
		TEST(takes_the_delivery_as_one_word),
		TEST(takes_the_delivery_from_the_environment),
		TEST(takes_the_transactions_name_and_the_use_of_bad_maps_from_the_file),
		TEST(needs_a_slot_for_exactly_once_delivery),
		TEST(empties_a_list_by_an_empty_variable),
		TEST(passes_properties_of_kafka_through_verbatim),
		TEST(the_environment_sets_properties_of_kafka_with_dots_and_the_one_without),
		TEST(remembers_the_file_that_a_secret_can_be_read_from_again),
		TEST(a_secret_from_a_pipe_is_read_once_only),
		TEST(gives_nothing_when_there_is_a_mistake),
		TEST(counts_more_problems_than_it_keeps),
		TEST(releases_nothing_for_null),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
