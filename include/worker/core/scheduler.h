/* Who may send next: calls that are ready stand in the ring of their tenant's application. The
 * applications are served in turn, and of each the calls in turn, as its rate and the bound on
 * requests in flight allow. */
#ifndef WORKER_CORE_SCHEDULER_H
#define WORKER_CORE_SCHEDULER_H

#include "worker/core/state.h"

/* Stand at the end of its application's ring; of the first ring when a command of high priority
 * waits. */
void scheduler_add(struct engine *e, struct call *call);

/* Leave the ring. */
void scheduler_remove(struct engine *e, struct call *call);

/* Let go what may go now, at most policy.release_per_step, and arm the applications' timers for
 * the rest. */
void scheduler_run(struct engine *e);

/* Begin a request for what is chosen, whose tokens are reserved: its mark is asked for. NULL when
 * there is no memory. */
struct invite *scheduler_begin(struct engine *e, struct call *call,
                               const struct batch *batch) MUST_CHECK;

/* Reserve a token of the application and one of the call. False when there are none. */
bool scheduler_reserve(struct engine *e, struct call *call) MUST_CHECK;

/* A request of the call, whose tokens are reserved, is sent now, or is not sent after all. */
void scheduler_sent(struct engine *e, struct call *call);
void scheduler_unsent(struct engine *e, struct call *call);

/* The request is over: nothing refers to it any more. */
void scheduler_forget(struct engine *e, struct invite *invite);

/* Our share of each application's rate: 'owned' of 'total' partitions. */
void scheduler_share(struct engine *e, uint32_t owned, uint32_t total);

/* Others may just have spent what is our share from now on: begin without a token. */
void scheduler_spend(struct engine *e);

#endif
