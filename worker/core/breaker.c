/* Circuit breaker: see breaker.h. */
#include "worker/core/breaker.h"

#include "worker/core/retry.h"

/* Answers in 'recent', and how many ill ones among them open the breaker. */
#define RECENT      64
#define RECENT_MANY (RECENT / 2)

static void enter(struct breaker *b, enum breaker_state state, instant_t now)
{
	b->state = state;
	b->changed = now;
	b->recent = 0;
	b->row = 0;
	b->well_row = 0;
}

void breaker_init(struct breaker *b, const struct breaker_policy *policy, instant_t now)
{
	*b = (struct breaker){ .policy = *policy, .ill = INSTANT_NEVER };
	enter(b, BREAKER_CLOSED, now);
}

static void open_up(struct breaker *b, instant_t now, struct random *random)
{
	const struct breaker_policy *policy = &b->policy;

	enter(b, BREAKER_OPEN, now);
	b->pauses++;
	b->until = instant_add(now, retry_backoff(policy->base, policy->cap, b->pauses, random));
	if (instant_is_never(b->ill))
		b->ill = now;
}

static void close_up(struct breaker *b, instant_t now)
{
	enter(b, BREAKER_CLOSED, now);
	b->ill_us += instant_since(now, b->ill).us;
	b->ill = INSTANT_NEVER;
}

static void count(struct breaker *b, bool is_ill)
{
	b->recent = b->recent << 1 | is_ill;
	b->row = is_ill ? b->row + 1 : 0;
	b->well_row = is_ill ? 0 : b->well_row + 1;
	/* As many good answers as bad ones would open it: it is over. */
	if (b->well_row >= b->policy.row)
		b->pauses = 0;
}

static bool are_many_ill(const struct breaker *b)
{
	return b->policy.row > 0 &&
	       (b->row >= b->policy.row || __builtin_popcountll(b->recent) >= RECENT_MANY);
}

/* True when the call was among the last two of the row. Notes it otherwise. */
static bool is_again(struct breaker *b, uint64_t call)
{
	if ((b->row > 0 && b->last[0] == call) || (b->row > 1 && b->last[1] == call))
		return true;
	b->last[b->row % 2] = call;
	return false;
}

bool breaker_note(struct breaker *b, const struct breaker_answer *answer, struct random *random)
{
	bool is_ill = answer->health == HEALTH_ILL;

	if (answer->health == HEALTH_NONE || b->state == BREAKER_OPEN ||
	    instant_before(answer->sent, b->changed))
		return false;
	if (b->state == BREAKER_PROBING) {
		if (is_ill)
			open_up(b, answer->now, random);
		else
			close_up(b, answer->now);
		return true;
	}
	if (is_ill && is_again(b, answer->call))
		return false;
	count(b, is_ill);
	if (!are_many_ill(b))
		return false;
	open_up(b, answer->now, random);
	return true;
}

bool breaker_tick(struct breaker *b, instant_t now)
{
	if (b->state != BREAKER_OPEN || instant_before(now, b->until))
		return false;
	enter(b, BREAKER_PROBING, now);
	return true;
}

uint32_t breaker_allows(const struct breaker *b, uint32_t limit)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		return limit;
	case BREAKER_OPEN:
		return 0;
	case BREAKER_PROBING:
		break;
	}
	return 1;
}

duration_t breaker_ill_time(const struct breaker *b, instant_t now)
{
	int64_t going_on = instant_is_never(b->ill) ? 0 : instant_since(now, b->ill).us;

	return (duration_t){ b->ill_us + going_on };
}
