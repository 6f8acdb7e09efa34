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
	if (elapsed_us >= capacity / 1000)
		return capacity;
	if (l->credit_ns + elapsed_us * 1000 > capacity)
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

void limiter_init(struct limiter *l, double rate, uint32_t burst, uint32_t tokens, instant_t now)
{
	tune(l, rate, burst);
	l->credit_ns = l->interval_ns * (int64_t)(tokens < burst ? tokens : burst);
	l->refilled = now;
}

void limiter_retune(struct limiter *l, double rate, uint32_t burst, instant_t now)
{
	int64_t tokens = credit_at(l, now) / l->interval_ns;

	limiter_init(l, rate, burst, (uint32_t)tokens, now);
}

void limiter_empty(struct limiter *l, instant_t now)
{
	l->credit_ns = 0;
	l->refilled = now;
}

bool limiter_take(struct limiter *l, instant_t now)
{
	int64_t credit = credit_at(l, now);

	if (credit < l->interval_ns)
		return false;
	l->credit_ns = credit - l->interval_ns;
	l->refilled = now;
	return true;
}

/* When the credit will have grown to 'wanted_ns'. */
static instant_t reaches(const struct limiter *l, int64_t wanted_ns)
{
	int64_t missing = wanted_ns - l->credit_ns;

	if (missing <= 0)
		return l->refilled;
	return (instant_t){ l->refilled.us + (missing + 999) / 1000 };
}

instant_t limiter_ready_at(const struct limiter *l, instant_t now)
{
	return credit_at(l, now) >= l->interval_ns ? now : reaches(l, l->interval_ns);
}

instant_t limiter_full_at(const struct limiter *l, instant_t now)
{
	return credit_at(l, now) >= l->full_ns ? now : reaches(l, l->full_ns);
}
