/* The engine's own memory. Only files of core include this. */
#ifndef WORKER_CORE_STATE_H
#define WORKER_CORE_STATE_H

#include "worker/base/metrics.h"
#include "worker/base/slots.h"
#include "worker/core/effects.h"
#include "worker/core/invite.h"
#include "worker/core/outcome.h"
#include "worker/core/partition.h"
#include "worker/core/throttle.h"

/* What keeps the whole application from sending. */
struct application {
	struct limiter limiter;
	uint32_t owned, total; /* Partitions: this worker's share of the rate */
	uint32_t next_owned;   /* A grown share, used from 'grows_at' on */
	instant_t grows_at;    /* NEVER: the share is not growing */
	instant_t hold_until;
	instant_t held_since; /* NEVER: not held */
	enum reason hold_reason;
	unsigned failures;
	instant_t penalized; /* When it was last held: answers to older requests add nothing */
	struct throttle throttle;
	instant_t armed;
};

struct engine {
	const struct policy *policy; /* Borrowed */
	struct metrics *metrics;     /* Borrowed */
	instant_t origin;
	instant_t now; /* Of the event that is being worked on */
	wall_t wall;
	struct random random;
	struct partition *partitions;   /* Owned */
	struct slots calls;             /* Alarm ids */
	struct slots invites;           /* Owned */
	struct slots looks;             /* Calls that look for evidence */
	struct slots writes;            /* In their jobs */
	struct call *ring[QUEUE_COUNT]; /* Calls that wait for the application, in turn */
	uint32_t n_ready;
	uint32_t in_flight; /* Invites that are being marked or sent */
	struct application application;
	struct effects effects;
	struct buffer scratch;   /* For reading records */
	struct buffer operation; /* For judging answers */
	struct buffer error;     /* For error objects */
	struct buffer topic;     /* Name of the command topic, as records carry it */
};

/* The engine is lost, for want of memory, when 'condition' says so. */
static inline void out_of_memory_if(struct engine *e, bool condition)
{
	if (condition)
		e->effects.out_of_memory = true;
}

/* Append a line to the trace: "[ 120] …", milliseconds since the origin. */
void trace(struct engine *e, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
