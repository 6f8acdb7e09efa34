/* Two questions that block, asked on a thread of their own: see lookup.h. */
#include "worker/io/lookup.h"

#include "worker/io/offload.h"

#include <stdlib.h>
#include <string.h>

/* Most time that each of the two questions may take. */
#define LOOKUP_TIMEOUT_MS 5000

struct lookup {
	struct kafka_client *client;                 /* Borrowed; entered until the work is done */
	struct offload *offload;                     /* Owned */
	char *topic;                                 /* Owned */
	rd_kafka_topic_partition_list_t *partitions; /* Owned; the thread's until it is done */
	rd_kafka_resp_err_t error;
	int32_t partitions_of_topic;
	bool cancelled;
	lookup_cb cb;
	void *owner;
};

static rd_kafka_resp_err_t find_committed(struct lookup *l)
{
	rd_kafka_resp_err_t error;

	if (l->partitions->cnt == 0)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	error =
	    rd_kafka_committed(kafka_client_handle(l->client), l->partitions, LOOKUP_TIMEOUT_MS);
	for (int i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < l->partitions->cnt; i++)
		error = l->partitions->elems[i].err;
	return error;
}

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

	l->error = find_committed(l);
	if (l->error == RD_KAFKA_RESP_ERR_NO_ERROR)
		l->error = count_partitions(l);
	kafka_client_leave(l->client);
}

static void finished(void *arg, bool done)
{
	struct lookup *l = arg;
	struct lookup_result result;

	if (done && !l->cancelled) {
		result.error = l->error;
		result.partitions = l->partitions;
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

	if (l->partitions)
		rd_kafka_topic_partition_list_destroy(l->partitions);
	free(l->topic);
	free(l);
}

struct lookup *lookup_start(uv_loop_t *loop, struct kafka_client *client, const char *topic,
                            const rd_kafka_topic_partition_list_t *partitions, lookup_cb cb,
                            void *owner, struct err *err)
{
	struct lookup *l = calloc(1, sizeof(*l));
	struct offload_job job = { .arg = l, .work = work, .finished = finished, .drop = drop };

	if (!l) {
		err_set(err, "out of memory");
		return NULL;
	}
	l->client = client;
	l->topic = strdup(topic);
	l->partitions = rd_kafka_topic_partition_list_copy(partitions);
	l->cb = cb;
	l->owner = owner;
	CHECK(l->topic);
	kafka_client_enter(client);
	l->offload = offload_start(loop, &job, err);
	if (!l->offload) {
		kafka_client_leave(client);
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
