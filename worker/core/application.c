/* What keeps the application in one tenant from sending: see application.h. */
#include "worker/core/application.h"

#include "worker/core/state.h"

/* So many parts of what may be in flight are one part that may be marked ahead. */
#define AHEAD_PART 4

static void open_health(struct engine *e, struct application *a)
{
	const struct policy *policy = e->policy;
	const struct breaker_policy breaker = { .row = policy->breaker_row,
		                                .base = policy->retry_base,
		                                .cap = policy->breaker_cap };
	uint32_t least = policy->min_in_flight;

	if (least > policy->max_in_flight)
		least = policy->max_in_flight;
	concurrency_init(&a->concurrency, least, policy->max_in_flight, e->now);
	breaker_init(&a->breaker, &breaker, e->now);
}

bool application_open(struct engine *e, uint32_t tenant)
{
	struct application *a = &e->applications[tenant];

	*a = (struct application){ .tenant = tenant,
		                   .armed = INSTANT_NEVER,
		                   .held_since = INSTANT_NEVER,
		                   .refused_since = INSTANT_NEVER };
	open_health(e, a);
	throttle_init(&a->throttle);
	limiter_init(&a->limiter, &e->rates.application, 0, e->now);
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

struct application *application_in_turn(struct engine *e, uint32_t *turn,
                                        bool (*test)(const struct engine *e,
                                                     const struct application *a))
{
	uint32_t n = (uint32_t)e->policy->tenants.count;

	for (uint32_t i = 0; i < n; i++) {
		struct application *a = &e->applications[(*turn + i) % n];

		if (test(e, a)) {
			*turn = a->tenant + 1;
			return a;
		}
	}
	return NULL;
}

void application_begin(struct engine *e, struct application *a)
{
	e->begun++;
	a->begun++;
}

void application_send(struct engine *e, struct application *a)
{
	e->in_flight++;
	a->in_flight++;
}

void application_drop(struct engine *e, struct application *a)
{
	e->begun--;
	a->begun--;
}

void application_end(struct engine *e, struct application *a)
{
	e->in_flight--;
	a->in_flight--;
	application_drop(e, a);
}

/* Say what became of the breaker, to people and to the trace. */
static void tell(struct engine *e, const struct application *a, duration_t ill)
{
	struct effect_notice notice = { .tenant = a->tenant };

	switch (a->breaker.state) {
	case BREAKER_OPEN:
		notice.kind = NOTICE_ILL;
		notice.time = instant_since(a->breaker.until, e->now);
		metrics_add(e->metrics, METRIC_breaker_openings, 1);
		trace(e, "Graph is ill: nothing is sent for %lld ms",
		      (long long)duration_to_ms(notice.time));
		break;
	case BREAKER_PROBING:
		notice.kind = NOTICE_PROBE;
		trace(e, "Graph is probed by one request");
		break;
	case BREAKER_CLOSED:
		notice.kind = NOTICE_WELL;
		notice.time = ill;
		trace(e, "Graph is well again after %lld ms", (long long)duration_to_ms(ill));
		break;
	}
	effects_notice(&e->effects, &notice);
}

void application_looked(struct engine *e, struct application *a,
                        const struct breaker_answer *answer)
{
	instant_t ill = a->breaker.ill;

	if (a->breaker.state != BREAKER_PROBING || !breaker_note(&a->breaker, answer, &e->random))
		return;
	if (a->breaker.state == BREAKER_CLOSED)
		concurrency_restart(&a->concurrency, e->now);
	tell(e, a, instant_since(e->now, ill));
}

void application_heard(struct engine *e, struct application *a,
                       const struct concurrency_answer *answer, const struct call *call)
{
	const struct breaker_answer heard = { .sent = answer->sent,
		                              .now = answer->now,
		                              .health = answer->health,
		                              .call = call->alarm_id };

	if (a->breaker.state != BREAKER_CLOSED) {
		application_looked(e, a, &heard);
		return;
	}
	if (concurrency_note(&a->concurrency, answer))
		trace(e, "at most %u requests in flight", (unsigned)a->concurrency.limit);
	if (breaker_note(&a->breaker, &heard, &e->random))
		tell(e, a, (duration_t){ 0 });
}

void application_tick(struct engine *e, struct application *a)
{
	if (breaker_tick(&a->breaker, e->now))
		tell(e, a, (duration_t){ 0 });
}

static uint32_t limit_of(const struct application *a)
{
	return breaker_allows(&a->breaker, application_is_refused(a) ? 1 : a->concurrency.limit);
}

bool application_has_room(const struct engine *e, const struct application *a)
{
	return e->in_flight < e->policy->max_in_flight && a->in_flight < limit_of(a);
}

static uint32_t with_ahead(const struct engine *e, uint32_t limit)
{
	return e->policy->exactly_once ? limit + (limit + AHEAD_PART / 2) / AHEAD_PART : limit;
}

bool application_may_begin(const struct engine *e, const struct application *a)
{
	uint32_t limit = limit_of(a);

	/* Where the limit has shrunk, room is long in coming. */
	return e->begun < with_ahead(e, e->policy->max_in_flight) &&
	       a->begun < with_ahead(e, limit) && a->in_flight <= limit;
}

/* Only while nothing is sent at all: a probe that is on its way may end it. */
bool application_is_ill_too_long(const struct engine *e, const struct application *a)
{
	const struct breaker *b = &a->breaker;

	return b->state == BREAKER_OPEN &&
	       instant_since(b->until, b->ill).us > e->policy->max_hold.us;
}

void application_report(struct engine *e)
{
	int64_t n_ready = 0, limit = 0, n_waiting[2] = { 0 }, n_breakers[3] = { 0 };
	int64_t n_refused = 0;

	for (size_t i = 0; i < e->policy->tenants.count; i++) {
		const struct application *a = &e->applications[i];

		n_ready += a->n_ready;
		limit += breaker_allows(&a->breaker, a->concurrency.limit);
		n_waiting[a->breaker.state != BREAKER_CLOSED] += a->n_waiting;
		n_breakers[a->breaker.state]++;
		n_refused += application_is_refused(a);
	}
	if (limit > e->policy->max_in_flight)
		limit = e->policy->max_in_flight;
	metrics_set(e->metrics, METRIC_in_flight, e->in_flight);
	metrics_set(e->metrics, METRIC_in_flight_limit, limit);
	metrics_set(e->metrics, METRIC_calls_ready, n_ready);
	metrics_set(e->metrics, METRIC_waiting_application, n_waiting[false]);
	metrics_set(e->metrics, METRIC_waiting_breaker, n_waiting[true]);
	metrics_set(e->metrics, METRIC_application_refused, n_refused);
	metrics_set(e->metrics, METRIC_breakers_open, n_breakers[BREAKER_OPEN]);
	metrics_set(e->metrics, METRIC_breakers_probing, n_breakers[BREAKER_PROBING]);
}

bool application_is_held_too_long(const struct engine *e, const struct application *a)
{
	instant_t until = instant_max(a->hold_until, e->now);

	return !instant_is_never(a->held_since) && !a->is_signed_out &&
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
	/* The time without a token does not count. */
	if (instant_is_never(a->held_since) || a->is_signed_out)
		a->held_since = e->now;
	a->is_signed_out = false;
	trace(e, "application held for %lld ms: %s",
	      (long long)duration_to_ms(instant_since(a->hold_until, e->now)), reason_code(reason));
	count_held(e);
}

/* The next hold is the first of a new row. */
static void end_row(struct engine *e, struct application *a)
{
	a->is_signed_out = false;
	a->held_since = INSTANT_NEVER;
	a->failures = 0;
	count_held(e);
}

void application_sign_out(struct application *a)
{
	a->is_signed_out = true;
}

void application_sign_in(struct engine *e, struct application *a)
{
	if (!a->is_signed_out)
		return;
	trace(e, "there is an access token again");
	a->hold_until = e->now;
	end_row(e, a);
}

void application_clear_hold(struct engine *e, struct application *a)
{
	throttle_pass(&a->throttle);
	if (!application_is_held(a, e->now))
		end_row(e, a);
}

void application_refuse(struct engine *e, struct application *a, const struct outcome *outcome)
{
	struct effect_notice notice = { .kind = NOTICE_REFUSED, .tenant = a->tenant };

	if (application_is_refused(a) && a->refused_status == outcome->http_status &&
	    strcmp(a->refused_code, outcome->graph_code) == 0)
		return;
	if (!application_is_refused(a))
		a->refused_since = e->now;
	a->refused_status = outcome->http_status;
	memcpy(a->refused_code, outcome->graph_code, sizeof(a->refused_code));
	notice.http_status = a->refused_status;
	notice.graph_code = a->refused_code;
	notice.advice = outcome_advice(a->refused_status, a->refused_code);
	trace(e, "Graph lets the application do nothing: %d %s", a->refused_status,
	      a->refused_code);
	effects_notice(&e->effects, &notice);
}

void application_allow(struct engine *e, struct application *a)
{
	struct effect_notice notice = { .kind = NOTICE_ALLOWED, .tenant = a->tenant };

	if (!application_is_refused(a))
		return;
	notice.time = instant_since(e->now, a->refused_since);
	a->refused_since = INSTANT_NEVER;
	trace(e, "Graph lets the application do its work again");
	effects_notice(&e->effects, &notice);
}
