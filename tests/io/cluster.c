/* See cluster.h. */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cluster_init(struct cluster *cluster, const char *topic, int partitions)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];

	*cluster = (struct cluster){ 0 };
	rd_kafka_conf_set(conf, "log_level", "2", why, sizeof(why));
	cluster->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	assert_non_null(cluster->handle);
	cluster->mock = rd_kafka_mock_cluster_new(cluster->handle, 1);
	assert_non_null(cluster->mock);
	assert_int_equal(rd_kafka_mock_topic_create(cluster->mock, topic, partitions, 1), 0);
	cluster->bootstrap =
	    (struct kafka_property){ "bootstrap.servers",
		                     rd_kafka_mock_cluster_bootstraps(cluster->mock) };
	cluster->properties = (struct kafka_properties){ &cluster->bootstrap, 1 };
}

void cluster_close(struct cluster *cluster)
{
	if (cluster->writer)
		rd_kafka_destroy(cluster->writer);
	rd_kafka_mock_cluster_destroy(cluster->mock);
	rd_kafka_destroy(cluster->handle);
}

static rd_kafka_t *new_client(struct cluster *cluster, rd_kafka_type_t type, const char *group)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;
	char why[256];

	rd_kafka_conf_set(conf, "bootstrap.servers", cluster->bootstrap.value, why, sizeof(why));
	if (group)
		rd_kafka_conf_set(conf, "group.id", group, why, sizeof(why));
	if (type == RD_KAFKA_CONSUMER)
		rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", why, sizeof(why));
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	assert_non_null(rk);
	return rk;
}

void cluster_fill(struct cluster *cluster, const char *topic, int32_t partition, int first, int n)
{
	rd_kafka_t *rk = new_client(cluster, RD_KAFKA_PRODUCER, NULL);

	for (int i = 0; i < n; i++) {
		char value[16];
		char key[] = "key";
		size_t size = (size_t)snprintf(value, sizeof(value), "%d", first + i);

		assert_int_equal(
		    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
		                      RD_KAFKA_V_KEY(key, 3), RD_KAFKA_V_VALUE(value, size),
		                      RD_KAFKA_V_HEADER("name", "v", 1),
		                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
		    0);
	}
	assert_int_equal(rd_kafka_flush(rk, CLUSTER_PATIENCE_MS), 0);
	rd_kafka_destroy(rk);
}

void cluster_put(struct cluster *cluster, const char *topic, int32_t partition, const char *value)
{
	char key[] = "key";
	size_t size = strlen(value);

	if (!cluster->writer)
		cluster->writer = new_client(cluster, RD_KAFKA_PRODUCER, NULL);

	/* librdkafka copies the value: it only has no type that says so. */
	assert_int_equal(rd_kafka_producev(cluster->writer, RD_KAFKA_V_TOPIC(topic),
	                                   RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, 3),
	                                   RD_KAFKA_V_VALUE((void *)(uintptr_t)value, size),
	                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	                                   RD_KAFKA_V_END),
	                 0);
	assert_int_equal(rd_kafka_flush(cluster->writer, CLUSTER_PATIENCE_MS), 0);
}

int64_t cluster_committed(struct cluster *cluster, const char *group, const char *topic,
                          int32_t partition)
{
	rd_kafka_t *rk = new_client(cluster, RD_KAFKA_CONSUMER, group);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	int64_t offset;

	rd_kafka_topic_partition_list_add(list, topic, partition);
	assert_int_equal(rd_kafka_committed(rk, list, CLUSTER_PATIENCE_MS), 0);
	offset = list->elems[0].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return offset;
}

void cluster_read(struct cluster *cluster, const char *topic, int32_t partition, int n, char *text,
                  size_t size)
{
	rd_kafka_t *rk = new_client(cluster, RD_KAFKA_CONSUMER, "reader");
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	size_t used = 0;

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset =
	    RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	text[0] = '\0';
	for (int i = 0; i < n; i++) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, CLUSTER_PATIENCE_MS);

		assert_non_null(message);
		assert_int_equal(message->err, 0);
		used += (size_t)snprintf(text + used, size - used, "%.*s ", (int)message->len,
		                         (const char *)message->payload);
		assert_true(used < size);
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void on_patience_over(uv_timer_t *timer)
{
	(void)timer;
	/* Nothing could be closed in order after this, so the program ends here. */
	fprintf(stderr, "what was waited for did not happen\n");
	abort();
}

static void on_time_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

void loop_until(uv_loop_t *loop, bool (*is_true)(void *arg), void *arg)
{
	uv_timer_t patience;

	uv_timer_init(loop, &patience);
	uv_timer_start(&patience, on_patience_over, CLUSTER_PATIENCE_MS, 0);
	while (!is_true(arg))
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

void loop_for(uv_loop_t *loop, unsigned milliseconds)
{
	bool over = false;
	uv_timer_t timer;

	uv_timer_init(loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, on_time_over, milliseconds, 0);
	while (!over)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

void loop_end(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}
