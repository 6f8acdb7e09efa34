/* Token bucket in nanoseconds of credit: see limiter.h. */
#include "worker/core/limiter.h"

#include "worker/base/check.h"

#define NS_PER_SECOND 1e9

static int64_t capacity_ns(const struct limiter *l)
{
	return l->full_ns + LIMITER_SLACK.us * 1000;
}

static int64_t credit_at(const struct limiter *l, instant_t now)
{
	int64_t capacity = capacity_ns(l);
	int64_t elapsed_us = now.us - l->refilled.us;

	if (elapsed_us <= 0)
		return l->credit_ns;
	if (elapsed_us > (capacity - l->credit_ns) / 1000)
		return capacity;
	return l->credit_ns + elapsed_us * 1000;
}

static void tune(struct limiter *l, double rate, uint32_t burst)
{
	double interval_ns = NS_PER_SECOND / rate;

	CHECK(rate > 0 && burst > 0);
	l->interval_ns = (int64_t)interval_ns;
	if ((double)l->interval_ns < interval_ns)
		l->interval_ns++;
	l->full_ns = l->interval_ns * (int64_t)burst;
}

static void fill(struct limiter *l, int64_t tokens, uint32_t burst, instant_t now)
{
	l->credit_ns = l->interval_ns * (tokens < burst ? tokens : burst);
	l->refilled = now;
}

void limiter_init(struct limiter *l, double rate, uint32_t burst, uint32_t tokens, instant_t now)
{
	tune(l, rate, burst);
	l->reserved = 0;
	fill(l, tokens, burst, now);
}

void limiter_retune(struct limiter *l, double rate, uint32_t burst, instant_t now)
{
	int64_t tokens = credit_at(l, now) / l->interval_ns;

	tune(l, rate, burst);
	fill(l, tokens, burst, now);
}

void limiter_empty(struct limiter *l, instant_t now)
{
	l->credit_ns = l->interval_ns * (int64_t)l->reserved;
	l->refilled = now;
}

/* The credit at which one more token can be had: those that are reserved are still in the bucket.
 */
static int64_t wanted_ns(const struct limiter *l)
{
	return l->interval_ns * ((int64_t)l->reserved + 1);
}

bool limiter_reserve(struct limiter *l, instant_t now)
{
	if (credit_at(l, now) < wanted_ns(l))
		return false;
	l->reserved++;
	return true;
}

void limiter_spend(struct limiter *l, instant_t now)
{
	CHECK(l->reserved > 0);
	l->credit_ns = credit_at(l, now) - l->interval_ns;
	l->refilled = instant_max(l->refilled, now);
	l->reserved--;
}

void limiter_return(struct limiter *l)
{
	CHECK(l->reserved > 0);
	l->reserved--;
}

bool limiter_take(struct limiter *l, instant_t now)
{
	if (!limiter_reserve(l, now))
		return false;
	limiter_spend(l, now);
	return true;
}

/* When the credit will have grown to 'credit_ns'. */
static instant_t reaches(const struct limiter *l, int64_t credit_ns)
{
	int64_t missing = credit_ns - l->credit_ns;

	if (missing <= 0)
		return l->refilled;
	return (instant_t){ l->refilled.us + (missing + 999) / 1000 };
}

instant_t limiter_ready_at(const struct limiter *l, instant_t now)
{
	if (credit_at(l, now) >= wanted_ns(l))
		return now;
	return wanted_ns(l) > capacity_ns(l) ? INSTANT_NEVER : reaches(l, wanted_ns(l));
}

instant_t limiter_full_at(const struct limiter *l, instant_t now)
{
	return credit_at(l, now) >= l->full_ns ? now : reaches(l, l->full_ns);
}
