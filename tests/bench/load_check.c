/* Judging the replies: exactly one for each command, and when each was stored.
 *
 * While the work lasts only the ends of the partitions are asked for, so that the program under
 * test has the machine. The replies are read when they stop coming. */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH      10000
#define ASK_MS     100
#define QUIET_SECS 0.5
#define PERCENTS   100

struct check {
	const struct load_options *options;
	rd_kafka_t *rk;
	int32_t n_commands, n_replies; /* Partitions of the topics */
	int64_t ends[LOAD_PARTITIONS_MAX];
	unsigned char *seen[LOAD_PARTITIONS_MAX]; /* Owned: how often each offset has a reply */
	uint64_t commands;
	uint64_t unique, repeated, strange, refused;
	int64_t *stored_ms; /* Owned: when each of the unique replies was stored */
	double last_news;
};

static void open_check(struct check *check)
{
	for (int32_t i = 0; i < check->n_commands; i++) {
		check->ends[i] = load_end(check->rk, check->options->commands, i);
		check->seen[i] = calloc((size_t)check->ends[i] + 1, 1);
		check->commands += (uint64_t)check->ends[i];
		if (!check->seen[i])
			load_fail("check", "no memory");
	}
	check->stored_ms = calloc(check->commands + 1, sizeof(*check->stored_ms));
	if (!check->stored_ms)
		load_fail("check", "no memory");
	check->last_news = load_now();
}

static bool is_patient(const struct check *check)
{
	return load_now() - check->last_news < check->options->patience;
}

static uint64_t stored_records(struct check *check)
{
	uint64_t sum = 0;

	for (int32_t i = 0; i < check->n_replies; i++)
		sum += (uint64_t)load_end(check->rk, check->options->replies, i);
	return sum;
}

/* Markers of transactions count as records too: so it is also waited until no more come. */
static void wait_for_records(struct check *check)
{
	uint64_t before = 0;

	while (is_patient(check)) {
		uint64_t stored = stored_records(check);

		if (stored != before)
			check->last_news = load_now();
		else if (stored >= check->commands && load_now() - check->last_news > QUIET_SECS)
			return;
		before = stored;
		rd_kafka_poll(check->rk, ASK_MS);
	}
}

static void judge(struct check *check, const rd_kafka_message_t *message)
{
	struct load_reply reply;
	unsigned char *seen;

	if (!load_read_reply(message->payload, message->len, &reply) ||
	    reply.partition >= check->n_commands || reply.offset >= check->ends[reply.partition]) {
		check->strange++;
		return;
	}
	check->refused += !reply.accepted;
	seen = &check->seen[reply.partition][reply.offset];
	if (*seen) {
		check->repeated++;
		return;
	}
	*seen = 1;
	check->stored_ms[check->unique++] = rd_kafka_message_timestamp(message, NULL);
	check->last_news = load_now();
}

static rd_kafka_queue_t *assign_all(struct check *check)
{
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(check->n_replies);

	for (int32_t i = 0; i < check->n_replies; i++)
		rd_kafka_topic_partition_list_add(all, check->options->replies, i)->offset = 0;
	rd_kafka_assign(check->rk, all);
	rd_kafka_topic_partition_list_destroy(all);
	return rd_kafka_queue_get_consumer(check->rk);
}

/* After the last expected reply the rest of what is there is read too: it can only be too much. */
static void read_replies(struct check *check)
{
	static rd_kafka_message_t *messages[BATCH];
	rd_kafka_queue_t *queue = assign_all(check);

	while (is_patient(check)) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 500, messages, BATCH);

		for (ssize_t i = 0; i < n; i++) {
			if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
				judge(check, messages[i]);
			rd_kafka_message_destroy(messages[i]);
		}
		if (n <= 0 && check->unique == check->commands)
			break;
	}
	rd_kafka_queue_destroy(queue);
}

static int by_time(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* "times": when the first reply was stored, the last of the first percent, of the second …, as
 * seconds of the date. */
static void print_check(const struct check *check)
{
	printf("{\"commands\":%llu,\"unique\":%llu,\"repeated\":%llu,\"strange\":%llu,"
	       "\"refused\":%llu,\"times\":[",
	       (unsigned long long)check->commands, (unsigned long long)check->unique,
	       (unsigned long long)check->repeated, (unsigned long long)check->strange,
	       (unsigned long long)check->refused);
	for (uint64_t i = 0; i <= PERCENTS && check->unique > 0; i++) {
		uint64_t at = i * check->unique / PERCENTS;

		printf("%s%.3f", i ? "," : "",
		       (double)check->stored_ms[at > 0 ? at - 1 : 0] / 1000);
	}
	printf("]}\n");
}

int load_check(const struct load_options *options)
{
	static const char *const properties[] = {
		"group.id",
		"bench-check",
		"enable.auto.commit",
		"false",
		"isolation.level",
		"read_committed",
		"check.crcs",
		"false",
		"fetch.wait.max.ms",
		"50",
		"auto.offset.reset",
		"earliest",
		NULL,
	};
	struct check check = { .options = options };

	if (!options->replies)
		load_fail("check", "--replies is needed");
	check.rk = load_client(RD_KAFKA_CONSUMER, options, properties);
	check.n_commands = load_partitions(check.rk, options->commands);
	check.n_replies = load_partitions(check.rk, options->replies);
	open_check(&check);
	wait_for_records(&check);
	read_replies(&check);
	qsort(check.stored_ms, check.unique, sizeof(*check.stored_ms), by_time);
	print_check(&check);
	for (int32_t i = 0; i < check.n_commands; i++)
		free(check.seen[i]);
	free(check.stored_ms);
	rd_kafka_consumer_close(check.rk);
	rd_kafka_destroy(check.rk);
	return 0;
}
