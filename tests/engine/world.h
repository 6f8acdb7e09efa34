/* A world around one engine, in simulated time: it feeds records, performs effects, and judges
 * every step (oracle.h). What the world does by itself and what a test does by hand is told by the
 * flags. An engine may be killed at any step; the next one takes over what was committed.
 */
#ifndef TESTS_ENGINE_WORLD_H
#define TESTS_ENGINE_WORLD_H

#include "engine/graph.h"
#include "worker/base/slots.h"
#include "worker/core/engine.h"

#include <jansson.h>

#define WORLD_PARTITIONS 4

/* A bucket as the oracle counts it, in tokens. */
struct bucket {
	double tokens;
	instant_t at;
};

/* A record of the topic. What is said of its engine is of the one that is alive. */
struct world_command {
	int32_t partition;
	int64_t offset;
	int64_t tag; /* Offset under which its participants are known: that of the first copy */
	char call[40];
	char *who;  /* Owned; see struct given */
	char *text; /* Owned; the record's value */
	wall_t timestamp;
	const char *reply_topic_header; /* Borrowed */
	bool is_redriven;
	bool is_high, resends, has_id;
	bool is_repeat; /* Its commandId came before: it is not sent */
	bool is_void;   /* The engine does not take it, or another record has its offset now */
	bool is_gone;   /* No engine has it: its partition was forgotten, or its record not read */
	unsigned arrived_step;
	unsigned replied_step; /* 0: no reply yet */
	unsigned n_refused;    /* Writes that were refused */
	unsigned n_replies;
	unsigned n_dead_letters;
	unsigned n_stored;
	unsigned n_in_transaction; /* Writes in the open transaction */
	bool is_done; /* Its reply is stored, and the map of that transaction was committed */
	char reply_topic[40];
	json_t *reply; /* Owned; the last one */
};

/* A mark that is not confirmed, and the map that is committed for it. */
struct world_mark {
	uint64_t invite_id;
	int32_t partition;
	bool is_late; /* Its partition was forgotten */
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
	bool is_staged;
	bool is_late; /* Its partition was forgotten */
};

/* A question about a call. */
struct world_look {
	uint64_t id;
	enum look_kind kind;
	int32_t partition;
	bool is_late; /* Its partition was forgotten */
	char call[40];
};

struct world_call {
	char id[40];
	int32_t partition;
	struct bucket bucket;
};

/* What stands in the consumer group's offsets. */
struct world_commit {
	int64_t offset; /* -1: nothing */
	char *map;      /* Owned */
};

struct world_partition {
	bool is_owned, is_revoking, is_paused;
	unsigned n_quiet;
	unsigned n_alerts;
	enum map_problem problem; /* Of the last alert */
	int64_t stored;           /* The frontier; -1: the engine has nothing to say */
	int64_t next;             /* The first offset that was not given */
	struct world_commit committed;
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
	bool marks_by_hand, writes_by_hand, looks_by_hand;
	bool is_committing; /* Between the writes of one transaction */
	int64_t latency_us; /* Requests are accepted by themselves after it; < 0: by hand */
	int64_t late_us;    /* How late timers go off */
	unsigned steps;
	struct buffer trace; /* Since the last expect_trace() */
	uint64_t trace_hash; /* Of all of it */
	struct buffer who;   /* For world_who() */
	struct buffer map;   /* For the oracle */
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
	struct world_look *looks; /* Not answered */
	size_t n_looks;
	unsigned n_looked[2]; /* Questions of each kind so far */
	struct world_alarm *alarms;
	size_t n_alarms;
	struct world_call *calls;
	size_t n_calls;
	struct world_partition partitions[WORLD_PARTITIONS];
	struct bucket application;
	struct graph graph;
};

/* A command to be made. 'who' lists its participants, separated by spaces: "ann" is a user, "+49…"
 * a phone, "replace:ann" and "move:ann" what they say. */
struct given {
	int32_t partition;
	int64_t offset;
	const char *call;
	const char *who;
	const char *id; /* commandId */
	const char *context;
	const char *reply_topic; /* Header */
	int64_t expires_in_ms;   /* 0: never */
	int64_t age_ms;
	bool is_high, resends;
	bool is_redriven; /* Header */
	bool repeats;     /* The value of the record at 'first' once more */
	int64_t first;
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
void world_revoke(struct world *w, int32_t partition);
void world_forget(struct world *w, int32_t partition);
void world_drain(struct world *w);

/* The partition is ours, and nobody had it before. */
void world_assign(struct world *w, int32_t partition, uint32_t owned, uint32_t total);

/* The partition is ours with this commit; its records are not read yet. 'map' NULL: the text that
 * was committed last. */
void world_offer(struct world *w, int32_t partition, int64_t offset, const char *map);

/* The same with a map that leaves nothing open. */
void world_offer_empty(struct world *w, int32_t partition, int64_t offset);

/* Read the partition again from the committed offset, and as far before it as the history reaches.
 */
void world_read(struct world *w, int32_t partition);

/* The engine dies, with what was not committed; another one is there, without partitions. */
void world_crash(struct world *w);

/* world_crash(), and the next engine takes over and reads all partitions that this one had. */
void world_restart(struct world *w);

/* Commit the map as it is now, as a mark's plain commit does. */
void world_commit(struct world *w, int32_t partition);

/* Let time pass; timers and automatic answers happen at their instants. */
void world_elapse(struct world *w, int64_t ms);

/* Let time pass until nothing waits for it any more. */
void world_finish(struct world *w);

/* Answers to the request that is open for the longest time. */
void world_accept(struct world *w);
void world_answer(struct world *w, int status, const char *retry_after, const char *body);
void world_refuse(struct world *w, int status, const char *graph_code);
void world_fail(struct world *w, enum answer_progress progress);

/* The connection breaks, but Graph has done what was asked. */
void world_break_after_effect(struct world *w);

/* The same for one request. */
void world_accept_post(struct world *w, struct world_post *post);
void world_answer_post(struct world *w, struct world_post *post, struct answer answer);

/* Answer the first look, as Graph knows it or otherwise. */
void world_look(struct world *w);
void world_answer_look(struct world *w, struct answer answer);

/* Confirm the first mark, or the first write of those that wait ('error' NULL: stored). */
void world_mark(struct world *w);
void world_written(struct world *w, const char *error);
void world_write_done(struct world *w, size_t i, const char *error);

/* The first 'n' writes are put into a transaction; it is committed with the map, or not. */
void world_stage(struct world *w, size_t n);
void world_commit_staged(struct world *w);
void world_unstage(struct world *w);

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
void expect_evidence(struct world *w, int64_t offset, const char *evidence);
void expect_message(struct world *w, int64_t offset, const char *part);
void expect_no_reply(struct world *w, int64_t offset);
void expect_stored(struct world *w, int64_t offset);

/* Every command has exactly one reply, all is stored, and no timer is left. */
void expect_all_done(struct world *w);

#endif
