/* Calls and what they wait for: see call.h. */
#include "worker/core/call.h"

#include "worker/base/hash.h"
#include "worker/core/batch.h"
#include "worker/core/doubt.h"
#include "worker/core/respond.h"
#include "worker/core/scheduler.h"
#include "worker/core/state.h"
#include "worker/core/verdict.h"

#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

#define CACHE_LINE 64
#define NO_EXPIRY  ((wall_t){ INT64_MAX })

/* Tokens of a call that was just met: the owner before may have spent all of them, so the bucket is
 * taken to have been empty when the partition came. */
static uint32_t first_tokens(const struct engine *e, const struct partition *partition)
{
	double seconds = (double)instant_since(e->now, partition->assigned).us / 1e6;
	double tokens = seconds * e->policy->call_rate;

	if (!partition->had_owner)
		return e->policy->call_burst;
	return tokens < e->policy->call_burst ? (uint32_t)tokens : e->policy->call_burst;
}

static struct call *call_new(struct engine *e, struct partition *partition,
                             const struct command *command)
{
	struct bytes id = command_text(command, command->call_id);
	size_t size = offsetof(struct call, id) + id.size + 1;
	struct call *call = calloc(1, size < sizeof(*call) ? sizeof(*call) : size);

	if (!call)
		return NULL;
	call->alarm_id = slots_put(&e->alarms, call);
	if (call->alarm_id == SLOTS_NONE) {
		free(call);
		return NULL;
	}
	call->tenant = command->tenant;
	memcpy(call->id, id.data, id.size);
	call->partition = partition;
	call->held_since = INSTANT_NEVER;
	call->next_expiry = NO_EXPIRY;
	call->wait = WAIT_NONE;
	limiter_init(&call->limiter, &e->rates.call, first_tokens(e, partition), e->now);
	return call;
}

/* What a call is found by. No valid id has a NUL in it. */
struct key {
	uint32_t tenant;
	struct bytes id;
};

static unsigned long hash_call(const void *object, unsigned long unused)
{
	const struct call *call = object;

	(void)unused;
	return hash_bytes(call->tenant, bytes_of(call->id));
}

static bool has_key(const void *object, const void *of)
{
	const struct call *call = object;
	const struct key *key = of;

	return call->tenant == key->tenant && strncmp(call->id, key->id.data, key->id.size) == 0 &&
	       !call->id[key->id.size];
}

static const struct table_kind call_kind = { hash_call, has_key };

void call_table_init(struct table *t)
{
	table_init(t, &call_kind);
}

/* Nearly all of a call is read soon: of very many, little is in the processor's caches. */
static void fetch_ahead(const struct call *call)
{
	for (size_t at = 0; at < sizeof(*call); at += CACHE_LINE)
		__builtin_prefetch((const char *)call + at, 1);
}

struct call *call_find(const struct partition *partition, const struct command *command)
{
	const struct key key = { command->tenant, command_text(command, command->call_id) };
	struct call *call = table_find(&partition->calls, hash_bytes(key.tenant, key.id), &key);

	if (call)
		fetch_ahead(call);
	return call;
}

struct call *call_get(struct engine *e, struct partition *partition, const struct command *command)
{
	struct call *call = call_find(partition, command);

	if (call)
		return call;
	call = call_new(e, partition, command);
	if (!call)
		return NULL;
	if (!table_add(&partition->calls, call)) {
		slots_remove(&e->alarms, call->alarm_id);
		free(call);
		return NULL;
	}
	return call;
}

/* Tell the shell, unless there is and was no alarm. */
static void arm(struct engine *e, struct call *call, instant_t at)
{
	bool is_armed = !instant_is_never(at);

	if (is_armed || call->is_armed)
		effects_alarm(&e->effects, call->alarm_id, at);
	call->is_armed = is_armed;
}

static void leave_ring(struct engine *e, struct call *call)
{
	if (call->state == CALL_READY)
		scheduler_remove(e, call);
}

void call_free(struct engine *e, struct call *call)
{
	CHECK(!call->invite);
	leave_ring(e, call);
	verdict_forget(e, call);
	for (struct job *job = call_first(call); job; job = call_first(call)) {
		call_dequeue(call, job);
		job->state = JOB_ABANDONED;
	}
	arm(e, call, INSTANT_NEVER);
	slots_remove(&e->alarms, call->alarm_id);
	table_remove(&call->partition->calls, call);
	free(call->doubt);
	free(call);
}

/* So many commands more, or less, wait for what the call waits for. What waits for the application
 * is counted there: when its breaker opens, they all wait for another reason. */
