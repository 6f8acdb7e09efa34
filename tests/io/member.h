/* One member of a consumer group, and all that it was told. */
#ifndef TESTS_IO_MEMBER_H
#define TESTS_IO_MEMBER_H

#include "worker/io/consumer.h"

#include "cluster.h"

#define TOPIC          "commands"
#define GROUP          "workers"
#define OFFSETS_MAX    20000
#define PARTITIONS_MAX 4

struct world {
	uv_loop_t loop;
	struct cluster cluster;
	struct metrics metrics;
	struct log log;
	char *log_text;
	size_t log_size;
};

struct member {
	struct world *world;
	struct consumer *consumer;
	bool holds_offers; /* Does not accept by itself */
	bool holds_revokes;
	size_t n_assigned;
	size_t n_partitions;
	int32_t partitions_of_topic;
	int64_t offered;   /* The committed offset of the last offer */
	char metadata[64]; /* And its metadata */
	size_t n_revoked;
	bool is_revoked; /* Since the last assignment; a second time only as lost */
	bool lost;
	int64_t next[PARTITIONS_MAX]; /* The offset after the last record; -1: none yet */
	int64_t first[PARTITIONS_MAX];
	int64_t end[PARTITIONS_MAX];
	size_t n_records;
	size_t n_jumps; /* Records that were not the next one */
	size_t in_turn;
	size_t most_in_turn;
	uint64_t answered;
	char error[128];
	bool is_fatal;
	bool closed;
	uv_check_t check;
	size_t wanted;
};

struct member_options {
	const char *instance_id;
	uint32_t batch;
	int64_t session_ms;
	uint32_t history;
};

/* Join the group. Records must come as cluster_fill() made them. */
struct member *member_new(struct world *w, const struct member_options *how);

/* Leave within so long, and free. */
void member_close(struct member *m, int64_t deadline_ms);

/* Until so many records, or assignments, came in all. */
void member_wait_records(struct member *m, size_t n);
void member_wait_assigned(struct member *m, size_t n);

/* For loop_until(): against member.wanted. */
bool member_is_revoked(void *arg);
bool member_is_answered(void *arg);
bool member_is_fatal(void *arg);
bool member_is_at_end(void *arg);

/* For cmocka: a loop and a cluster with one partition; at the end nothing may be left. */
int world_setup(void **state);
int world_teardown(void **state);

/* Commit an offset of partition 0 and wait for the answer. */
void member_commit(struct member *m, int64_t offset, uint64_t opaque);

#endif
