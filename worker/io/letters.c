/* Reading a topic from end to end: see letters.h. */
#include "worker/io/letters.h"

#include "worker/io/clock.h"
#include "worker/io/kafka_record.h"
#include "worker/io/tool_client.h"

#include <stdlib.h>
#include <string.h>

/* How long one question for a record waits. */
#define POLL_MS 500

struct letters {
	struct tool_client client;
	char *topic;                   /* Owned */
	rd_kafka_message_t *message;   /* Owned: the one that was given last */
	struct kafka_record_room room; /* Its headers */
};

struct letters *letters_new(const struct kafka_properties *kafka, const char *group,
                            const char *topic, struct err *err)
{
	struct letters *l = calloc(1, sizeof(*l));

	CHECK(l);
	l->topic = strdup(topic);
	CHECK(l->topic);
	if (tool_client_open(&l->client, kafka, group, err) < 0) {
		letters_free(l);
		return NULL;
	}
	rd_kafka_poll_set_consumer(l->client.rk);
	return l;
}

static void drop_message(struct letters *l)
{
	if (l->message)
		rd_kafka_message_destroy(l->message);
	l->message = NULL;
}

void letters_free(struct letters *l)
{
	if (!l)
		return;
	drop_message(l);
	tool_client_close(&l->client);
	kafka_record_close(&l->room);
	free(l->topic);
	free(l);
}

enum letters_result letters_begin(struct letters *l, const int64_t *starts, int32_t n,
                                  struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
	rd_kafka_resp_err_t error;

	for (int32_t i = 0; i < n; i++)
		if (starts[i] >= 0)
			rd_kafka_topic_partition_list_add(list, l->topic, i)->offset = starts[i];
	error = rd_kafka_assign(l->client.rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return LETTERS_RECORD;
	err_set(err, "beginning to read: %s", rd_kafka_err2str(error));
	return LETTERS_UNREACHABLE;
}

static bool is_refusal(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
	       error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
	       error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

enum letters_result letters_next(struct letters *l, instant_t due, struct record *ret,
                                 struct err *err)
{
	instant_t end = instant_min(instant_add(clock_now(), LETTERS_TIMEOUT), due);

	do {
		rd_kafka_message_t *m;

		drop_message(l);
		m = l->message = rd_kafka_consumer_poll(l->client.rk, POLL_MS);
		if (!m)
			continue;
		if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
			kafka_record_read(&l->room, m, l->topic, ret);
			return LETTERS_RECORD;
		}
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
			*ret = (struct record){ .partition = m->partition, .offset = m->offset };
			return LETTERS_END;
		}
		if (is_refusal(m->err)) {
			err_set(err, "reading %s: %s", l->topic, rd_kafka_err2str(m->err));
			return LETTERS_REFUSED;
		}
	} while (instant_before(clock_now(), end));
	if (!instant_before(end, due))
		return LETTERS_DUE;
	err_set(err, "reading %s: nothing came for %d s%s%s", l->topic,
	        (int)(duration_to_ms(LETTERS_TIMEOUT) / 1000), *l->client.last_error ? ": " : "",
	        l->client.last_error);
	return LETTERS_UNREACHABLE;
}

void letters_leave(struct letters *l, int32_t partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, l->topic, partition);
	rd_kafka_pause_partitions(l->client.rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}
