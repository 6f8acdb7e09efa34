/* Token bucket in nanoseconds of credit: see limiter.h. */
#include "worker/core/limiter.h"

#include "worker/base/check.h"

#define NS_PER_SECOND 1e9

static int64_t capacity_ns(const struct limiter_rate *rate)
{
	return rate->full_ns + LIMITER_SLACK.us * 1000;
}

static int64_t credit_at(const struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	int64_t capacity = capacity_ns(rate);
	int64_t elapsed_us = now.us - l->refilled.us;

	if (elapsed_us <= 0)
		return l->credit_ns;
	if (elapsed_us > (capacity - l->credit_ns) / 1000)
		return capacity;
	return l->credit_ns + elapsed_us * 1000;
}

struct limiter_rate limiter_rate_of(double rate, uint32_t burst)
{
	double interval_ns = NS_PER_SECOND / rate;
	struct limiter_rate ret;

	CHECK(rate > 0 && burst > 0);
	ret.interval_ns = (int64_t)interval_ns;
	if ((double)ret.interval_ns < interval_ns)
		ret.interval_ns++;
	ret.full_ns = ret.interval_ns * (int64_t)burst;
	return ret;
}

static void fill(struct limiter *l, const struct limiter_rate *rate, int64_t tokens, instant_t now)
{
	int64_t burst = rate->full_ns / rate->interval_ns;

	l->credit_ns = rate->interval_ns * (tokens < burst ? tokens : burst);
	l->refilled = now;
}

void limiter_init(struct limiter *l, const struct limiter_rate *rate, uint32_t tokens,
                  instant_t now)
{
	l->reserved = 0;
	fill(l, rate, tokens, now);
}

void limiter_retune(struct limiter *l, const struct limiter_rate *rate,
                    const struct limiter_rate *next, instant_t now)
{
	fill(l, next, credit_at(l, rate, now) / rate->interval_ns, now);
}

void limiter_empty(struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	l->credit_ns = rate->interval_ns * (int64_t)l->reserved;
	l->refilled = now;
}

/* The credit at which one more token can be had: those that are reserved are still in the bucket.
 */
static int64_t wanted_ns(const struct limiter *l, const struct limiter_rate *rate)
{
	return rate->interval_ns * ((int64_t)l->reserved + 1);
}

bool limiter_reserve(struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	if (credit_at(l, rate, now) < wanted_ns(l, rate))
		return false;
	l->reserved++;
	return true;
}

void limiter_spend(struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	CHECK(l->reserved > 0);
	l->credit_ns = credit_at(l, rate, now) - rate->interval_ns;
	l->refilled = instant_max(l->refilled, now);
	l->reserved--;
}

void limiter_return(struct limiter *l)
{
	CHECK(l->reserved > 0);
	l->reserved--;
}

bool limiter_take(struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	if (!limiter_reserve(l, rate, now))
		return false;
	limiter_spend(l, rate, now);
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

instant_t limiter_ready_at(const struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	int64_t wanted = wanted_ns(l, rate);

	if (credit_at(l, rate, now) >= wanted)
		return now;
	return wanted > capacity_ns(rate) ? INSTANT_NEVER : reaches(l, wanted);
}

instant_t limiter_full_at(const struct limiter *l, const struct limiter_rate *rate, instant_t now)
{
	return credit_at(l, rate, now) >= rate->full_ns ? now : reaches(l, rate->full_ns);
}
