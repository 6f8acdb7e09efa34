/* What keeps the application in one tenant from sending: see application.h. */
#include "worker/core/application.h"

#include "worker/core/state.h"

bool application_open(struct engine *e, uint32_t tenant)
{
	struct application *a = &e->applications[tenant];

	*a = (struct application){ .tenant = tenant,
		                   .armed = INSTANT_NEVER,
		                   .held_since = INSTANT_NEVER };
	throttle_init(&a->throttle);
	limiter_init(&a->limiter, e->policy->application_rate, e->policy->application_burst, 0,
	             e->now);
	a->alarm_id = slots_put(&e->alarms, a);
	if (a->alarm_id == SLOTS_NONE)
		return false;
	CHECK(slots_index(a->alarm_id) == tenant);
	return true;
}

struct call *application_first(const struct application *a)
{
	return a->ring[QUEUE_HIGH] ? a->ring[QUEUE_HIGH] : a->ring[QUEUE_NORMAL];
}

bool application_is_held_too_long(const struct engine *e, const struct application *a)
{
	instant_t until = instant_max(a->hold_until, e->now);

	return !instant_is_never(a->held_since) &&
	       instant_since(until, a->held_since).us > e->policy->max_hold.us;
}

static void count_held(struct engine *e)
{
	int64_t n = 0;

	for (size_t i = 0; i < e->policy->tenants.count; i++)
		n += !instant_is_never(e->applications[i].held_since);
	metrics_set(e->metrics, METRIC_application_held, n);
}

void application_hold(struct engine *e, struct application *a, instant_t until, enum reason reason)
{
	a->hold_until = instant_max(a->hold_until, until);
	a->hold_reason = reason;
	a->penalized = e->now;
	a->failures++;
	if (instant_is_never(a->held_since))
		a->held_since = e->now;
	trace(e, "application held for %lld ms: %s",
	      (long long)duration_to_ms(instant_since(a->hold_until, e->now)), reason_code(reason));
	count_held(e);
}

void application_clear_hold(struct engine *e, struct application *a)
{
	throttle_pass(&a->throttle);
	if (application_is_held(a, e->now))
		return;
	a->held_since = INSTANT_NEVER;
	a->failures = 0;
	count_held(e);
}
