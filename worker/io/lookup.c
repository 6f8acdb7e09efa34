/* Questions that block, asked on a thread of their own: see lookup.h. */
#include "worker/io/lookup.h"

#include "worker/base/bytes.h"
#include "worker/io/clock.h"
#include "worker/io/offload.h"

#include <stdlib.h>
#include <string.h>

/* Most time that each question may take. */
#define LOOKUP_TIMEOUT_MS 5000

/* The committed offsets are asked for anew after so long, and after twice as long each time: while
 * a transaction is open on them the broker gives none, and librdkafka itself would ask again only
 * after `retry.backoff.ms`. */
#define LOOKUP_ATTEMPT_MS 50

struct lookup {
	struct kafka_client *client;                 /* Borrowed; entered until the work is done */
	struct offload *offload;                     /* Owned */
	char *topic;                                 /* Owned */
	rd_kafka_topic_partition_list_t *partitions; /* Owned; the thread's until it is done */
	int64_t *first;                              /* Owned, as the partitions */
	uint32_t history;
	bool only_committed;
	rd_kafka_resp_err_t error;
	int32_t partitions_of_topic;
	bool cancelled;
	lookup_cb cb;
	void *owner;
};

static rd_kafka_resp_err_t ask_committed(struct lookup *l, int timeout_ms)
{
	rd_kafka_t *rk = kafka_client_handle(l->client);
	rd_kafka_resp_err_t error = rd_kafka_committed(rk, l->partitions, timeout_ms);

	for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < l->partitions->cnt; i++)
		error = l->partitions->elems[i].err;
	return error;
}

static rd_kafka_resp_err_t find_committed(struct lookup *l)
{
	instant_t end = instant_add(clock_now(), duration_ms(LOOKUP_TIMEOUT_MS));
	int attempt_ms = LOOKUP_ATTEMPT_MS;
	rd_kafka_resp_err_t error;

	if (l->partitions->cnt == 0)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	do {
		error = ask_committed(l, attempt_ms);
		attempt_ms *= 2;
	} while (error == RD_KAFKA_RESP_ERR__TIMED_OUT && instant_before(clock_now(), end) &&
	         !kafka_client_is_closing(l->client));
	return error;
}

/* Where reading begins in a partition of which nothing was committed. Who knows it can seek it
 * before its first record; where it cannot be had, librdkafka looks for it. */
static int64_t find_beginning(const struct lookup *l, int32_t partition)
{
	int64_t low, high;

	if (rd_kafka_query_watermark_offsets(kafka_client_handle(l->client), l->topic, partition,
	                                     &low, &high,
	                                     LOOKUP_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return RD_KAFKA_OFFSET_BEGINNING;
	return low;
}

/* So far before the committed offset as there is something. */
static rd_kafka_resp_err_t find_history(const struct lookup *l, int32_t partition,
                                        int64_t committed, int64_t *ret)
{
	int64_t low = 0, high;
	rd_kafka_resp_err_t error;

	*ret = committed;
	if (l->history == 0 || committed == 0)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	error = rd_kafka_query_watermark_offsets(kafka_client_handle(l->client), l->topic,
	                                         partition, &low, &high, LOOKUP_TIMEOUT_MS);
	*ret = committed > l->history ? committed - l->history : 0;
	if (*ret < low)
		*ret = low < committed ? low : committed;
	return error;
}

/* Where reading begins. */
static rd_kafka_resp_err_t find_first(struct lookup *l)
{
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < l->partitions->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &l->partitions->elems[i];

		if (p->offset < 0)
			l->first[i] = find_beginning(l, p->partition);
		else
			error = find_history(l, p->partition, p->offset, &l->first[i]);
		if (kafka_client_is_closing(l->client))
			error = RD_KAFKA_RESP_ERR__DESTROY;
	}
	return error;
}

/* This comes first: it asks the broker, and what it answers takes the place of what librdkafka
 * remembers. A broker that has just started may say that the topic has no partitions, and where the
 * log begins would be looked for in that for minutes. */
static rd_kafka_resp_err_t count_partitions(struct lookup *l)
{
	rd_kafka_t *rk = kafka_client_handle(l->client);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, l->topic, NULL);
	rd_kafka_resp_err_t error;

	if (!topic)
		return rd_kafka_last_error();
	error = rd_kafka_metadata(rk, 0, topic, &metadata, LOOKUP_TIMEOUT_MS);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (metadata->topic_cnt == 1)
			error = metadata->topics[0].err;
		else
			error = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			l->partitions_of_topic = metadata->topics[0].partition_cnt;
		rd_kafka_metadata_destroy(metadata);
	}
	rd_kafka_topic_destroy(topic);
	return error;
}

/* On the thread. */
static void work(void *arg)
{
	struct lookup *l = arg;

	if (!l->only_committed)
		l->error = count_partitions(l);
	if (l->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		l->error = find_committed(l);
	if (l->error == RD_KAFKA_RESP_ERR_NO_ERROR && !l->only_committed)
		l->error = find_first(l);
	kafka_client_leave(l->client);
}

static void finished(void *arg, bool done)
{
	struct lookup *l = arg;
	struct lookup_result result;

	if (done && !l->cancelled) {
		result.error = l->error;
		result.partitions = l->partitions;
		result.first = l->first;
		result.partitions_of_topic = l->partitions_of_topic;
		l->cb(l->owner, &result);
	} else {
		l->cb(l->owner, NULL);
	}
	offload_release(l->offload);
}

static void drop(void *arg)
{
	struct lookup *l = arg;

	rd_kafka_topic_partition_list_destroy(l->partitions);
	free(l->first);
	free(l->topic);
	free(l);
}

struct lookup *lookup_start(uv_loop_t *loop, const struct lookup_question *question, lookup_cb cb,
                            void *owner, struct err *err)
{
	struct lookup *l = calloc(1, sizeof(*l));
	struct offload_job job = { .arg = l, .work = work, .finished = finished, .drop = drop };

	if (!l) {
		err_set(err, "out of memory");
		return NULL;
	}
	l->client = question->client;
	l->topic = strdup(question->topic);
	l->partitions = rd_kafka_topic_partition_list_copy(question->partitions);
	l->first = calloc((size_t)question->partitions->cnt + 1, sizeof(*l->first));
	l->history = question->history;
	l->only_committed = question->only_committed;
	l->cb = cb;
	l->owner = owner;
	CHECK(l->topic && l->first);
	kafka_client_enter(l->client);
	l->offload = offload_start(loop, &job, err);
	if (!l->offload) {
		kafka_client_leave(l->client);
		drop(l);
		return NULL;
	}
	return l;
}

void lookup_cancel(struct lookup *l)
{
	l->cancelled = true;
	offload_abandon(l->offload);
}

struct bytes lookup_metadata(const rd_kafka_topic_partition_t *committed)
{
	struct bytes metadata = { committed->metadata, committed->metadata_size };
	const char *nul;

	if (!metadata.data)
		return bytes_of("");
	nul = memchr(metadata.data, '\0', metadata.size);
	if (nul)
		metadata.size = (size_t)(nul - metadata.data) + 1;
	return metadata;
}
