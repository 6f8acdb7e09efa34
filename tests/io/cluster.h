/* A Kafka cluster in this process (librdkafka's mock), and a loop that runs until something is
 * true. */
#ifndef TESTS_IO_CLUSTER_H
#define TESTS_IO_CLUSTER_H

#include "worker/base/bytes.h"
#include "worker/io/kafka.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <uv.h>

/* Longer than anything here takes, also under a sanitizer on a busy machine. */
#define CLUSTER_PATIENCE_MS 30000

struct cluster {
	rd_kafka_t *handle; /* Owned: the client in which the mock lives */
	rd_kafka_mock_cluster_t *mock;
	rd_kafka_t *writer; /* Owned: of cluster_put(); NULL: none yet */
	struct kafka_property bootstrap;
	struct kafka_properties properties; /* What a client needs to reach it */
};

/* One broker, and a topic with so many partitions. */
void cluster_init(struct cluster *cluster, const char *topic, int partitions);
void cluster_close(struct cluster *cluster);

/* Store 'n' records with the values "0", "1", … and wait until they are there. */
void cluster_fill(struct cluster *cluster, const char *topic, int32_t partition, int first, int n);

/* Store one record and wait until it is there. */
void cluster_put(struct cluster *cluster, const char *topic, int32_t partition, const char *value);

/* The committed offset of a group, or a negative number. */
int64_t cluster_committed(struct cluster *cluster, const char *group, const char *topic,
                          int32_t partition);

/* Read the values of a whole partition, in order, each followed by a space, into 'text'. */
void cluster_read(struct cluster *cluster, const char *topic, int32_t partition, int n, char *text,
                  size_t size);

/* Run the loop until 'is_true(arg)'; fails the test when that takes too long. */
void loop_until(uv_loop_t *loop, bool (*is_true)(void *arg), void *arg);

/* Run the loop for so long: to see that something does not happen. */
void loop_for(uv_loop_t *loop, unsigned milliseconds);

/* Nothing may be left in it. */
void loop_end(uv_loop_t *loop);

#endif
