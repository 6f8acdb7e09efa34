/* The ring of ready calls and the application's rate: see scheduler.h. */
#include "worker/core/scheduler.h"

#include "worker/core/doubt.h"

#include <stdlib.h>
#include <utlist.h>

void scheduler_add(struct engine *e, struct call *call)
{
	call->state = CALL_READY;
	call->ring = call->queue[QUEUE_HIGH] ? QUEUE_HIGH : QUEUE_NORMAL;
	DL_APPEND(e->ring[call->ring], call);
	e->n_ready++;
}

void scheduler_remove(struct engine *e, struct call *call)
{
	DL_DELETE(e->ring[call->ring], call);
	call->state = CALL_IDLE;
	e->n_ready--;
}

static struct call *first_ready(const struct engine *e)
{
	return e->ring[QUEUE_HIGH] ? e->ring[QUEUE_HIGH] : e->ring[QUEUE_NORMAL];
}

static void arm(struct engine *e, instant_t at)
{
	if (e->application.armed.us == at.us)
		return;
	e->application.armed = at;
	effects_alarm(&e->effects, SLOTS_NONE, at);
}

/* Count the jobs of a request, and mark their participants as sent. */
static void mark_sent(struct engine *e, struct invite *invite)
{
	struct batch *batch = &invite->batch;
	struct job *last = NULL;

	for (size_t i = 0; i < batch->n; i++) {
		struct job *job = batch->items[i].job;

		if (job != last) {
			partition_activate(job);
			job->entry.state = LEDGER_STARTED;
			job->attempts++;
			job->batch_commands = (uint32_t)batch->n_jobs;
			job->batch_participants = (uint32_t)batch->n;
		}
		job->results[batch->items[i].index].delivery = DELIVERY_SENT;
		last = job;
	}
	/* Only a command that travels alone can be there in part. */
	if (last && batch->n_jobs == 1 && batch->n < last->n_results)
		last->was_split = true;
	call_wait_for(e, invite->call, WAIT_CALL);
}

/* Choose the next request of a call and ask for its mark. */
static void begin_invite(struct engine *e, struct call *call)
{
	struct invite *invite = calloc(1, sizeof(*invite));

	if (!invite) {
		e->effects.out_of_memory = true;
		return;
	}
	invite->id = slots_put(&e->invites, invite);
	if (invite->id == SLOTS_NONE) {
		free(invite);
		e->effects.out_of_memory = true;
		return;
	}
	invite->call = call;
	invite->sent = e->now;
	batch_choose(e->policy, call, &invite->batch);
	call->invite = invite;
	call->state = CALL_BUSY;
	e->in_flight++;
	mark_sent(e, invite);
	trace(e, "%s: request with %zu of %zu command%s waits for its mark", call->id,
	      invite->batch.n, invite->batch.n_jobs, invite->batch.n_jobs == 1 ? "" : "s");
	effects_mark(&e->effects, invite->id, call->partition->number);
}

/* Start what the call has, if the time of none of it is over. False when there was no token. */
static bool serve(struct engine *e, struct call *call)
{
	if (!limiter_reserve(&e->application.limiter, e->now))
		return false;
	scheduler_remove(e, call);
	call_expire(e, call);
	if (!call_first(call) || !limiter_reserve(&call->limiter, e->now)) {
		limiter_return(&e->application.limiter);
		call_update(e, call);
	} else if (call->doubts > 0) {
		scheduler_sent(e, call);
		doubt_look(e, call);
	} else {
		begin_invite(e, call);
	}
	return true;
}

void scheduler_sent(struct engine *e, struct call *call)
{
	limiter_spend(&e->application.limiter, e->now);
	limiter_spend(&call->limiter, e->now);
}

void scheduler_unsent(struct engine *e, struct call *call)
{
	limiter_return(&e->application.limiter);
	limiter_return(&call->limiter);
}

