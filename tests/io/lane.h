/* A committer, with the parts of the consumer and of the transaction played here. */
#ifndef TESTS_IO_LANE_H
#define TESTS_IO_LANE_H

#include "worker/io/committer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TEXT_MAX   1024
#define PARTITIONS 4

/* Stands in for the consumer: notes the commits. */
struct consumer {
	size_t n_commits;
	uint64_t opaque;
	char text[TEXT_MAX]; /* "0:5=map 1:7=map;" for each commit */
	bool refuses;
	bool is_lost;
};

struct fixture {
	uv_loop_t loop;
	struct consumer consumer;
	struct committer *committer;
	struct metrics metrics;
	struct log log;
	int64_t offsets[PARTITIONS];
	char maps[PARTITIONS][16];
	char staged[PARTITIONS][16];
	bool unwritable[PARTITIONS];
	char marks[TEXT_MAX]; /* "5 3 4;" for each call */
	unsigned flushed;
	unsigned broken;
	char granted[TEXT_MAX];
	bool in_call;
	bool closed;
};

/* For cmocka. At the end nothing may be left on the loop. */
int lane_exactly_once(void **state);
int lane_at_least_once(void **state);
int lane_teardown(void **state);

/* Turn the loop until only time could change something; until nothing is left to do; for so long;
 * and not at all: the process stands still. */
void lane_turn(struct fixture *f);
void lane_run_out(struct fixture *f);
void lane_wait_ms(struct fixture *f, uint64_t ms);
void lane_stall_ms(int64_t ms);

/* What the map callback says of a partition. */
void lane_set_map(struct fixture *f, int32_t partition, int64_t offset, const char *map);

/* What the owner of a committer asks for; nothing may fire from inside these calls. */
void lane_mark(struct fixture *f, int32_t partition, uint64_t id);
void lane_answer(struct fixture *f, const char *error);
void lane_begin(struct fixture *f);
void lane_end(struct fixture *f, enum committer_end how);

/* Callbacks: they note what they are told. */
void lane_granted(void *owner, const struct consumer_position *positions, size_t n);
void lane_flushed(void *owner);

#endif
