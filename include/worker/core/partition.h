/* A partition that this worker owns: its ledger, its calls, and whether it takes more work. */
#ifndef WORKER_CORE_PARTITION_H
#define WORKER_CORE_PARTITION_H

#include "worker/base/hash.h"
#include "worker/core/call.h"
#include "worker/core/event.h"
#include "worker/core/history.h"
#include "worker/core/invited.h"
#include "worker/core/ledger.h"
#include "worker/core/map.h"

enum partition_state {
	PARTITION_OWNED,
	PARTITION_STOPPED, /* Its map cannot be used: nothing of it is read or sent */
	PARTITION_REVOKING /* Starts nothing new; what was started may end */
};

struct partition {
	UT_hash_handle hh; /* In engine.partitions, by 'number' */
	struct engine *engine;
	int32_t number;
	enum partition_state state;
	bool is_paused;
	bool was_quiet; /* The shell was told that nothing is going on */
	instant_t assigned;
	struct ledger ledger; /* Its entries are jobs, and owned */
	struct map
	    inherited;     /* What the owner before committed; records come again from its base */
	bool had_owner;    /* Somebody has sent from here before */
	int64_t begun_end; /* From here on nothing was begun or replied to, now or before */
	struct history history;
	struct invited invited;
	struct table calls; /* Owned; of struct call */
	uint32_t n_active;  /* Jobs of which a part was sent, or that are being replied to */
};

/* NULL when there is no memory. */
struct partition *partition_new(struct engine *e, const struct event_offer *offer) MUST_CHECK;

/* What the partition's map says now; see engine_map(). Close '*ret' in any case. False when there
 * is no memory. */
bool partition_map(const struct partition *p, bool staged, struct map *ret) MUST_CHECK;

/* Say less: a command of which a part was sent counts as begun as a whole. Safe, and much shorter.
 */
void partition_coarsen(struct map *map);

/* Drop everything of it: calls, jobs, and what is in flight. */
void partition_free(struct engine *e, struct partition *p);

struct partition *partition_find(const struct engine *e, int32_t number);

/* Pause or resume fetching as the number of open commands and the ledger's span ask. */
void partition_balance(struct engine *e, struct partition *p);

/* Read and begin no more: commands of which nothing was sent, and those in doubt, are left to the
 * next owner, whom the map tells what they are. */
void partition_revoke(struct engine *e, struct partition *p);

/* True when the job is done once its reply is there, and that is stored; 'staged': or in the open
 * transaction.
 *
 * The map must say so as soon as the reply is there, whatever became of its dead letter: else the
 * next owner writes another, or sends what the reply says has failed. Both are in one transaction
 * (with_id), so that at worst a letter is lost that the broker has refused before. Without
 * transactions both are written again, rather than one be lost. */
bool partition_is_replied(const struct job *job, bool staged);

/* Something of the job is on its way, and must end before the partition is quiet; or nothing is
 * (any more). */
void partition_activate(struct job *job);
void partition_deactivate(struct job *job);

/* A queued job that is not on its way is left to the next owner, if the partition is being revoked.
 */
void partition_leave(struct job *job);

/* The same for all that is queued at a call, which must be updated then. */
void partition_leave_call(struct call *call);

/* Tell the shell once when a partition that is being revoked has nothing going on any more. */
void partition_check_quiet(struct engine *e, struct partition *p);

#endif
