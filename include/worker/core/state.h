/* The engine's own memory. Only files of core include this. */
#ifndef WORKER_CORE_STATE_H
#define WORKER_CORE_STATE_H

#include "worker/base/metrics.h"
#include "worker/base/slots.h"
#include "worker/core/application.h"
#include "worker/core/effects.h"
#include "worker/core/invite.h"
#include "worker/core/outcome.h"
#include "worker/core/partition.h"

/* This worker's share of the applications' rates, in partitions. */
struct share {
	uint32_t owned, total;
	uint32_t next_owned; /* A grown share, used from 'grows_at' on */
	instant_t grows_at;  /* NEVER: the share is not growing */
};

/* How fast requests may go. */
struct rates {
	struct limiter_rate call;
	struct limiter_rate application; /* In each tenant: this worker's share of it */
};

/* Calls of which Graph has said that they are over: see verdict.h. */
struct verdicts {
	struct verdict *first; /* The oldest */
	uint32_t n;
};

struct engine {
	const struct policy *policy; /* Borrowed */
	struct metrics *metrics;     /* Borrowed */
	instant_t origin;
	instant_t now; /* Of the event that is being worked on */
	wall_t wall;
	struct random random;
	struct partition *partitions;     /* Owned */
	struct slots alarms;              /* The applications, in the first slots, and the calls */
	struct slots invites;             /* Owned */
	struct invite *spare_invites;     /* Owned: answered, to be used again */
	struct slots looks;               /* Calls that look for evidence */
	struct slots writes;              /* In their jobs */
	struct application *applications; /* Owned; one for each tenant */
	uint32_t turn;                    /* The application that may send next */
	struct share share;
	struct rates rates;
	struct verdicts verdicts;
	uint32_t leaving;   /* The application of which a marked request may leave next */
	uint32_t begun;     /* Requests and looks, from their choice to their end */
	uint32_t in_flight; /* Those of them that were sent */
	struct effects effects;
	struct buffer scratch;   /* For reading records */
	struct buffer operation; /* For judging answers */
	struct buffer error;     /* For error objects */
	struct buffer topic;     /* Name of the command topic, as records carry it */
};

static inline struct application *application_of(struct engine *e, const struct call *call)
{
	return &e->applications[call->tenant];
}

/* The engine is lost, for want of memory, when 'condition' says so. */
static inline void out_of_memory_if(struct engine *e, bool condition)
{
	if (condition)
		e->effects.out_of_memory = true;
}

/* Append a line to the trace: "[ 120] …", milliseconds since the origin. */
void trace(struct engine *e, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
