/* The ring of ready calls and the application's rate: see scheduler.h. */
#include "worker/core/scheduler.h"

#include "worker/core/departure.h"
#include "worker/core/doubt.h"

#include <stdlib.h>
#include <utlist.h>

void scheduler_add(struct engine *e, struct call *call)
{
	struct application *a = application_of(e, call);

	call->state = CALL_READY;
	call->ring = call->queue[QUEUE_HIGH] ? QUEUE_HIGH : QUEUE_NORMAL;
	DL_APPEND(a->ring[call->ring], call);
	a->n_ready++;
}

void scheduler_remove(struct engine *e, struct call *call)
{
	struct application *a = application_of(e, call);

	DL_DELETE(a->ring[call->ring], call);
	call->state = CALL_IDLE;
	a->n_ready--;
}

static void arm(struct engine *e, struct application *a, instant_t at)
{
	if (a->armed.us == at.us)
		return;
	a->armed = at;
	effects_alarm(&e->effects, a->alarm_id, at);
}

/* The jobs of a request are active, and their participants count as sent. */
static void mark_sent(struct engine *e, struct invite *invite)
{
	struct batch *batch = &invite->batch;
	struct job *first = batch->items[0].job;

	for (size_t i = 0; i < batch->n; i++) {
		struct job *job = batch->items[i].job;

		partition_activate(job);
		job->results[batch->items[i].index].delivery = DELIVERY_SENT;
	}
	/* Only a command that travels alone can be there in part. */
	if (batch->n_jobs == 1 && batch->n < first->n_results)
		first->was_split = true;
	call_wait_for(e, invite->call, WAIT_CALL);
}

/* One that was answered, or a new one; NULL when there is no memory. */
static struct invite *new_invite(struct engine *e)
{
	struct invite *invite = e->spare_invites;

	if (invite)
		LL_DELETE(e->spare_invites, invite);
	else
		invite = malloc(sizeof(*invite));
	if (!invite)
		return NULL;
	*invite = (struct invite){ .id = SLOTS_NONE };
	invite->id = slots_put(&e->invites, invite);
	if (invite->id != SLOTS_NONE)
		return invite;
	free(invite);
	return NULL;
}

void scheduler_forget(struct engine *e, struct invite *invite)
{
	LL_PREPEND(e->spare_invites, invite);
}

struct invite *scheduler_begin(struct engine *e, struct call *call, const struct batch *batch)
{
	struct invite *invite = new_invite(e);

	if (!invite) {
		e->effects.out_of_memory = true;
		return NULL;
	}
	invite->call = call;
	invite->sent = e->now;
	invite->batch = *batch;
	invite->application = application_of(e, call);
	application_begin(e, invite->application);
	mark_sent(e, invite);
	trace(e, "%s: request with %zu of %zu command%s waits for its mark", call->id,
	      invite->batch.n, invite->batch.n_jobs, invite->batch.n_jobs == 1 ? "" : "s");
	effects_mark(&e->effects, invite->id, call->partition->number);
	return invite;
}

/* The call's next request. */
static void begin_first(struct engine *e, struct call *call)
{
	struct batch batch;

	batch_choose(e->policy, call, &batch);
	call->invite = scheduler_begin(e, call, &batch);
	call->state = call->invite ? CALL_BUSY : CALL_IDLE;
}

/* Whose turn it is. A look proves little, so that Graph is rather probed by an invite. */
static struct call *first_call(const struct application *a)
{
	if (a->breaker.state != BREAKER_PROBING)
		return application_first(a);
	for (unsigned i = 0; i < QUEUE_COUNT; i++) {
		struct call *call;

		DL_FOREACH (a->ring[i], call) {
			if (call->doubts == 0)
				return call;
		}
	}
	return application_first(a);
}

/* Start what the call whose turn it is has, if the time of none of it is over. */
static void serve(struct engine *e, struct application *a)
{
	struct call *call = first_call(a);

	scheduler_remove(e, call);
	call_expire(e, call);
	if (!call_first(call) || !scheduler_reserve(e, call)) {
		call_update(e, call);
	} else if (call->doubts > 0) {
		scheduler_sent(e, call);
		doubt_look(e, call);
	} else {
		begin_first(e, call);
	}
}

bool scheduler_reserve(struct engine *e, struct call *call)
{
	struct application *a = application_of(e, call);

	if (!limiter_reserve(&a->limiter, &e->rates.application, e->now))
		return false;
	if (limiter_reserve(&call->limiter, &e->rates.call, e->now))
		return true;
	limiter_return(&a->limiter);
	return false;
}

void scheduler_sent(struct engine *e, struct call *call)
{
	limiter_spend(&application_of(e, call)->limiter, &e->rates.application, e->now);
	limiter_spend(&call->limiter, &e->rates.call, e->now);
}

void scheduler_unsent(struct engine *e, struct call *call)
{
	limiter_return(&application_of(e, call)->limiter);
	limiter_return(&call->limiter);
}

static void grow_share(struct engine *e)
{
	struct share *share = &e->share;

	if (instant_is_never(share->grows_at) || instant_before(e->now, share->grows_at))
		return;
	share->owned = share->next_owned;
	share->grows_at = INSTANT_NEVER;
	scheduler_share(e, share->owned, share->total);
}

