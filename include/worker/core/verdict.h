/* What Graph said of a call that is over, remembered for a while: commands for it that come
 * meanwhile are answered without asking again.
 *
 * The verdict belongs to its call, which is kept for as long. So that calls that end cannot fill
 * the memory, only the newest policy.verdicts of them are kept. */
#ifndef WORKER_CORE_VERDICT_H
#define WORKER_CORE_VERDICT_H

#include "worker/core/state.h"

struct verdict {
	struct verdict *prev, *next; /* In engine.verdicts */
	struct call *call;
	instant_t until; /* So long it is remembered */
};

/* Graph has just said that the call is over. May free another call. */
void verdict_remember(struct engine *e, struct call *call);

/* True while it is remembered that the call is over. */
static inline bool verdict_is_over(const struct engine *e, const struct call *call)
{
	return call->verdict && instant_before(e->now, call->verdict->until);
}

/* For the reply to a command that is not sent for it: when Graph said so. */
void verdict_explain(const struct engine *e, const struct call *call,
                     char message[static OUTCOME_MESSAGE_SIZE]);

/* It is not known any more, or never was. */
void verdict_forget(struct engine *e, struct call *call);

#endif
