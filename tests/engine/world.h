/* A world around one engine, in simulated time: it feeds records, performs effects, and judges
 * every step (oracle.h). What the world does by itself and what a test does by hand is told by the
 * flags. An engine may be killed at any step; the next one takes over what was committed.
 */
#ifndef TESTS_ENGINE_WORLD_H
#define TESTS_ENGINE_WORLD_H

#include "engine/model.h"
#include "worker/base/slots.h"

/* A command to be made. 'who' lists its participants, separated by spaces: "ann" is a user, "+49…"
 * a phone, "replace:ann" and "move:ann" what they say. */
struct given {
	int32_t partition;
	int64_t offset;
	const char *call;
	const char *who;
	const char *id;     /* commandId */
	const char *cancel; /* A cancel of the command of this id, instead of 'who' */
	const char *context;
	const char *reply_topic; /* Header */
	uint32_t tenant;         /* 0: none is named */
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

/* The same for WORLD_TENANTS tenants, "tenant-0" and so on; each application starts without a
 * token.
 */
struct policy world_policy_of_tenants(void);

/* Partition 0 is owned, and has been for an hour. */
void world_open(struct world *w, struct policy policy);
void world_close(struct world *w);

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

#endif