static void grow_share(struct engine *e)
{
	struct application *a = &e->application;

	if (instant_is_never(a->grows_at) || instant_before(e->now, a->grows_at))
		return;
	a->owned = a->next_owned;
	a->grows_at = INSTANT_NEVER;
	scheduler_share(e, a->owned, a->total);
}

/* When a hold of the application lasts too long, what waits for it fails. True when more of it
 * waits than one step may let go. */
static bool fail_held(struct engine *e)
{
	struct application *a = &e->application;
	instant_t until = instant_max(a->hold_until, e->now);
	uint32_t budget = e->n_ready;

	if (instant_is_never(a->held_since) ||
	    instant_since(until, a->held_since).us <= e->policy->max_hold.us)
		return false;
	if (budget > e->policy->release_per_step)
		budget = e->policy->release_per_step;
	for (; budget > 0; budget--) {
		struct call *call = first_ready(e);

		scheduler_remove(e, call);
		call_hold(e, call, a->hold_until, a->hold_reason);
		call->held_since = instant_min(call->held_since, a->held_since);
		call_update(e, call);
	}
	return instant_before(e->now, until) && e->n_ready > 0;
}

/* When what is left in the ring can go on. */
static instant_t next_turn(const struct engine *e, bool is_more)
{
	const struct application *a = &e->application;
	instant_t at = a->grows_at;

	if (!first_ready(e))
		return at;
	if (is_more)
		return e->now;
	if (instant_before(e->now, a->hold_until))
		return instant_min(at, a->hold_until);
	if (e->in_flight < e->policy->max_in_flight)
		return instant_min(at, limiter_ready_at(&a->limiter, e->now));
	return at;
}

void scheduler_run(struct engine *e)
{
	unsigned released = 0;
	bool is_more;

	grow_share(e);
	is_more = fail_held(e);
	if (!instant_before(e->now, e->application.hold_until)) {
		while (first_ready(e) && e->in_flight < e->policy->max_in_flight &&
		       !e->effects.out_of_memory) {
			is_more = released == e->policy->release_per_step;
			if (is_more || !serve(e, first_ready(e)))
				break;
			released++;
		}
	}
	arm(e, next_turn(e, is_more));
	metrics_set(e->metrics, METRIC_in_flight, e->in_flight);
	metrics_set(e->metrics, METRIC_calls_ready, e->n_ready);
	metrics_set(e->metrics, METRIC_calls_active, e->calls.used);
}

void scheduler_share(struct engine *e, uint32_t owned, uint32_t total)
{
	struct application *a = &e->application;
	double share = total > 0 ? (double)owned / total : 1;
	double burst = e->policy->application_burst * share;

	a->total = total;
	if (owned > a->owned && a->owned > 0) {
		a->next_owned = owned;
		a->grows_at = instant_add(e->now, e->policy->share_delay);
		return;
	}
	a->grows_at = INSTANT_NEVER;
	a->owned = owned;
	if (owned > 0)
		limiter_retune(&a->limiter, e->policy->application_rate * share,
		               burst < 1 ? 1 : (uint32_t)burst, e->now);
}

void scheduler_spend(struct engine *e)
{
	limiter_empty(&e->application.limiter, e->now);
}

void scheduler_hold(struct engine *e, instant_t until, enum reason reason)
{
	struct application *a = &e->application;

	a->hold_until = instant_max(a->hold_until, until);
	a->hold_reason = reason;
	a->penalized = e->now;
	a->failures++;
	if (instant_is_never(a->held_since))
		a->held_since = e->now;
	trace(e, "application held for %lld ms: %s",
	      (long long)duration_to_ms(instant_since(a->hold_until, e->now)), reason_code(reason));
	metrics_set(e->metrics, METRIC_application_held, 1);
}

void scheduler_clear_hold(struct engine *e)
{
	struct application *a = &e->application;

	throttle_pass(&a->throttle);
	if (instant_before(e->now, a->hold_until))
		return;
	a->held_since = INSTANT_NEVER;
	a->failures = 0;
	metrics_set(e->metrics, METRIC_application_held, 0);
}
