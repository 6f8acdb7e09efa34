/* A model of the Kafka broker: the log of commands, one consumer group, its offsets, transactions.
 *
 * As measured on a real broker: a commit is refused by member and generation, never by
 * ownership; the record appended last wins, one of a transaction counts from when it was staged;
 * a producer's older epochs are refused; stable reads wait for open transactions. */
#ifndef SIMULATION_BROKER_H
#define SIMULATION_BROKER_H

#include "simulation/chronicle.h"

struct world;

#define BROKER_OFFSETS  160
#define BROKER_METADATA 512 /* Histories are short, and so are their maps */

/* What the log holds at an offset. */
struct broker_record {
	int command;   /* Index into chronicle.commands; -1: nothing that is delivered */
	int64_t at_us; /* Appended */
};

/* Where the group stands on a partition. */
struct broker_stand {
	int64_t offset; /* -1: nowhere */
	char metadata[BROKER_METADATA];
	uint64_t order; /* Of the append */
	unsigned worker;
};

struct broker_partition {
	struct broker_record log[BROKER_OFFSETS];
	int64_t end;
	struct broker_stand stand;
	struct broker_stand staged[PLAN_WORKERS]; /* By open transactions; offset -1: none */
	int owner; /* Slot of the member that it was given to last; -1: nobody */
};

struct broker_member {
	bool is_present, is_joined;
	uint64_t id;
	int64_t beat_us; /* What its session counts from */
	bool is_silent;  /* No heartbeats come */
};

/* A transactional id. */
struct broker_producer {
	uint32_t epoch;
	bool is_open;
	uint64_t opened;            /* Counts transactions */
	struct told_reply *replies; /* Owned: written in the open transaction */
	size_t n_replies;
};

struct broker {
	struct broker_partition partitions[PLAN_PARTITIONS];
	struct broker_member members[PLAN_WORKERS];
	struct broker_producer producers[PLAN_WORKERS];
	bool is_rebalancing;
	uint32_t generation;
	uint64_t rebalances;
	uint64_t last_member, appends;
};

enum broker_error {
	BROKER_OK,
	BROKER_UNKNOWN_MEMBER,
	BROKER_FENCED_INSTANCE,
	BROKER_ILLEGAL_GENERATION,
	BROKER_INVALID_EPOCH
};

const char *broker_error_text(enum broker_error error);

/* Who speaks: a slot, and the member that it is or was. */
struct broker_caller {
	unsigned slot;
	uint64_t member;
	uint32_t generation;
	uint32_t epoch; /* Of its producer */
};

struct broker_position {
	int32_t partition;
	int64_t offset;
	char metadata[BROKER_METADATA];
};

void broker_init(struct world *w);
void broker_close(struct broker *b);

/* A new member of the slot joins; the assignment comes by member_assign(). */
void broker_join(struct world *w, unsigned slot);

/* The same member joins again, as a rebalance asks. */
enum broker_error broker_rejoin(struct world *w, const struct broker_caller *caller);

/* A record is appended behind so many offsets that hold nothing. */
int64_t broker_append(struct world *w, int32_t partition, int command, unsigned gaps);

/* The slot's heartbeats end; the last one came at 'last_beat_us'. */
void broker_fall_silent(struct world *w, unsigned slot, int64_t last_beat_us);

/* It waits to be given partitions, and its connection stands again. */
void broker_wake(struct world *w, unsigned slot);

/* It beats (again). Not OK when the member is not known any more. */
enum broker_error broker_beat(struct world *w, const struct broker_caller *caller);

/* The member leaves the group. */
void broker_leave(struct world *w, const struct broker_caller *caller);

enum broker_error broker_commit(struct world *w, const struct broker_caller *caller,
                                const struct broker_position *positions, size_t n);

/* Transactions. */
uint32_t broker_init_producer(struct world *w, unsigned slot);
enum broker_error broker_produce(struct world *w, const struct broker_caller *caller,
                                 const struct told_reply *replies, size_t n);
enum broker_error broker_stage(struct world *w, const struct broker_caller *caller,
                               const struct broker_position *positions, size_t n);
enum broker_error broker_end(struct world *w, const struct broker_caller *caller, bool commits);

/* True when no transaction is open on the partition's offset. */
bool broker_is_stable(const struct broker *b, int32_t partition);

/* True when the partition was given to nobody else than the slot since it had it. */
bool broker_is_owner(const struct broker *b, int32_t partition, unsigned slot);

#endif
