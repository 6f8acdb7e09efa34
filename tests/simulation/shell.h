/* A simulated worker: a real engine, and a model of the io modules around it.
 *
 *   member.c  the consumer group: joining, assignments, revocations, fetching
 *   lane.c    the one lane of offset commits, marks and the lease (worker/io/committer.h)
 *   ink.c     transactions (worker/io/transaction.h)
 *   shell.c   events in, effects out, requests to Graph with the check before their body */
#ifndef SIMULATION_SHELL_H
#define SIMULATION_SHELL_H

#include "simulation/world.h"

#include "worker/core/engine.h"

#define SHELL_MARKS  64
#define SHELL_WRITES 128
#define SHELL_ALARMS 32

struct mark {
	uint64_t invite_id;
	int32_t partition;
};

struct marks {
	struct mark items[SHELL_MARKS];
	size_t n;
};

/* A plain commit without an answer. */
struct lane_commit {
	uint64_t opaque; /* 0: none */
	int64_t asked_us;
	struct marks riding;
};

struct lane {
	bool is_broken;
	bool is_scheduled;
	bool is_wanted;    /* A transaction waits for it */
	bool is_exclusive; /* A transaction has it */
	bool is_touched;   /* A flush has something to write */
	uint64_t last_opaque;
	int64_t lease_from_us;
	struct marks waiting;
	struct lane_commit commits[2]; /* The second only in a mutant */
	struct marks staged;           /* Ride in the transaction */
};

enum ink_state {
	INK_IDLE,
	INK_FILLING,
	INK_WAITING, /* For the lane */
	INK_STAGING, /* Offsets are being sent */
	INK_ENDING,
	INK_ABORTING,
	INK_RENEWING /* The producer is made anew */
};

struct ink_write {
	uint64_t id;
	uint64_t with_id; /* Of the same command: its dead letter, or its reply */
	uint32_t epoch;   /* Of the assignment */
	bool is_reply;
	struct told_reply reply;
};

struct ink {
	enum ink_state state;
	bool is_scheduled;
	bool is_resetting; /* The member waits for the producer */
	uint32_t epoch;
	uint64_t attempt; /* Answers to earlier ones are not listened to */
	struct ink_write writes[SHELL_WRITES];
	size_t n_writes, n_taken; /* The first 'n_taken' are in the transaction */
	uint64_t member;          /* Of the assignment in which the transaction began */
	uint32_t generation;
};

enum client {
	CLIENT_OUT,
	CLIENT_JOINING,
	CLIENT_READING, /* Assigned: reads where the group stands */
	CLIENT_MEMBER,
	CLIENT_RELEASING /* Revoked or lost, and not given back yet */
};

struct owned {
	bool is_owned, is_quiet, is_paused, is_fetching;
	int64_t position; /* The next offset to fetch */
	int64_t told;     /* The last position that the engine was told */
};

struct shell_alarm {
	uint64_t id;
	int64_t at_us;
};

struct shell {
	struct world *world;
	unsigned number; /* Its slot: instance id and transactional id */
	bool is_up, is_leaving;
	uint32_t life;
	int64_t resume_us; /* Paused until then */
	int64_t cut_us;    /* No connection to the broker until then */
	bool is_half_cut;  /* But for the producer's */
	int64_t beat_us;   /* Of its last heartbeat */
	struct policy policy;
	struct metrics metrics;
	struct engine *engine; /* Owned; NULL while it is down */
	enum client client;
	uint64_t member;
	uint32_t generation;
	bool is_lost;      /* The client knows that the assignment is lost */
	bool is_flushing;  /* Given back once the last commit is answered */
	uint64_t releases; /* Counts revocations, for their deadlines */
	uint32_t epoch;    /* Of the assignment */
	struct owned owned[PLAN_PARTITIONS];
	struct lane lane;
	struct ink ink;
	struct shell_alarm alarms[SHELL_ALARMS];
	size_t n_alarms;
};

void shell_init(struct shell *s, struct world *w, unsigned number);
void shell_start(struct shell *s);
void shell_crash(struct shell *s);
void shell_close(struct shell *s);
bool shell_is_paused(const struct shell *s);

/* Feed the engine; 'now' and 'wall' are filled in. */
void shell_feed(struct shell *s, struct event event);

/* The engine's map of a partition. False when it cannot be written. */
bool shell_map(struct shell *s, int32_t partition, bool staged, struct broker_position *ret);

/* Who it is for the broker. */
struct broker_caller shell_caller(const struct shell *s);

/* A task of its own. */
void shell_after(struct shell *s, int64_t delay_us, struct task task);

/* How long a message between it and the broker is on its way; PLAN_NEVER: lost. */
int64_t shell_distance(struct shell *s);

/* The same for its producer, which has a connection of its own. */
int64_t shell_producer_distance(struct shell *s);

#endif
