/* The open loop: every command has its time, and is late by all that keeps its reply from being
 * read, even if that kept the command itself from being produced.
 *
 * One thread produces; the other reads replies, and knows a command's time by its place: the n-th
 * that was produced to a partition has the n-th offset from where the partition ended before. */
#include "bench/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH     1000
#define READ_MS   100
#define LEAD_SECS 0.2 /* From setting up to the first command */

struct lane {
	int64_t begin;   /* Offset of the first command */
	double *due;     /* Owned: when each command was to be produced */
	atomic_size_t n; /* So many of 'due' are filled in */
};

struct pace {
	const struct load_options *options;
	rd_kafka_t *producer, *consumer;
	int32_t n_commands, n_replies; /* Partitions of the topics */
	struct lane lanes[LOAD_PARTITIONS_MAX];
	size_t total;
	size_t n_answered, n_strange;
	double *latencies; /* Owned */
	double worst_late; /* How much later than due a command was produced */
};

static void open_lanes(struct pace *pace)
{
	pace->total = (size_t)(pace->options->rate * pace->options->seconds);
	pace->latencies = calloc(pace->total + 1, sizeof(*pace->latencies));
	for (int32_t i = 0; i < pace->n_commands; i++) {
		pace->lanes[i].begin = load_end(pace->consumer, pace->options->commands, i);
		pace->lanes[i].due = calloc(pace->total + 1, sizeof(double));
		atomic_init(&pace->lanes[i].n, 0);
		if (!pace->lanes[i].due || !pace->latencies)
			load_fail("pace", "no memory");
	}
}

static void wait_until(double due)
{
	struct timespec at = { .tv_sec = (time_t)due };

	at.tv_nsec = (long)((due - (double)at.tv_sec) * 1e9);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
		;
}

static void *produce_all(void *arg)
{
	struct pace *pace = arg;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(pace->producer, pace->options->commands, NULL);
	double begin = load_now() + LEAD_SECS;
	struct commands commands;
	struct command_text text;

	if (!commands_init(&commands, &pace->options->what))
		load_fail("pace", "no memory");
	for (size_t i = 0; i < pace->total; i++) {
		double due = begin + (double)i / pace->options->rate, late;
		struct lane *lane;

		commands_next(&commands, pace->options->number + i, &text);
		lane = &pace->lanes[text.call % (uint32_t)pace->n_commands];
		lane->due[lane->n] = due;
		wait_until(due);
		atomic_fetch_add(&lane->n, 1);
		load_produce(pace->producer, topic, pace->n_commands, &text);
		late = load_now() - due;
		pace->worst_late = late > pace->worst_late ? late : pace->worst_late;
		rd_kafka_poll(pace->producer, 0);
	}
	load_flush(pace->producer);
	commands_close(&commands);
	rd_kafka_topic_destroy(topic);
	return NULL;
}

static void take_reply(struct pace *pace, const rd_kafka_message_t *message, double now)
{
	struct load_reply reply;
	struct lane *lane;
	int64_t place;

	if (!load_read_reply(message->payload, message->len, &reply) ||
	    reply.partition >= pace->n_commands) {
		pace->n_strange++;
		return;
	}
	lane = &pace->lanes[reply.partition];
	place = reply.offset - lane->begin;
	if (place < 0 || place >= (int64_t)atomic_load(&lane->n) ||
	    pace->n_answered == pace->total) {
		pace->n_strange++;
		return;
	}
	pace->latencies[pace->n_answered++] = now - lane->due[place];
}

static rd_kafka_queue_t *assign_ends(struct pace *pace)
{
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(pace->n_replies);

	for (int32_t i = 0; i < pace->n_replies; i++)
		rd_kafka_topic_partition_list_add(all, pace->options->replies, i)->offset =
		    load_end(pace->consumer, pace->options->replies, i);
	rd_kafka_assign(pace->consumer, all);
	rd_kafka_topic_partition_list_destroy(all);
	return rd_kafka_queue_get_consumer(pace->consumer);
}

static void read_replies(struct pace *pace, rd_kafka_queue_t *queue)
{
	static rd_kafka_message_t *messages[BATCH];
	double last_news = load_now();

	while (pace->n_answered < pace->total && load_now() - last_news < pace->options->patience) {
		rd_kafka_message_t *first = rd_kafka_consume_queue(queue, READ_MS);
		double now = load_now();
		ssize_t n;

		if (!first)
			continue;
		n = rd_kafka_consume_batch_queue(queue, 0, messages, BATCH - 1);
		messages[n < 0 ? 0 : n] = first;
		for (ssize_t i = 0; i <= (n < 0 ? 0 : n); i++) {
			if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
				take_reply(pace, messages[i], now);
			rd_kafka_message_destroy(messages[i]);
		}
		last_news = now;
	}
}

static int by_size(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static double quantile(const struct pace *pace, double share)
{
	size_t at = (size_t)(share * (double)pace->n_answered);

	return pace->latencies[at < pace->n_answered ? at : pace->n_answered - 1] * 1000;
}

static void print_pace(const struct pace *pace)
{
	static const double shares[] = { 0,     0.1,   0.2,    0.3,    0.4,  0.5,  0.6,
		                         0.7,   0.8,   0.9,    0.95,   0.98, 0.99, 0.995,
		                         0.998, 0.999, 0.9995, 0.9999, 1 };

	printf("{\"count\":%zu,\"answered\":%zu,\"strange\":%zu,\"worstLateMs\":%.3f,"
	       "\"quantiles\":[",
	       pace->total, pace->n_answered, pace->n_strange, pace->worst_late * 1000);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]) && pace->n_answered > 0; i++)
		printf("%s[%g,%.3f]", i ? "," : "", shares[i], quantile(pace, shares[i]));
	printf("]}\n");
}

int load_pace(const struct load_options *options)
{
	char linger[32];
	const char *const sending[] = { "enable.idempotence", "true", "linger.ms", linger, NULL };
	static const char *const reading[] = {
		"group.id",
		"bench-pace",
		"enable.auto.commit",
		"false",
		"isolation.level",
		"read_committed",
		"fetch.wait.max.ms",
		"500",
		"fetch.min.bytes",
		"1",
		NULL,
	};
	struct pace pace = { .options = options };
	rd_kafka_queue_t *queue;
	pthread_t thread;

	if (!options->replies || !(options->rate > 0))
		load_fail("pace", "--replies and --rate are needed");
	snprintf(linger, sizeof(linger), "%g", options->linger_ms);
	pace.producer = load_client(RD_KAFKA_PRODUCER, options, sending);
	pace.consumer = load_client(RD_KAFKA_CONSUMER, options, reading);
	pace.n_commands = load_partitions(pace.producer, options->commands);
	pace.n_replies = load_partitions(pace.consumer, options->replies);
	open_lanes(&pace);
	queue = assign_ends(&pace);
	if (pthread_create(&thread, NULL, produce_all, &pace) != 0)
		load_fail("pace", "no thread");
	read_replies(&pace, queue);
	pthread_join(thread, NULL);
	qsort(pace.latencies, pace.n_answered, sizeof(*pace.latencies), by_size);
	print_pace(&pace);
	rd_kafka_queue_destroy(queue);
	for (int32_t i = 0; i < pace.n_commands; i++)
		free(pace.lanes[i].due);
	free(pace.latencies);
	rd_kafka_consumer_close(pace.consumer);
	rd_kafka_destroy(pace.consumer);
	rd_kafka_destroy(pace.producer);
	return 0;
}
