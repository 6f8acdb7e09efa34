/* Committed offsets of a consumer group, read and written by a tool that is no member of it.
 *
 * Every call blocks until the brokers have answered or OFFSETS_TIMEOUT is over. */
#ifndef WORKER_IO_OFFSETS_H
#define WORKER_IO_OFFSETS_H

#include "worker/base/bytes.h"
#include "worker/base/instant.h"
#include "worker/io/kafka.h"

#include <stdint.h>

#define OFFSETS_TIMEOUT duration_ms(10 * 1000)

struct offsets;

enum offsets_result {
	OFFSETS_OK,
	OFFSETS_UNREACHABLE, /* No broker has answered as it must */
	OFFSETS_REFUSED      /* The brokers do not allow it */
};

/* What is known of one partition. */
struct offsets_position {
	int32_t partition;
	int64_t committed; /* -1: the group has none */
	int64_t low, high; /* The first offset of the log, and that behind its last */
	char *metadata;    /* Owned; any bytes, 'size' of them */
	size_t size;
};

struct offsets_list {
	struct offsets_position *positions; /* Owned; in the order of partitions */
	size_t count;
};

/* Copies all that it is given. Contacts nothing yet. NULL on failure. */
struct offsets *offsets_new(const struct kafka_properties *kafka, const char *group,
                            const char *topic, struct err *err) MUST_CHECK;
void offsets_free(struct offsets *o);

/* How many partitions the topic has. A topic that does not exist counts as REFUSED. */
enum offsets_result offsets_partitions(struct offsets *o, int32_t *ret, struct err *err) MUST_CHECK;

/* The positions of 'count' partitions from 'first' on. No transaction is open on what it reads.
 * Close '*ret' in any case. */
enum offsets_result offsets_read(struct offsets *o, int32_t first, int32_t count,
                                 struct offsets_list *ret, struct err *err) MUST_CHECK;
void offsets_list_close(struct offsets_list *list);

/* How many members the group has. A worker that died stays one until its session is over. */
enum offsets_result offsets_members(struct offsets *o, size_t *ret, struct err *err) MUST_CHECK;

/* Commit an offset with its metadata, which must not contain a NUL. Brokers refuse it while the
 * group has a member. */
enum offsets_result offsets_commit(struct offsets *o, int32_t partition, int64_t offset,
                                   struct bytes metadata, struct err *err) MUST_CHECK;

#endif
