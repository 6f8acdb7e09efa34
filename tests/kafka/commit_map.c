/* Commits an offset with metadata, as a worker does, for tests of what reads it:
 *
 *   commit-map BOOTSTRAP GROUP TOPIC PARTITION OFFSET text TEXT
 *   commit-map BOOTSTRAP GROUP TOPIC PARTITION OFFSET map STATES
 *
 * STATES has one letter for each offset from OFFSET on: n(ew), s(tarted), r(eplied), p(artly). */
#include "worker/core/map.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *step, const char *why)
{
	fprintf(stderr, "commit-map: %s: %s\n", step, why);
	exit(1);
}

static void add(struct map *m, char letter, int64_t offset)
{
	struct map_entry entry = { .offset = offset, .state = MAP_NEW };

	if (letter == 's')
		entry.state = MAP_STARTED;
	if (letter == 'p') {
		entry.state = MAP_PARTLY;
		entry.progress.settled = 2;
		entry.progress.in_flight = 1;
	}
	if (letter == 'r')
		m->end = offset + 1;
	else if (!map_add(m, &entry))
		fail("map", "no memory");
}

/* To be freed. */
static char *encode(const char *states, int64_t base)
{
	struct buffer text;
	struct map m;

	map_init(&m, base);
	buffer_init(&text, MAP_TEXT_MAX);
	for (size_t i = 0; states[i]; i++)
		add(&m, states[i], base + (int64_t)i);
	if (!map_encode(&m, &text))
		fail("map", "does not fit");
	map_close(&m);
	return text.data;
}

static rd_kafka_t *make_handle(const char *bootstrap, const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[200] = "";
	rd_kafka_t *rk;

	if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) ||
	    rd_kafka_conf_set(conf, "group.id", group, why, sizeof(why)))
		fail("configuration", why);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!rk)
		fail("client", why);
	return rk;
}

int main(int argc, char *argv[])
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_topic_partition_t *p;
	rd_kafka_resp_err_t error;
	rd_kafka_t *rk;

	if (argc != 8)
		fail("usage", "BOOTSTRAP GROUP TOPIC PARTITION OFFSET text|map VALUE");
	list = rd_kafka_topic_partition_list_new(1);
	p = rd_kafka_topic_partition_list_add(list, argv[3], (int32_t)strtol(argv[4], NULL, 10));
	p->offset = strtoll(argv[5], NULL, 10);
	p->metadata = strcmp(argv[6], "map") == 0 ? encode(argv[7], p->offset) : strdup(argv[7]);
	p->metadata_size = strlen(p->metadata);
	rk = make_handle(argv[1], argv[2]);
	error = rd_kafka_commit(rk, list, 0);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail("commit", rd_kafka_err2str(error));
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return 0;
}
