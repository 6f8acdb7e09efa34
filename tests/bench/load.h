/* The load generator of the benchmarks, and the judge of their replies. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/commands.h"

#include <librdkafka/rdkafka.h>

#define LOAD_PARTITIONS_MAX 64

struct load_options {
	const char *brokers;
	const char *commands; /* Topics */
	const char *replies;
	uint64_t count;
	double rate;    /* Commands a second */
	double seconds; /* Of the open loop */
	double linger_ms;
	double patience; /* So many seconds without a reply are too many */
	uint64_t number; /* Of the first command */
	struct commands_options what;
};

/* Seconds on the monotonic clock. */
double load_now(void);

/* End the program with a message. */
_Noreturn void load_fail(const char *what, const char *why);

/* A client with these properties: name, value, …, NULL. */
rd_kafka_t *load_client(rd_kafka_type_t type, const struct load_options *options,
                        const char *const *properties);

/* How many partitions the topic has. */
int32_t load_partitions(rd_kafka_t *rk, const char *topic);

/* Where the partition ends. */
int64_t load_end(rd_kafka_t *rk, const char *topic, int32_t partition);

/* Produce one command to the partition of its call; waits while the queue is full. Returns the
 * partition. */
int32_t load_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partitions,
                     struct command_text *text);

/* Wait until all that was produced is stored. */
void load_flush(rd_kafka_t *rk);

/* What a reply says; false when that cannot be read from it. */
struct load_reply {
	int32_t partition; /* Of its command */
	int64_t offset;
	bool accepted;
};
bool load_read_reply(const char *text, size_t size, struct load_reply *ret);

/* The commands of load.c. They print one line of JSON. */
int load_fill(const struct load_options *options);
int load_check(const struct load_options *options);
int load_pace(const struct load_options *options);

#endif
