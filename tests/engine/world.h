/* A world around one engine, in simulated time: it feeds records, performs effects, and judges
 * every step (oracle.h). What the world does by itself and what a test does by hand is told by the
 * flags.
 */
#ifndef TESTS_ENGINE_WORLD_H
#define TESTS_ENGINE_WORLD_H

#include "worker/base/slots.h"
#include "worker/core/engine.h"

#include <jansson.h>

#define WORLD_PARTITIONS 4

/* A bucket as the oracle counts it, in tokens. */
struct bucket {
	double tokens;
	instant_t at;
};

/* A record that was given to the engine. */
struct world_command {
	int32_t partition;
	int64_t offset;
	char call[40];
	char *who; /* Owned; see struct given */
	bool is_high;
	bool is_gone; /* Its partition was forgotten */
	unsigned arrived_step;
	unsigned replied_step; /* 0: no reply yet */
	unsigned n_refused;    /* Writes that were refused */
	unsigned n_replies;
	unsigned n_dead_letters;
	unsigned n_stored;
	char reply_topic[40];
	json_t *reply; /* Owned; the last one */
};

struct world_mark {
	uint64_t invite_id;
	unsigned step;
	instant_t at;
};

/* A request. */
struct world_post {
	uint64_t invite_id;
	char call[40];
	json_t *body; /* Owned */
	instant_t sent;
	bool is_open;
	bool is_orphan; /* Its partition was forgotten */
	int32_t partition;
};

struct world_write {
	uint64_t id;
	enum write_kind kind;
	size_t command; /* Index into world.commands */
};

struct world_call {
	char id[40];
	int32_t partition;
	struct bucket bucket;
};

struct world_partition {
	bool is_owned, is_revoking, is_paused;
	unsigned n_quiet;
	int64_t stored; /* -1: nothing */
};

struct world_alarm {
	uint64_t id;
	instant_t at;
};

struct world {
	struct policy policy;
	struct metrics metrics;
	struct engine *engine;
	instant_t origin, now;
	bool marks_by_hand, writes_by_hand;
	int64_t latency_us; /* Requests are accepted by themselves after it; < 0: by hand */
	int64_t late_us;    /* How late timers go off */
	unsigned steps;
	struct buffer trace; /* Since the last expect_trace() */
	uint64_t trace_hash; /* Of all of it */
	struct buffer who;   /* For world_who() */
	struct world_command *commands;
	size_t n_commands;
	struct world_mark *marks; /* Not confirmed */
	size_t n_marks;
	struct world_mark marked; /* That is being confirmed */
	struct world_post *posts; /* All of them, in order */
	size_t n_posts;
	size_t first_open;          /* No post before it is open */
	struct world_write *writes; /* Not confirmed */
	size_t n_writes;
	struct world_alarm *alarms;
	size_t n_alarms;
	struct world_call *calls;
	size_t n_calls;
	struct world_partition partitions[WORLD_PARTITIONS];
	struct bucket application;
	uint32_t n_operations;
};

/* A command to be made. 'who' lists its participants, separated by spaces: "ann" is a user, "+49…"
 * a phone, "replace:ann" and "move:ann" what they say. */
struct given {
	int32_t partition;
	int64_t offset;
	const char *call;
	const char *who;
	const char *context;
	const char *reply_topic; /* Header */
	int64_t expires_in_ms;   /* 0: never */
	int64_t age_ms;
	bool is_high, resends;
	const char *raw; /* Instead of a command, with 'call' as the key */
};

/* The policy of most tests: trace, no rate that would be felt, a window of 20 ms. */
struct policy world_policy(void);

/* Partition 0 is owned, and has been for an hour. */
void world_open(struct world *w, struct policy policy);
void world_close(struct world *w);

/* The same with another policy, for a test whose fixture has opened the world. */
void world_reopen(struct world *w, struct policy policy);

/* A fixture of cmocka: a world with world_policy() as '*state'. */
int world_setup(void **state);
int world_teardown(void **state);

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

void world_give(struct world *w, struct given given);
void world_command(struct world *w, int64_t offset, const char *call, const char *who);
void world_position(struct world *w, int32_t partition, int64_t offset);
void world_assign(struct world *w, int32_t partition, uint32_t owned, uint32_t total);
void world_revoke(struct world *w, int32_t partition);
void world_forget(struct world *w, int32_t partition);
void world_drain(struct world *w);

/* Let time pass; timers and automatic answers happen at their instants. */
void world_elapse(struct world *w, int64_t ms);

/* Let time pass until nothing waits for it any more. */
void world_finish(struct world *w);

/* Answers to the request that is open for the longest time. */
void world_accept(struct world *w);
void world_answer(struct world *w, int status, const char *retry_after, const char *body);
void world_refuse(struct world *w, int status, const char *graph_code);
void world_fail(struct world *w, enum answer_progress progress);

/* The same for one request. */
void world_accept_post(struct world *w, struct world_post *post);
void world_answer_post(struct world *w, struct world_post *post, struct answer answer);

/* Confirm the first mark, or the first write of those that wait ('error' NULL: stored). */
void world_mark(struct world *w);
void world_written(struct world *w, const char *error);
void world_write_done(struct world *w, size_t i, const char *error);

size_t world_open_posts(const struct world *w);

/* Names of who is in the request, separated by spaces. Borrowed until the next question. */
const char *world_who(struct world *w, size_t post);

/* The last command of that offset. */
struct world_command *world_find(struct world *w, int32_t partition, int64_t offset);

void expect_trace(struct world *w, const char *text);
void expect_requests(struct world *w, size_t n, const char *const who[]);
#define EXPECT_REQUESTS(w, ...)                                                                    \
	expect_requests(w, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *),          \
	                (const char *const[]){ __VA_ARGS__ })
void expect_status(struct world *w, int64_t offset, const char *status);
void expect_error(struct world *w, int64_t offset, const char *code);
void expect_stored(struct world *w, int64_t offset);

/* Every command has exactly one reply, all is stored, and no timer is left. */
void expect_all_done(struct world *w);

#endif
