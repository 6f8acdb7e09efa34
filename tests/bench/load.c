/* bench-load: produces commands, and judges and times the replies.
 *
 *   fill    produce --count commands as fast as it goes
 *   check   wait for the replies to all commands of the topic, then read and judge them
 *   pace    produce --rate commands a second for --seconds, each at its time whatever happens, and
 *           measure how long after that time its reply can be read
 *
 * The programs under test name the place of a command, "partition": and "offset":, in its reply, so
 * nothing else need be known of them. */
#include "bench/load.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_MS  100
#define QUERY_MS 10000
#define FLUSH_MS 60000

double load_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void load_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench-load: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

rd_kafka_t *load_client(rd_kafka_type_t type, const struct load_options *options,
                        const char *const *properties)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512] = "";
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", options->brokers, NULL, 0);
	rd_kafka_conf_set(conf, "log_level", "3", NULL, 0);
	for (; *properties; properties += 2) {
		if (rd_kafka_conf_set(conf, properties[0], properties[1], why, sizeof(why)) !=
		    RD_KAFKA_CONF_OK)
			load_fail(properties[0], why);
	}
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk)
		load_fail("no Kafka client", why);
	return rk;
}

int32_t load_partitions(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(rk, 0, handle, &metadata, QUERY_MS);
	int32_t count;

	if (error || metadata->topic_cnt != 1)
		load_fail(topic, rd_kafka_err2str(error));
	count = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
	if (count < 1 || count > LOAD_PARTITIONS_MAX)
		load_fail(topic, "no such topic, or too many partitions");
	return count;
}

int64_t load_end(rd_kafka_t *rk, const char *topic, int32_t partition)
{
	int64_t low, high;
	rd_kafka_resp_err_t error =
	    rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, QUERY_MS);

	if (error)
		load_fail(topic, rd_kafka_err2str(error));
	return high;
}

int32_t load_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partitions,
                     struct command_text *text)
{
	int32_t partition = (int32_t)(text->call % (uint32_t)partitions);

	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, text->value,
	                        text->value_size, text->key, strlen(text->key), NULL) < 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			load_fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, POLL_MS);
	}
	return partition;
}

void load_flush(rd_kafka_t *rk)
{
	rd_kafka_resp_err_t error = rd_kafka_flush(rk, FLUSH_MS);

	if (error)
		load_fail("flush", rd_kafka_err2str(error));
}

static bool read_number(const char *text, size_t size, const char *name, int64_t *ret)
{
	const char *at = memmem(text, size, name, strlen(name));
	const char *end = text + size;

	if (!at)
		return false;
	*ret = 0;
	for (at += strlen(name); at < end && *at >= '0' && *at <= '9'; at++)
		*ret = *ret * 10 + (*at - '0');
	return true;
}

bool load_read_reply(const char *text, size_t size, struct load_reply *ret)
{
	static const char accepted[] = "\"status\":\"accepted\"", ok[] = "\"status\":200";
	int64_t partition;

	if (!read_number(text, size, "\"partition\":", &partition) ||
	    !read_number(text, size, "\"offset\":", &ret->offset))
		return false;
	ret->partition = (int32_t)partition;
	ret->accepted = memmem(text, size, accepted, sizeof(accepted) - 1) ||
	                memmem(text, size, ok, sizeof(ok) - 1);
	return true;
}

static const struct {
	const char *name;
	int (*run)(const struct load_options *options);
} verbs[] = { { "fill", load_fill }, { "check", load_check }, { "pace", load_pace } };
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

enum option_key { KEY_ZIPF = 256, KEY_LINGER, KEY_PATIENCE, KEY_NUMBER, KEY_NO_CONTEXT };

static const struct argp_option argp_options[] = {
	{ "brokers", 'b', "HOST:PORT", 0, "Bootstrap servers", 0 },
	{ "commands", 'c', "TOPIC", 0, "Topic of the commands", 0 },
	{ "replies", 'r', "TOPIC", 0, "Topic of the replies", 0 },
	{ "count", 'n', "N", 0, "Commands to produce", 0 },
	{ "calls", 'k', "N", 0, "Calls that they are for (5000)", 0 },
	{ "zipf", KEY_ZIPF, "S", 0, "Exponent of their distribution over the calls (0: uniform)",
	  0 },
	{ "rate", 'R', "N", 0, "Commands a second", 0 },
	{ "seconds", 's', "N", 0, "How long", 0 },
	{ "linger", KEY_LINGER, "MS", 0,
	  "How long a command of the open loop waits for company (0)", 0 },
	{ "patience", KEY_PATIENCE, "S", 0, "Longest time without a reply (60)", 0 },
	{ "number", KEY_NUMBER, "N", 0, "Number of the first command (0)", 0 },
	{ "no-context", KEY_NO_CONTEXT, NULL, 0, "Commands without a clientContext", 0 },
	{ 0 },
};

static double parse_number(struct argp_state *state, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= 1e12))
		argp_error(state, "%s: not a number that can be used", text);
	return value;
}

static error_t on_number(int key, double value, struct load_options *options)
{
	switch (key) {
	case 'n':
		options->count = (uint64_t)value;
		return 0;
	case 'k':
		options->what.calls = (uint32_t)value;
		return 0;
	case KEY_ZIPF:
		options->what.zipf = value;
		return 0;
	case 'R':
		options->rate = value;
		return 0;
	case 's':
		options->seconds = value;
		return 0;
	case KEY_LINGER:
		options->linger_ms = value;
		return 0;
	case KEY_PATIENCE:
		options->patience = value;
		return 0;
	default:
		options->number = (uint64_t)value;
		return 0;
	}
}

struct input {
	struct load_options options;
	int (*run)(const struct load_options *options);
};

static error_t on_verb(const char *verb, struct argp_state *state)
{
	struct input *input = state->input;

	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(verbs[i].name, verb) == 0)
			input->run = verbs[i].run;
	}
	return input->run ? 0 : ARGP_ERR_UNKNOWN;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct input *input = state->input;

	switch (key) {
	case 'b':
		input->options.brokers = arg;
		return 0;
	case 'c':
		input->options.commands = arg;
		return 0;
	case 'r':
		input->options.replies = arg;
		return 0;
	case KEY_NO_CONTEXT:
		input->options.what.has_context = false;
		return 0;
	case ARGP_KEY_ARG:
		return on_verb(arg, state);
	case ARGP_KEY_END:
		if (!input->run || !input->options.brokers || !input->options.commands ||
		    input->options.what.calls == 0)
			argp_usage(state);
		return 0;
	case 'n':
	case 'k':
	case 'R':
	case 's':
	case KEY_ZIPF:
	case KEY_LINGER:
	case KEY_PATIENCE:
	case KEY_NUMBER:
		return on_number(key, parse_number(state, arg), &input->options);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = on_option,
		.args_doc = "fill|check|pace",
		.doc = "Produces commands for the benchmarks, and judges and times their replies.",
	};
	struct input input = {
		.options = { .patience = 60, .what = { .calls = 5000, .has_context = true } },
	};

	argp_parse(&argp, argc, argv, 0, NULL, &input);
	return input.run(&input.options);
}
