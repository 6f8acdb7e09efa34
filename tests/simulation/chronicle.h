/* What happened, for the checker: commands, requests, what Graph did, replies, commits, faults. */
#ifndef SIMULATION_CHRONICLE_H
#define SIMULATION_CHRONICLE_H

#include "simulation/plan.h"

#include "worker/base/bytes.h"
#include "worker/core/reason.h"

#define CHRONICLE_BATCH 8

/* A record of the command topic. Identities are numbers; those of a repeated command are those of
 * the first. */
struct told_command {
	int32_t partition;
	int64_t offset;
	unsigned call;
	unsigned first_identity, n; /* 0: not a valid command */
	int twin;                   /* Index of the command that it repeats, or -1 */
	bool is_altered;            /* Repeats only the id of its twin */
	int cancels;                /* Index of the command that it withdraws, or -1 */
	bool resends, expires, is_high;
	int64_t at_us; /* Produced */
	char *text;    /* Owned: the record's value */
};

/* A request, from the token that was taken for it on. */
struct told_request {
	unsigned worker;
	int32_t partition;
	bool was_used; /* Something left the worker, which had not lost the partition */
	uint64_t id;   /* The invite's, among those of this life of the worker */
	uint32_t life;
	int64_t taken_us; /* The token */
};

/* A body that left a worker. */
struct told_send {
	unsigned worker, call, n;
	uint16_t identities[CHRONICLE_BATCH];
	int64_t at_us;
	bool was_owner; /* Nobody else had been given the partition */
	bool had_effect;
	int64_t effect_us;
};

struct told_reply {
	int32_t partition;
	int64_t offset;
	enum status status;
	unsigned n;
	enum status statuses[CHRONICLE_BATCH * 4];
	bool by_operation; /* evidence is "operation" */
	bool by_roster;
	int64_t duplicate_of;
	int64_t at_us; /* Visible */
};

/* An offset that a group's commit has put in force. */
struct told_commit {
	int32_t partition;
	int64_t offset;
	unsigned worker;
	int64_t at_us;
};

struct told_fault {
	const char *what;
	int64_t from_us, until_us;
};

struct chronicle {
	const struct plan *plan;
	struct told_command *commands;
	struct told_request *requests;
	struct told_send *sends;
	struct told_reply *replies;
	struct told_commit *commits;
	struct told_fault *faults;
	size_t n_commands, n_requests, n_sends, n_replies, n_commits, n_faults;
	int64_t ended_us;
	bool is_stuck; /* It was ended before all was replied to */
};

void chronicle_init(struct chronicle *c, const struct plan *plan);
void chronicle_close(struct chronicle *c);

/* Each gives a new zeroed row; it may move with the next one. */
struct told_command *chronicle_command(struct chronicle *c);
struct told_request *chronicle_request(struct chronicle *c);
struct told_send *chronicle_send(struct chronicle *c);
struct told_reply *chronicle_reply(struct chronicle *c);
struct told_commit *chronicle_commit(struct chronicle *c);
void chronicle_fault(struct chronicle *c, const char *what, int64_t from_us, int64_t until_us);

/* Read the JSON of a reply. */
void chronicle_read_reply(struct bytes json, struct told_reply *ret);

#endif
