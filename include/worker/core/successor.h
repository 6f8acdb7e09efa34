/* The next request of a call, begun while the one before it is on its way.
 *
 * Its mark is committed meanwhile, so that a call with much to send does not wait for a mark after
 * each answer. It leaves when the one before it was accepted. After any other answer, and when
 * something else has to be thought of first, it is dropped: its commands are as new. */
#ifndef WORKER_CORE_SUCCESSOR_H
#define WORKER_CORE_SUCCESSOR_H

#include "worker/core/state.h"

/* Begin it, if there is none, it is of use and it is in nobody's way: marks take their time, a
 * request of the call is in flight, nothing is in doubt, nothing could join what would be sent,
 * there is a token, and no other call waits for its turn. */
void successor_begin(struct engine *e, struct call *call);

/* A command came to the call, which is busy: one of high priority overtakes what has not left. */
void successor_update(struct engine *e, struct call *call);

/* True when it may leave if the request before it was accepted. */
bool successor_may_follow(const struct engine *e, const struct call *call);

/* The request before it is settled: it is the call's first now. */
void successor_follow(struct engine *e, struct invite *invite);

/* It never leaves, if there is one. */
void successor_drop(struct engine *e, struct call *call);

#endif
