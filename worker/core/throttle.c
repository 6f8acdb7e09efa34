/* Rows of throttled calls: see throttle.h. */
#include "worker/core/throttle.h"

/* The shortest row that says anything. */
#define CALLS_MIN 3

/* A row is the application's when chance brings about one in so many. */
#define CHANCE_MAX 2e-6

/* The share that is reckoned with: not even calls that were never throttled are safe from it, and
 * where so much is throttled, whatever the reason, it is better to stay away. */
#define SHARE_MIN 0.01
#define SHARE_MAX 0.35

/* Answers that the share is the mean of: so many at first, as if SHARE_MIN of them had been
 * throttled, and at most so many. */
#define ANSWERS_MIN 20
#define ANSWERS_MAX 256

void throttle_init(struct throttle *t)
{
	*t = (struct throttle){ .share = SHARE_MIN, .answers = ANSWERS_MIN };
}

static void learn(struct throttle *t, double throttled)
{
	if (t->answers < ANSWERS_MAX)
		t->answers++;
	t->share += (throttled - t->share) / t->answers;
}

static double reckoned(double share)
{
	if (share < SHARE_MIN)
		return SHARE_MIN;
	return share < SHARE_MAX ? share : SHARE_MAX;
}

static void end_row(struct throttle *t)
{
	t->calls = 0;
}

void throttle_pass(struct throttle *t)
{
	end_row(t);
	learn(t, 0);
}

bool throttle_hit(struct throttle *t, uint64_t call)
{
	if (t->calls == 0) {
		t->before = t->share;
		t->chance = 1;
	}
	learn(t, 1);
	if ((t->calls > 0 && t->last[0] == call) || (t->calls > 1 && t->last[1] == call))
		return false;
	t->last[t->calls % 2] = call;
	t->calls++;
	t->chance *= reckoned(t->before);
	if (t->calls < CALLS_MIN || t->chance > CHANCE_MAX)
		return false;
	t->share = t->before;
	end_row(t);
	return true;
}
