/* What a world remembers of its engine, its topic and its broker. */
#ifndef TESTS_ENGINE_MODEL_H
#define TESTS_ENGINE_MODEL_H

#include "engine/graph.h"
#include "worker/core/engine.h"
#include "worker/core/outcome.h"

#include <jansson.h>

#define WORLD_PARTITIONS 4
#define WORLD_TENANTS    3

/* A bucket as the oracle counts it, in tokens. */
struct bucket {
	double tokens;
	instant_t at;
};

/* How the world names a call, which is one of its tenant: "call-a", and "call-a@1" in tenant 1. */
#define WORLD_CALL_SIZE 40

/* A record of the topic. What is said of its engine is of the one that is alive. */
struct world_command {
	int32_t partition;
	int64_t offset;
	int64_t tag; /* Offset under which its participants are known: that of the first copy */
	char call[WORLD_CALL_SIZE];
	char call_id[WORLD_CALL_SIZE];
	char *who;  /* Owned; see struct given */
	char *text; /* Owned; the record's value */
	wall_t timestamp;
	const char *reply_topic_header; /* Borrowed */
	bool is_redriven;
	bool is_high, resends, has_id;
	bool is_cancel;
	bool is_repeat; /* Its commandId came before: it is not sent */
	bool is_void;   /* The engine does not take it, or another record has its offset now */
	bool is_gone;   /* No engine has it: its partition was forgotten, or its record not read */
	unsigned arrived_step;
	unsigned replied_step; /* 0: no reply yet */
	unsigned n_refused;    /* Writes that were refused */
	unsigned n_replies;
	unsigned n_refused_replies;
	bool is_reply_staged, is_reply_stored; /* Itself, not a letter instead */
	unsigned n_dead_letters;
	char dead_letter_reason[32]; /* Of the last one */
	bool has_dead_value;
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
	uint32_t tenant;
	char call[WORLD_CALL_SIZE];
	json_t *body;      /* Owned */
	unsigned chosen;   /* The step in which its mark was asked for */
	unsigned left;     /* The step in which it was sent, … */
	unsigned answered; /* … and that of its answer; 0: none */
	bool is_accepted;
	instant_t sent;
	wall_t expires_at;
	bool is_open;
	bool is_orphan; /* Its partition was forgotten */
	int32_t partition;
};

struct world_write {
	uint64_t id;
	uint64_t with_id; /* Its command's other one */
	enum write_kind kind;
	size_t command; /* Index into world.commands */
	bool is_staged;
	bool is_late; /* Its partition was forgotten */
};

/* A question about a call. */
struct world_look {
	uint64_t id;
	enum look_kind kind;
	uint32_t tenant;
	int32_t partition;
	bool is_late; /* Its partition was forgotten */
	char call[WORLD_CALL_SIZE];
};

struct world_call {
	char id[WORLD_CALL_SIZE];
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
	unsigned n_cancels; /* Read while marks are not confirmed: each may have made one void */
	unsigned steps;
	struct buffer trace;  /* Since the last expect_trace() */
	uint64_t trace_hash;  /* Of all of it */
	int64_t clock_set_us; /* By so much the worker's clock was set */
	struct buffer who;    /* For world_who() */
	struct buffer map;    /* For the oracle */
	struct world_command *commands;
	size_t n_commands;
	struct world_mark *marks; /* Not confirmed */
	size_t n_marks;
	struct world_mark *granted; /* Confirmed, and not sent: some never are */
	size_t n_granted;
	struct world_post *posts; /* All of them, in order */
	size_t n_posts;
	size_t first_open;          /* No post before it is open */
	struct world_write *writes; /* Not confirmed */
	size_t n_writes;
	struct world_look *looks; /* Not answered */
	size_t n_looks;
	unsigned n_looked[2]; /* Questions of each kind so far */
	size_t n_follows;     /* Operations of which the end may be asked for, so far */
	char followed[512];   /* The call and the operation of the last of them */
	struct world_alarm *alarms;
	size_t n_alarms;
	struct world_call *calls;
	size_t n_calls;
	struct world_partition partitions[WORLD_PARTITIONS];
	struct bucket applications[WORLD_TENANTS];
	unsigned n_notices[NOTICE_ALLOWED + 1]; /* Of each kind */
	struct effect_notice notice;            /* The last one; its code is in 'notice_code' */
	char notice_code[OUTCOME_CODE_SIZE];
	struct graph graph;
};

#endif
