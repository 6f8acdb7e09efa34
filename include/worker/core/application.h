/* The application in one tenant: its bucket, what keeps it from sending, and its calls that could.
 *
 * Graph counts and judges an application in each tenant by itself. So nothing here is shared: what
 * one tenant is kept waiting for delays no call of another. */
#ifndef WORKER_CORE_APPLICATION_H
#define WORKER_CORE_APPLICATION_H

#include "worker/core/breaker.h"
#include "worker/core/call.h"
#include "worker/core/concurrency.h"
#include "worker/core/throttle.h"

struct application {
	uint32_t tenant;                /* Index in policy.tenants */
	uint64_t alarm_id;              /* In engine.alarms, in slot 'tenant' */
	instant_t armed;                /* As the shell knows it; NEVER: cleared */
	struct call *ring[QUEUE_COUNT]; /* Calls that wait for the application, in turn */
	uint32_t n_ready;               /* In these rings */
	uint32_t n_waiting;             /* Commands of the calls that wait for it */
	uint32_t begun;                 /* Requests and looks, from their choice to their end */
	uint32_t in_flight;             /* Those of them that were sent */
	struct invite *departing;       /* Those that wait for room, in turn */
	struct concurrency concurrency; /* How many may be … */
	struct breaker breaker;         /* … and whether any */
	struct limiter limiter;
	instant_t hold_until; /* Nothing is sent before it */
	instant_t held_since; /* Begin of an unbroken row of holds; NEVER: not held */
	enum reason hold_reason;
	bool is_signed_out;  /* Held for want of an access token, which is no fault of a command */
	unsigned failures;   /* In that row; steers the backoff */
	instant_t penalized; /* When it was last held: answers to older requests add nothing */
	struct throttle throttle;
	instant_t refused_since; /* Graph lets the application do nothing; NEVER: it does */
	int refused_status;      /* With which answer */
	char refused_code[OUTCOME_CODE_SIZE];
};

/* Ready to be asked for leave; without a token, as a worker before this one may have spent all of
 * them a moment ago. False when there is no memory. */
bool application_open(struct engine *e, uint32_t tenant) MUST_CHECK;

/* The next application behind the one of the last '*turn', which moves on, that passes the test.
 * NULL: none does. */
struct application *application_in_turn(struct engine *e, uint32_t *turn,
                                        bool (*test)(const struct engine *e,
                                                     const struct application *a));

/* The first call whose turn it is; NULL when none is ready. */
struct call *application_first(const struct application *a);

/* A request, or a look, is begun; then it is sent and ends when it is answered, or it never leaves
 * and is dropped. */
void application_begin(struct engine *e, struct application *a);
void application_send(struct engine *e, struct application *a);
void application_end(struct engine *e, struct application *a);
void application_drop(struct engine *e, struct application *a);

/* Something about Graph's health came with the answer to a request, which has not ended yet. */
void application_heard(struct engine *e, struct application *a,
                       const struct concurrency_answer *answer, const struct call *call);

/* The same of a look, which says little: it matters while Graph is probed. */
void application_looked(struct engine *e, struct application *a,
                        const struct breaker_answer *answer);

/* The pause before a probe may be over. */
void application_tick(struct engine *e, struct application *a);

/* True when one more request may be in flight. */
bool application_has_room(const struct engine *e, const struct application *a);

/* True when one more request may be begun: where marks take their time, somewhat more than may be
 * in flight, so that one is ready to leave when an answer makes room. */
bool application_may_begin(const struct engine *e, const struct application *a);

/* True when Graph has been ill for so long that what waits for it should wait no longer. */
bool application_is_ill_too_long(const struct engine *e, const struct application *a);

/* Bring the figures of all applications up to date. */
void application_report(struct engine *e);

static inline bool application_is_held(const struct application *a, instant_t now)
{
	return instant_before(now, a->hold_until);
}

/* True when what waits for it should wait no longer. */
bool application_is_held_too_long(const struct engine *e, const struct application *a);

/* Nothing of this tenant is sent before 'until'. */
void application_hold(struct engine *e, struct application *a, instant_t until, enum reason reason);

/* The hold that just began lasts until there is a token, and what waits does not fail. */
void application_sign_out(struct application *a);

/* There is a token: such a hold ends. */
void application_sign_in(struct engine *e, struct application *a);

/* Graph does not let the application do anything in this tenant: that is told once, and single
 * requests try whether it still is so. */
void application_refuse(struct engine *e, struct application *a, const struct outcome *outcome);

/* Graph has taken a request for what it is: such a time is over. */
void application_allow(struct engine *e, struct application *a);

static inline bool application_is_refused(const struct application *a)
{
	return !instant_is_never(a->refused_since);
}

/* Graph took a request: no row of throttles, and no hold, unless one began after it was sent. */
void application_clear_hold(struct engine *e, struct application *a);

#endif