static void count_waiting(struct call *call, int64_t n)
{
	static const enum metric metrics[WAIT_COUNT] = {
		[WAIT_BATCH] = METRIC_waiting_batch,
		[WAIT_RATE] = METRIC_waiting_rate,
		[WAIT_HOLD] = METRIC_waiting_hold,
		[WAIT_CALL] = METRIC_waiting_call,
	};
	struct engine *e = call->partition->engine;

	if (call->wait == WAIT_APPLICATION)
		application_of(e, call)->n_waiting += (uint32_t)n;
	else if (call->wait != WAIT_NONE)
		metrics_add(e->metrics, metrics[call->wait], n);
}

static struct job **queue_of(struct call *call, const struct job *job)
{
	return &call->queue[job_command(job)->high_priority ? QUEUE_HIGH : QUEUE_NORMAL];
}

void call_enqueue(struct engine *e, struct call *call, struct job *job)
{
	struct job **queue = queue_of(call, job);

	DL_APPEND(*queue, job);
	count_waiting(call, 1);
	call->n_jobs++;
	job->call = call;
	job->state = JOB_QUEUED;
	call_count_wait(e, call);
	job->waited = call->waited;
	call_note_expiry(call, job);
}

void call_note_expiry(struct call *call, const struct job *job)
{
	if (job_command(job)->has_expiry && job_command(job)->expires_at.us < call->next_expiry.us)
		call->next_expiry = job_command(job)->expires_at;
}

void call_dequeue(struct call *call, struct job *job)
{
	struct job **queue = queue_of(call, job);

	DL_DELETE(*queue, job);
	count_waiting(call, -1);
	call->n_jobs--;
	job->call = NULL;
}

struct job *call_first(const struct call *call)
{
	return call->queue[QUEUE_HIGH] ? call->queue[QUEUE_HIGH] : call->queue[QUEUE_NORMAL];
}

struct job *call_after(const struct call *call, const struct job *job)
{
	if (job->next)
		return job->next;
	return job_command(job)->high_priority ? call->queue[QUEUE_NORMAL] : NULL;
}

struct job *call_first_new(const struct call *call)
{
	struct job *job = call_first(call);

	while (job && !job_has_new(job))
		job = call_after(call, job);
	return job;
}

void call_count_wait(struct engine *e, struct call *call)
{
	uint32_t now = wait_ms(e->now.us);
	uint32_t ill = wait_ms(breaker_ill_time(&application_of(e, call)->breaker, e->now).us);
	uint32_t waited = now - call->wait_since;

	if (call->wait == WAIT_APPLICATION) {
		uint32_t of_it_ill = ill - call->wait_ill;

		/* They are rounded apart: a part may seem longer than the whole. */
		if (of_it_ill > waited)
			of_it_ill = waited;
		call->waited.ms[WAIT_BREAKER] += of_it_ill;
		waited -= of_it_ill;
	}
	if (call->wait != WAIT_NONE)
		call->waited.ms[call->wait] += waited;
	call->wait_since = now;
	call->wait_ill = ill;
}

void call_wait_for(struct engine *e, struct call *call, enum wait wait)
{
	call_count_wait(e, call);
	if (call->wait == wait)
		return;
	count_waiting(call, -(int64_t)call->n_jobs);
	call->wait = wait;
	count_waiting(call, call->n_jobs);
}

void call_hold(struct engine *e, struct call *call, instant_t until, enum reason reason)
{
	call->hold_until = instant_max(call->hold_until, until);
	call->hold_reason = reason;
	call->held_at = e->now;
	if (instant_is_never(call->held_since))
		call->held_since = e->now;
}

void call_doubt(struct engine *e, struct call *call)
{
	struct doubt *doubt = call->doubt;

	call->doubts++;
	if (!doubt)
		doubt = call->doubt = calloc(1, sizeof(*doubt));
	if (!doubt) {
		e->effects.out_of_memory = true;
		return;
	}
	if (call->doubts == 1)
		doubt->since = e->now;
	doubt->looks = 0;
	doubt->until = instant_max(doubt->until, instant_add(e->now, e->policy->settle));
}

void call_clear_hold(struct call *call)
{
	call->hold_until = (instant_t){ 0 };
	call->held_since = INSTANT_NEVER;
	call->failures = 0;
}

/* True when the job would be held for longer than the policy allows. */
static bool is_held_too_long(const struct engine *e, const struct call *call, const struct job *job)
{
	instant_t since, until;

	if (instant_is_never(call->held_since))
		return false;
	since = instant_max(call->held_since, job->arrived);
	until = instant_max(call->hold_until, e->now);
	return instant_since(until, since).us > e->policy->max_hold.us;
}

static void end_over(struct engine *e, struct call *call, struct job *job)
{
	char message[OUTCOME_MESSAGE_SIZE];

	trace(e, "%s: p%d@%lld is not sent, the call is over", call->id, job->partition->number,
	      (long long)job->entry.offset);
	verdict_explain(e, call, message);
	metrics_add(e->metrics, METRIC_commands_call_over, 1);
	respond_rest(e, job, STATUS_FAILED, REASON_CALL_OVER, message);
}

