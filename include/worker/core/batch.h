/* Which participants of a call make up its next request.
 *
 * In the order of sending, the request takes participants for as long as they may travel together:
 * at most policy.batch_max, none that replaces, moves or (unless allowed) is a phone beside
 * another, one clientContext, and no identity twice. A command that needs more than one request
 * shares none of them, so that what was sent of it is always a matter of counting. */
#ifndef WORKER_CORE_BATCH_H
#define WORKER_CORE_BATCH_H

#include "worker/core/call.h"
#include "worker/core/policy.h"

struct batch_item {
	struct job *job;
	size_t index; /* Of the participant in its command */
};

struct batch {
	struct batch_item items[BATCH_MAX];
	size_t n;
	size_t n_jobs;
	bool is_closed; /* Nothing that may still come could join it */
};

/* True for the first item of each job. */
static inline bool batch_begins_job(const struct batch *batch, size_t i)
{
	return i == 0 || batch->items[i].job != batch->items[i - 1].job;
}

/* When the first of its commands expires; INT64_MAX: none does. */
wall_t batch_expiry(const struct batch *batch);

/* Choose for 'call', whose queue is not empty. */
void batch_choose(const struct policy *policy, const struct call *call, struct batch *ret);

/* Choose what could follow the call's request that is in flight, once all of that is accepted.
 * Empty when nothing could, or the rest of a command would come first. */
void batch_choose_next(const struct policy *policy, const struct call *call, struct batch *ret);

#endif
