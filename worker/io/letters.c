/* Reading a topic from end to end: see letters.h. */
#include "worker/io/letters.h"

#include "worker/io/clock.h"
#include "worker/io/kafka_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS_ERROR_SIZE 200

/* How long one question for a record waits. */
#define POLL_MS 500

struct letters {
	rd_kafka_t *rk;                      /* Owned */
	char *topic;                         /* Owned */
	rd_kafka_message_t *message;         /* Owned: the one that was given last */
	struct kafka_record_room room;       /* Its headers */
	char last_error[LETTERS_ERROR_SIZE]; /* What a broker's connection failed of last */
};

static void on_error(rd_kafka_t *rk, int error, const char *text, void *opaque)
{
	struct letters *l = opaque;

	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(l->last_error, sizeof(l->last_error), "%s", text);
}

static rd_kafka_conf_t *make_conf(const struct kafka_properties *kafka, const char *group,
                                  struct letters *l, struct err *err)
{
	const struct kafka_property ours[] = {
		{ "group.id", group },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		{ "isolation.level", "read_committed" },
		{ "log_level", "0" },
	};
	const struct kafka_conf_options options = {
		.role = KAFKA_CONSUMER,
		.user = *kafka,
		.ours = { ours, sizeof(ours) / sizeof(ours[0]) },
	};
	rd_kafka_conf_t *conf = kafka_conf_new(&options, err);

	if (conf) {
		rd_kafka_conf_set_opaque(conf, l);
		rd_kafka_conf_set_error_cb(conf, on_error);
	}
	return conf;
}

struct letters *letters_new(const struct kafka_properties *kafka, const char *group,
                            const char *topic, struct err *err)
{
	struct letters *l = calloc(1, sizeof(*l));
	char why[LETTERS_ERROR_SIZE] = "";
	rd_kafka_conf_t *conf;

	CHECK(l);
	l->topic = strdup(topic);
	CHECK(l->topic);
	conf = make_conf(kafka, group, l, err);
	if (!conf)
		goto fail;
	l->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!l->rk) {
		rd_kafka_conf_destroy(conf);
		err_set(err, "librdkafka: %s", why);
		goto fail;
	}
	rd_kafka_poll_set_consumer(l->rk);
	return l;
fail:
	letters_free(l);
	return NULL;
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
	if (l->rk)
		rd_kafka_destroy_flags(l->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
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
	error = rd_kafka_assign(l->rk, list);
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
		m = l->message = rd_kafka_consumer_poll(l->rk, POLL_MS);
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
	        (int)(duration_to_ms(LETTERS_TIMEOUT) / 1000), *l->last_error ? ": " : "",
	        l->last_error);
	return LETTERS_UNREACHABLE;
}

void letters_leave(struct letters *l, int32_t partition)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, l->topic, partition);
	rd_kafka_pause_partitions(l->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}
