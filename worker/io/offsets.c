/* Committed offsets for tools: see offsets.h. */
#include "worker/io/offsets.h"

#include "worker/io/lookup.h"
#include "worker/io/tool_client.h"

#include <stdlib.h>
#include <string.h>

#define OFFSETS_ERROR_SIZE 200

struct offsets {
	struct tool_client client;
	char *group; /* Owned */
	char *topic; /* Owned */
};

static int timeout_ms(void)
{
	return (int)duration_to_ms(OFFSETS_TIMEOUT);
}

static bool is_refusal(rd_kafka_resp_err_t error)
{
	static const rd_kafka_resp_err_t refusals[] = {
		RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
		RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
		RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
		RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
		RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE,
		RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
		RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
		RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i] == error)
			return true;
	}
	return false;
}

/* What an answer of librdkafka comes to; 'step' says what was tried. */
static enum offsets_result conclude(struct offsets *o, rd_kafka_resp_err_t error, const char *step,
                                    struct err *err)
{
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		return OFFSETS_OK;
	rd_kafka_poll(o->client.rk, 0);
	if (is_refusal(error)) {
		err_set(err, "%s: %s", step, rd_kafka_err2str(error));
		return OFFSETS_REFUSED;
	}
	err_set(err, "%s: %s%s%s", step, rd_kafka_err2str(error), *o->client.last_error ? ": " : "",
	        o->client.last_error);
	return OFFSETS_UNREACHABLE;
}

struct offsets *offsets_new(const struct kafka_properties *kafka, const char *group,
                            const char *topic, struct err *err)
{
	struct offsets *o = calloc(1, sizeof(*o));

	CHECK(o);
	o->group = strdup(group);
	o->topic = strdup(topic);
	CHECK(o->group && o->topic);
	if (tool_client_open(&o->client, kafka, group, err) == 0)
		return o;
	offsets_free(o);
	return NULL;
}

void offsets_free(struct offsets *o)
{
	if (!o)
		return;
	tool_client_close(&o->client);
	free(o->group);
	free(o->topic);
	free(o);
}

enum offsets_result offsets_partitions(struct offsets *o, int32_t *ret, struct err *err)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(o->client.rk, o->topic, NULL);
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t error;

	if (!topic)
		return conclude(o, rd_kafka_last_error(), "asking for the topic", err);
	error = rd_kafka_metadata(o->client.rk, 0, topic, &metadata, timeout_ms());
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
		error = metadata->topic_cnt == 1 ? metadata->topics[0].err
		                                 : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
		*ret = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
		rd_kafka_metadata_destroy(metadata);
	}
	rd_kafka_topic_destroy(topic);
	return conclude(o, error, "asking for the topic", err);
}

/* One position, from what the group has committed there. */
static enum offsets_result read_position(struct offsets *o, const rd_kafka_topic_partition_t *p,
                                         struct offsets_position *ret, struct err *err)
{
	struct bytes metadata = lookup_metadata(p);
	rd_kafka_resp_err_t error;

	*ret = (struct offsets_position){ .partition = p->partition, .committed = -1 };
	if (p->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return conclude(o, p->err, "asking for the committed offset", err);
	if (p->offset >= 0)
		ret->committed = p->offset;
	ret->size = metadata.size;
	ret->metadata = malloc(metadata.size + 1);
	CHECK(ret->metadata);
	memcpy(ret->metadata, metadata.data, metadata.size);
	error = rd_kafka_query_watermark_offsets(o->client.rk, o->topic, p->partition, &ret->low,
	                                         &ret->high, timeout_ms());
	return conclude(o, error, "asking for the ends of the log", err);
}

enum offsets_result offsets_read(struct offsets *o, int32_t first, int32_t count,
                                 struct offsets_list *ret, struct err *err)
{
	rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(count);
	enum offsets_result result;

	rd_kafka_topic_partition_list_add_range(asked, o->topic, first, first + count - 1);
	*ret = (struct offsets_list){ .positions = calloc((size_t)count, sizeof(*ret->positions)) };
	CHECK(ret->positions);
	result = conclude(o, rd_kafka_committed(o->client.rk, asked, timeout_ms()),
	                  "asking for committed offsets", err);
	for (int32_t i = 0; result == OFFSETS_OK && i < count; i++) {
		ret->count++;
		result = read_position(o, &asked->elems[i], &ret->positions[i], err);
	}
	rd_kafka_topic_partition_list_destroy(asked);
	return result;
}

void offsets_list_close(struct offsets_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->positions[i].metadata);
	free(list->positions);
	*list = (struct offsets_list){ 0 };
}

/* The members in the answer to a question for one group. */
static rd_kafka_resp_err_t count_members(rd_kafka_event_t *event, size_t *ret)
{
	const rd_kafka_DescribeConsumerGroups_result_t *answer;
	const rd_kafka_ConsumerGroupDescription_t **groups;
	const rd_kafka_error_t *error;
	size_t count = 0;

	if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return rd_kafka_event_error(event);
	answer = rd_kafka_event_DescribeConsumerGroups_result(event);
	groups = rd_kafka_DescribeConsumerGroups_result_groups(answer, &count);
	if (count != 1)
		return RD_KAFKA_RESP_ERR__BAD_MSG;
	error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
	*ret = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
	if (!error || rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	return rd_kafka_error_code(error);
}

enum offsets_result offsets_members(struct offsets *o, size_t *ret, struct err *err)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(o->client.rk);
	rd_kafka_AdminOptions_t *options =
	    rd_kafka_AdminOptions_new(o->client.rk, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
	const char *groups[] = { o->group };
	rd_kafka_event_t *event;
	char why[OFFSETS_ERROR_SIZE];

	CHECK(rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms(), why, sizeof(why)) ==
	      RD_KAFKA_RESP_ERR_NO_ERROR);
	rd_kafka_DescribeConsumerGroups(o->client.rk, groups, 1, options, queue);
	event = rd_kafka_queue_poll(queue, timeout_ms() + 1000);
	if (event) {
		error = count_members(event, ret);
		rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	return conclude(o, error, "asking for the group's members", err);
}

static rd_kafka_resp_err_t commit_list(struct offsets *o,
                                       const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(o->client.rk);
	rd_kafka_resp_err_t error = rd_kafka_commit_queue(o->client.rk, list, queue, NULL, NULL);
	const rd_kafka_topic_partition_list_t *answered;
	rd_kafka_event_t *event = NULL;

	if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
		event = rd_kafka_queue_poll(queue, timeout_ms());
		error = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
	answered = event ? rd_kafka_event_topic_partition_list(event) : NULL;
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR && answered && answered->cnt == 1)
		error = answered->elems[0].err;
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	return error;
}

enum offsets_result offsets_commit(struct offsets *o, int32_t partition, int64_t offset,
                                   struct bytes metadata, struct err *err)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *p =
	    rd_kafka_topic_partition_list_add(list, o->topic, partition);
	rd_kafka_resp_err_t error;

	p->offset = offset;
	p->metadata = strndup(metadata.data, metadata.size);
	CHECK(p->metadata);
	p->metadata_size = metadata.size;
	error = commit_list(o, list);
	rd_kafka_topic_partition_list_destroy(list);
	return conclude(o, error, "committing", err);
}
