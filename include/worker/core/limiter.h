/* Token bucket: one token lets one request go.
 *
 * The limiter holds no clock and arms no timer: every question carries the instant at which it is
 * asked, and the caller decides how to wait. Tokens are counted as nanoseconds of credit, so that
 * no rate is rounded up. A wake-up that comes a little late is not lost: up to LIMITER_SLACK of it
 * is credited, which keeps the rate true to its figure without ever letting an extra request go.
 *
 * A request is chosen a while before it is sent: its token is reserved then, and spent when it
 * goes. A reserved token still fills its place in the bucket, so that the requests that leave never
 * exceed the rate, however long some of them waited for their mark. */
#ifndef WORKER_CORE_LIMITER_H
#define WORKER_CORE_LIMITER_H

#include "worker/base/instant.h"

#include <stdint.h>

/* How late a wake-up may be without costing rate. */
#define LIMITER_SLACK ((duration_t){ 5000 })

/* How fast tokens come, and how many of them a bucket holds. Many buckets have the same rate, so
 * that it is kept beside them; every question about a bucket names it. */
struct limiter_rate {
	int64_t interval_ns; /* Time to earn one token */
	int64_t full_ns;     /* Credit of a full bucket: burst times interval */
};

struct limiter {
	int64_t credit_ns;  /* Credit at 'refilled', reserved tokens included */
	instant_t refilled; /* When 'credit_ns' was last brought up to date */
	uint32_t reserved;  /* Tokens of requests that are about to be sent */
};

/* 'rate' tokens a second (more than 0), at most 'burst' (at least 1) at once. */
struct limiter_rate limiter_rate_of(double rate, uint32_t burst);

/* 'tokens' are there now, as far as they fit. */
void limiter_init(struct limiter *l, const struct limiter_rate *rate, uint32_t tokens,
                  instant_t now);

/* Go on with the rate 'next' after 'rate'; tokens that are there stay, as far as they fit, and so
 * do reservations. */
void limiter_retune(struct limiter *l, const struct limiter_rate *rate,
                    const struct limiter_rate *next, instant_t now);

/* Take one token. False, leaving the bucket untouched, when there is none. */
bool limiter_take(struct limiter *l, const struct limiter_rate *rate, instant_t now);

/* Keep one token for a request that will be sent: limiter_spend() or limiter_return() must follow.
 * False, leaving the bucket untouched, when there is none. */
bool limiter_reserve(struct limiter *l, const struct limiter_rate *rate, instant_t now);

/* A request with a reserved token is sent now. */
void limiter_spend(struct limiter *l, const struct limiter_rate *rate, instant_t now);

/* A request with a reserved token is not sent after all. */
void limiter_return(struct limiter *l);

/* Take all that is there and not reserved. */
void limiter_empty(struct limiter *l, const struct limiter_rate *rate, instant_t now);

/* Earliest instant at which limiter_take() can succeed; not after 'now' when it can already.
 * INSTANT_NEVER when a reserved token must be spent or returned first. */
instant_t limiter_ready_at(const struct limiter *l, const struct limiter_rate *rate, instant_t now);

/* Earliest instant at which the bucket is full; not after 'now' when it is already. */
instant_t limiter_full_at(const struct limiter *l, const struct limiter_rate *rate, instant_t now);

#endif
