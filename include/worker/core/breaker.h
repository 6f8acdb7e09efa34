/* Circuit breaker: while the service is ill it is probed with single requests instead of being
 * given all that waits.
 *
 *            many ill answers               pause is over
 *   CLOSED -------------------->   OPEN  -------------------> PROBING
 *     ^                             ^                            |
 *     |                             +----- ill: longer pause ----+
 *     +------------------------------------ well ---------------+
 *
 * Ill answers are many when as many came in a row as the policy says, or when half of the last 64
 * were ill. An ill answer to a call that had one of the two before it does not count: that may be
 * an illness of the call, and a call has a backoff of its own. Only answers to requests that were
 * sent in the present state count: a breaker that has just closed is not opened by what failed
 * before.
 *
 * Pure: it holds no clock and sends nothing. A probe is any request; that there is one at a time is
 * a bound on the requests in flight, breaker_allows(). */
#ifndef WORKER_CORE_BREAKER_H
#define WORKER_CORE_BREAKER_H

#include "worker/base/random.h"
#include "worker/core/health.h"

enum breaker_state {
	BREAKER_CLOSED, /* All is well */
	BREAKER_OPEN,   /* Nothing is sent */
	BREAKER_PROBING /* One request may be in flight */
};

struct breaker_policy {
	uint32_t row;         /* So many ill answers in a row open it; 0: nothing does */
	duration_t base, cap; /* First and longest pause before a probe */
};

struct breaker {
	struct breaker_policy policy;
	enum breaker_state state;
	instant_t changed; /* Since when it is in this state */
	instant_t until;   /* OPEN: when the pause ends */
	instant_t ill;     /* Since when it has not been closed; NEVER: it is closed */
	uint64_t recent;   /* The last answers, newest first: 1 is an ill one */
	uint32_t row;      /* Ill answers in a row */
	uint64_t last[2];  /* The calls of the two that came last */
	uint32_t well_row; /* Others in a row */
	unsigned pauses;   /* Since it was well for long; they grow with it */
	int64_t ill_us;    /* Time that it was not closed, until 'ill' */
};

void breaker_init(struct breaker *b, const struct breaker_policy *policy, instant_t now);

/* An answer, as far as it matters here. */
struct breaker_answer {
	instant_t sent, now;
	enum health health;
	uint64_t call; /* Any number that tells calls apart */
};

/* Count an answer. True when the state changed. */
bool breaker_note(struct breaker *b, const struct breaker_answer *answer, struct random *random);

/* Let time pass: a pause may be over. True when the state changed. */
bool breaker_tick(struct breaker *b, instant_t now);

/* How many requests may be in flight, of 'limit'. */
uint32_t breaker_allows(const struct breaker *b, uint32_t limit);

/* How long in all it has not been closed. The difference of two is the time between them. */
duration_t breaker_ill_time(const struct breaker *b, instant_t now);

#endif
