/* Commands that wait before anybody takes them. */
#include "bench/load.h"

#include <stdio.h>

int load_fill(const struct load_options *options)
{
	static const char *const properties[] = {
		"enable.idempotence",
		"true",
		"linger.ms",
		"20",
		"batch.num.messages",
		"10000",
		"queue.buffering.max.messages",
		"200000",
		NULL,
	};
	rd_kafka_t *rk = load_client(RD_KAFKA_PRODUCER, options, properties);
	int32_t partitions = load_partitions(rk, options->commands);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, options->commands, NULL);
	struct commands commands;
	struct command_text text;
	double began = load_now();
	size_t bytes = 0;

	if (!commands_init(&commands, &options->what))
		load_fail("fill", "no memory");
	for (uint64_t i = 0; i < options->count; i++) {
		commands_next(&commands, options->number + i, &text);
		load_produce(rk, topic, partitions, &text);
		bytes += text.value_size;
		if (i % 1000 == 0)
			rd_kafka_poll(rk, 0);
	}
	load_flush(rk);
	printf("{\"count\":%llu,\"bytes\":%zu,\"seconds\":%.3f}\n",
	       (unsigned long long)options->count, bytes, load_now() - began);
	commands_close(&commands);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return 0;
}
