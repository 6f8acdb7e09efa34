/* Marked requests on their way out: see departure.h. */
#include "worker/core/departure.h"

#include "worker/core/scheduler.h"
#include "worker/core/settle.h"
#include "worker/core/successor.h"

#include <utlist.h>

void departure_add(struct engine *e, struct invite *invite)
{
	struct application *a = invite->application;

	invite->state = INVITE_DEPARTING;
	DL_APPEND(a->departing, invite);
	if (application_has_room(e, a))
		return;
	call_wait_for(e, invite->call, WAIT_APPLICATION);
	trace(e, "%s: request is marked and waits for room", invite->call->id);
}

void departure_cancel(struct engine *e, struct invite *invite)
{
	struct application *a = invite->application;

	CHECK(invite->state != INVITE_IN_FLIGHT);
	if (invite->state == INVITE_DEPARTING)
		DL_DELETE(a->departing, invite);
	slots_remove(&e->invites, invite->id);
	application_drop(e, a);
	scheduler_unsent(e, invite->call);
}

/* What the replies to its commands will say of it. */
static void note_departure(const struct engine *e, const struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++) {
		struct job *job = batch->items[i].job;

		if (!batch_begins_job(batch, i))
			continue;
		job->attempts++;
		job->batch_commands = (uint8_t)batch->n_jobs;
		job->batch_participants = (uint8_t)batch->n;
		if (instant_is_never(job->sent))
			job->sent = e->now;
	}
}

/* Give the request to the shell; 'expires_at': when the first of its commands does. */
static void post(struct engine *e, struct invite *invite, wall_t expires_at)
{
	struct effect_post *effect = effects_post(&e->effects);
	const struct batch *batch = &invite->batch;

	if (!effect)
		return;
	DL_DELETE(invite->application->departing, invite);
	application_send(e, invite->application);
	scheduler_sent(e, invite->call);
	call_wait_for(e, invite->call, WAIT_CALL);
	invite->state = INVITE_IN_FLIGHT;
	invite->sent = e->now;
	effect->invite_id = invite->id;
	effect->tenant = invite->call->tenant;
	effect->call_id = bytes_of(invite->call->id);
	note_departure(e, batch);
	effect->expires_at = expires_at;
	random_uuid(&e->random, effect->client_request_id);
	invite_write_body(invite, buffer_bytes(&e->topic), &effect->body);
	if (!buffer_ok(&effect->body))
		e->effects.out_of_memory = true;
	trace(e, "%s: request with %zu participant%s is sent", invite->call->id, batch->n,
	      batch->n == 1 ? "" : "s");
	successor_begin(e, invite->call);
}

/* Graph has become ill, or wants to be left alone: what is marked goes back to its call, which may
 * change its mind about it. */
static void take_back(struct engine *e, struct application *a)
{
	if (a->breaker.state != BREAKER_OPEN && !application_is_held(a, e->now))
		return;
	while (a->departing)
		settle_unsent(e, a->departing);
}

/* True when a request of it could leave now. */
static bool may_leave(const struct engine *e, const struct application *a)
{
	return a->departing && application_has_room(e, a);
}

void departure_run(struct engine *e)
{
	struct application *a;

	for (size_t i = 0; i < e->policy->tenants.count; i++)
		take_back(e, &e->applications[i]);
	while (!e->effects.out_of_memory) {
		wall_t expires_at;

		a = application_in_turn(e, &e->leaving, may_leave);
		if (!a)
			return;
		expires_at = batch_expiry(&a->departing->batch);
		/* A command's time may have been over meanwhile. */
		if (expires_at.us <= e->wall.us)
			settle_unsent(e, a->departing);
		else
			post(e, a->departing, expires_at);
	}
}