static void expire_job(struct engine *e, struct call *call, struct job *job)
{
	const struct command *command = job_command(job);

	if (call->doubts > 0 && job_has_doubt(job))
		return;
	if (command->has_expiry && command->expires_at.us <= e->wall.us) {
		trace(e, "%s: p%d@%lld expired", call->id, job->partition->number,
		      (long long)job->entry.offset);
		respond_rest(e, job, STATUS_EXPIRED, REASON_EXPIRED,
		             reason_meaning(REASON_EXPIRED));
	} else if (verdict_is_over(e, call)) {
		end_over(e, call, job);
	} else if (is_held_too_long(e, call, job)) {
		trace(e, "%s: p%d@%lld held too long, %s", call->id, job->partition->number,
		      (long long)job->entry.offset, reason_code(call->hold_reason));
		respond_rest(e, job, STATUS_FAILED, call->hold_reason,
		             reason_meaning(call->hold_reason));
	} else {
		call_note_expiry(call, job);
	}
}

void call_expire(struct engine *e, struct call *call)
{
	struct job *job, *next;

	if (call->next_expiry.us > e->wall.us && instant_is_never(call->held_since) &&
	    !verdict_is_over(e, call))
		return;
	call->next_expiry = NO_EXPIRY;
	for (job = call_first(call); job; job = next) {
		next = call_after(call, job);
		expire_job(e, call, job);
	}
}

/* The date of the next expiry as an instant. */
static instant_t expiry_alarm(const struct engine *e, const struct call *call)
{
	if (call->next_expiry.us == INT64_MAX)
		return INSTANT_NEVER;
	return instant_add(e->now, (duration_t){ call->next_expiry.us - e->wall.us });
}

/* Until when the first command waits for company. */
static instant_t window_end(const struct engine *e, const struct call *call)
{
	struct batch batch;

	batch_choose(e->policy, call, &batch);
	if (batch.is_closed || job_command(batch.items[0].job)->high_priority)
		return e->now;
	return instant_add(batch.items[0].job->arrived, e->policy->batch_window);
}

/* When the request, or the look, could go, and what it waits for until then. */
static instant_t ready_at(struct engine *e, const struct call *call, enum wait *ret_wait)
{
	instant_t at = e->now;
	instant_t token = limiter_ready_at(&call->limiter, &e->rates.call, e->now);
	instant_t window;

	*ret_wait = WAIT_APPLICATION;
	if (call->doubts > 0)
		window = call->doubt->until;
	else
		window = window_end(e, call);
	if (instant_before(at, window)) {
		at = window;
		*ret_wait = call->doubts > 0 ? WAIT_HOLD : WAIT_BATCH;
	}
	if (instant_before(at, token)) {
		at = token;
		*ret_wait = WAIT_RATE;
	}
	if (instant_before(at, call->hold_until)) {
		at = call->hold_until;
		*ret_wait = WAIT_HOLD;
	}
	return at;
}

/* Until when an idle call is kept for the sake of its hold. A Retry-After may name any time. */
static instant_t kept_until(const struct engine *e, const struct call *call)
{
	return instant_min(call->hold_until, instant_add(call->held_at, e->policy->max_hold));
}

static void rest(struct engine *e, struct call *call)
{
	instant_t full = instant_max(limiter_full_at(&call->limiter, &e->rates.call, e->now),
	                             kept_until(e, call));

	if (call->verdict)
		full = instant_max(full, call->verdict->until);
	call->state = CALL_IDLE;
	call_wait_for(e, call, WAIT_NONE);
	if (instant_before(e->now, full))
		arm(e, call, full);
	else
		call_free(e, call);
}

/* In the ring, or still in it: a call that stays ready keeps its turn. */
static void be_ready(struct engine *e, struct call *call)
{
	enum call_queue ring = call->queue[QUEUE_HIGH] ? QUEUE_HIGH : QUEUE_NORMAL;

	if (call->state == CALL_READY && call->ring == ring)
		return;
	leave_ring(e, call);
	scheduler_add(e, call);
}

void call_update(struct engine *e, struct call *call)
{
	enum wait wait;
	instant_t at;

	CHECK(call->state != CALL_BUSY);
	/* Without memory, doubts may lack what they are judged by. */
	if (e->effects.out_of_memory)
		return;
	call_expire(e, call);
	if (!call_first(call)) {
		leave_ring(e, call);
		rest(e, call);
		return;
	}
	at = ready_at(e, call, &wait);
	call_wait_for(e, call, wait);
	if (instant_before(e->now, at)) {
		leave_ring(e, call);
		call->state = CALL_WAITING;
		arm(e, call, instant_min(at, expiry_alarm(e, call)));
	} else {
		be_ready(e, call);
		arm(e, call, expiry_alarm(e, call));
	}
}
