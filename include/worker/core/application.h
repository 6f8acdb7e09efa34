/* The application in one tenant: its bucket, what keeps it from sending, and its calls that could.
 *
 * Graph counts and judges an application in each tenant by itself. So nothing here is shared: what
 * one tenant is kept waiting for delays no call of another. */
#ifndef WORKER_CORE_APPLICATION_H
#define WORKER_CORE_APPLICATION_H

#include "worker/core/call.h"
#include "worker/core/throttle.h"

struct application {
	uint32_t tenant;                /* Index in policy.tenants */
	uint64_t alarm_id;              /* In engine.alarms, in slot 'tenant' */
	instant_t armed;                /* As the shell knows it; NEVER: cleared */
	struct call *ring[QUEUE_COUNT]; /* Calls that wait for the application, in turn */
	uint32_t n_ready;               /* In these rings */
	struct limiter limiter;
	instant_t hold_until; /* Nothing is sent before it */
	instant_t held_since; /* Begin of an unbroken row of holds; NEVER: not held */
	enum reason hold_reason;
	unsigned failures;   /* In that row; steers the backoff */
	instant_t penalized; /* When it was last held: answers to older requests add nothing */
	struct throttle throttle;
};

/* Ready to be asked for leave; without a token, as a worker before this one may have spent all of
 * them a moment ago. False when there is no memory. */
bool application_open(struct engine *e, uint32_t tenant) MUST_CHECK;

/* The first call whose turn it is; NULL when none is ready. */
struct call *application_first(const struct application *a);

static inline bool application_is_held(const struct application *a, instant_t now)
{
	return instant_before(now, a->hold_until);
}

/* True when what waits for it should wait no longer. */
bool application_is_held_too_long(const struct engine *e, const struct application *a);

/* Nothing of this tenant is sent before 'until'. */
void application_hold(struct engine *e, struct application *a, instant_t until, enum reason reason);

/* Graph took a request: no row of throttles, and no hold, unless one began after it was sent. */
void application_clear_hold(struct engine *e, struct application *a);

#endif