/* Why what waits for an application should wait no longer. */
struct reproach {
	instant_t since, until;
	enum reason reason;
	bool is_ill; /* Graph is, and nothing is held */
};

/* It has been held, or Graph has been ill, for too long. */
static bool is_hopeless(const struct engine *e, const struct application *a, struct reproach *ret)
{
	instant_t until = a->hold_until;

	if (a->breaker.state == BREAKER_OPEN)
		until = instant_max(until, a->breaker.until);
	if (application_is_held_too_long(e, a))
		*ret = (struct reproach){ a->held_since, until, a->hold_reason, false };
	else if (application_is_ill_too_long(e, a))
		*ret = (struct reproach){ a->breaker.ill, until, REASON_UNAVAILABLE, true };
	else
		return false;
	return true;
}

/* What waited for too long fails; the rest of the call waits for the end of the hold or pause. */
static void fail_call(struct engine *e, struct call *call, const struct reproach *reproach)
{
	scheduler_remove(e, call);
	call_hold(e, call, reproach->until, reproach->reason);
	call->held_since = instant_min(call->held_since, reproach->since);
	if (reproach->is_ill && call->doubts > 0 &&
	    instant_since(e->now, call->doubt->since).us > e->policy->max_hold.us)
		doubt_give_up(e, call);
	else
		call_update(e, call);
}

/* As much of it as one step may let go. */
static void fail_hopeless(struct engine *e, struct application *a)
{
	uint32_t budget = a->n_ready;
	struct reproach reproach;

	if (!is_hopeless(e, a, &reproach))
		return;
	if (budget > e->policy->release_per_step)
		budget = e->policy->release_per_step;
	for (; budget > 0; budget--)
		fail_call(e, application_first(a), &reproach);
}

/* A look needs no mark: it leaves at once, or waits for room. */
static bool may_begin(const struct engine *e, const struct application *a)
{
	return application_may_begin(e, a) &&
	       (application_has_room(e, a) || first_call(a)->doubts == 0);
}

/* True when a call of it could be served now. */
static bool may_serve(const struct engine *e, const struct application *a)
{
	return application_first(a) && !application_is_held(a, e->now) && may_begin(e, a) &&
	       !instant_before(e->now,
	                       limiter_ready_at(&a->limiter, &e->rates.application, e->now));
}

static void release(struct engine *e)
{
	for (unsigned i = 0; i < e->policy->release_per_step; i++) {
		struct application *a;

		if (e->effects.out_of_memory)
			return;
		a = application_in_turn(e, &e->turn, may_serve);
		if (!a)
			return;
		serve(e, a);
	}
}

/* When what is left in the rings can go on. What could go on now, were it not for the bound of one
 * step, goes on at once. */
static instant_t next_turn(const struct engine *e, const struct application *a)
{
	instant_t at = e->share.grows_at;
	struct reproach reproach;

	if (!application_first(a))
		return at;
	if (a->breaker.state == BREAKER_OPEN || application_is_held(a, e->now)) {
		if (is_hopeless(e, a, &reproach))
			return e->now;
		at = instant_min(at,
		                 application_is_held(a, e->now) ? a->hold_until : a->breaker.until);
	} else if (may_begin(e, a)) {
		at = instant_min(at, limiter_ready_at(&a->limiter, &e->rates.application, e->now));
	}
	return at;
}

void scheduler_run(struct engine *e)
{
	uint32_t n = (uint32_t)e->policy->tenants.count;

	grow_share(e);
	for (uint32_t i = 0; i < n; i++) {
		application_tick(e, &e->applications[i]);
		fail_hopeless(e, &e->applications[i]);
	}
	departure_run(e);
	release(e);
	for (uint32_t i = 0; i < n; i++)
		arm(e, &e->applications[i], next_turn(e, &e->applications[i]));
	application_report(e);
	metrics_set(e->metrics, METRIC_calls_active, e->alarms.used - n);
}

void scheduler_share(struct engine *e, uint32_t owned, uint32_t total)
{
	struct share *s = &e->share;
	double part = total > 0 ? (double)owned / total : 1;
	double burst = e->policy->application_burst * part;
	struct limiter_rate next;

	s->total = total;
	if (owned > s->owned && s->owned > 0) {
		s->next_owned = owned;
		s->grows_at = instant_add(e->now, e->policy->share_delay);
		return;
	}
	s->grows_at = INSTANT_NEVER;
	s->owned = owned;
	if (owned == 0)
		return;
	next = limiter_rate_of(e->policy->application_rate * part, burst < 1 ? 1 : (uint32_t)burst);
	for (size_t i = 0; i < e->policy->tenants.count; i++)
		limiter_retune(&e->applications[i].limiter, &e->rates.application, &next, e->now);
	e->rates.application = next;
}

void scheduler_spend(struct engine *e)
{
	for (size_t i = 0; i < e->policy->tenants.count; i++)
		limiter_empty(&e->applications[i].limiter, &e->rates.application, e->now);
}
