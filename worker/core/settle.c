/* What an answer does to the commands of its request: see settle.h. */
#include "worker/core/settle.h"

#include "worker/core/cancel.h"
#include "worker/core/departure.h"
#include "worker/core/respond.h"
#include "worker/core/retry.h"
#include "worker/core/scheduler.h"
#include "worker/core/successor.h"
#include "worker/core/verdict.h"

#include <stdio.h>
#include <stdlib.h>

static const enum metric class_metrics[OUTCOME_CLASSES] = {
	METRIC_requests_accepted,      METRIC_requests_throttled, METRIC_requests_not_sent,
	METRIC_requests_refused,       METRIC_requests_call_over, METRIC_requests_unauthorized,
	METRIC_requests_misconfigured, METRIC_requests_unknown,
};

/* The request that is being settled. */
struct answered {
	struct engine *e;
	struct call *call;
	struct application *application; /* In the call's tenant */
	struct invite *invite;
	const struct answer *answer;
	struct outcome outcome;
};

/* Had no effect: all of it may be sent again. */
static void renew(struct answered *a)
{
	const struct batch *batch = &a->invite->batch;

	for (size_t i = 0; i < batch->n; i++)
		batch->items[i].job->results[batch->items[i].index].delivery = DELIVERY_NEW;
}

/* The same, for one of the tries that its commands have. */
static void retry(struct answered *a)
{
	const struct batch *batch = &a->invite->batch;

	renew(a);
	for (size_t i = 0; i < batch->n; i++)
		if (batch_begins_job(batch, i))
			batch->items[i].job->retries++;
}

static void decide(const struct batch_item *item, enum status status, int16_t operation,
                   int16_t error)
{
	job_decide(item->job, item->index, status, operation, error);
	item->job->retries = 0;
}

static void fail(struct answered *a)
{
	const struct batch *batch = &a->invite->batch;
	const struct outcome *o = &a->outcome;
	int16_t error = -1;

	for (size_t i = 0; i < batch->n; i++) {
		if (batch_begins_job(batch, i))
			error = respond_add_error(a->e, batch->items[i].job, o->reason, o->message,
			                          o->graph_code, o->http_status);
		decide(&batch->items[i], STATUS_FAILED, -1, error);
	}
}

/* A batch that was refused is being sent one by one; when all of them are taken, it was the company
 * that was refused. */
static void count_split(struct answered *a, bool accepted)
{
	const struct batch_item *item = &a->invite->batch.items[0];
	struct call *call = a->call;

	if (call->split_left == 0 || !item->job->results[item->index].is_alone)
		return;
	call->split_failed = call->split_failed || !accepted;
	if (--call->split_left == 0 && !call->split_failed) {
		call->is_single = true;
		trace(a->e, "%s: takes one participant a request from now on", call->id);
	}
}

static void follow(struct answered *a)
{
	struct effect_follow follow = { .tenant = a->call->tenant,
		                        .json = buffer_bytes(&a->e->operation) };

	snprintf(follow.call_id, sizeof(follow.call_id), "%s", a->call->id);
	effects_follow(&a->e->effects, &follow);
}

/* Answers to requests that were on their way when the application's hold began say nothing new. */
static bool is_from_before_hold(const struct answered *a)
{
	return instant_before(a->invite->sent, a->application->penalized);
}

/* Graph took the request for what it is, and has accepted or refused it on its merits. Another 403
 * may be about the application all the same. */
static void note_taken(struct answered *a)
{
	application_clear_hold(a->e, a->application);
	if (a->outcome.http_status != 403 && !is_from_before_hold(a))
		application_allow(a->e, a->application);
}

static void on_accepted(struct answered *a)
{
	const struct batch *batch = &a->invite->batch;
	int16_t operation = -1;

	count_split(a, true);
	a->call->is_established = true;
	verdict_forget(a->e, a->call);
	call_clear_hold(a->call);
	note_taken(a);
	for (size_t i = 0; i < batch->n; i++) {
		if (batch_begins_job(batch, i)) {
			operation =
			    job_add_operation(batch->items[i].job, buffer_bytes(&a->e->operation));
			out_of_memory_if(a->e, operation < 0);
		}
		decide(&batch->items[i], STATUS_ACCEPTED, operation, -1);
	}
	metrics_add(a->e->metrics, METRIC_participants_sent, (int64_t)batch->n);
	if (a->e->policy->follow_operations)
		follow(a);
}

/* That a row of throttled calls is the application's is a guess: how long Graph wants those calls
 * to wait is not believed for all others without a probe. What waits is tried once more before it
 * would be held for too long. */
static instant_t longest_guess(const struct engine *e)
{
	return instant_add(e->now, (duration_t){ e->policy->max_hold.us / 2 });
}

/* As far as one can count: pauses are at their longest long before. */
static void count_failure(struct call *call)
{
	if (call->failures < UINT16_MAX)
		call->failures++;
}

static void on_throttled(struct answered *a)
{
	struct engine *e = a->e;
	duration_t pause = a->outcome.has_retry_after
	                       ? a->outcome.retry_after
	                       : retry_backoff(e->policy->retry_base, e->policy->retry_cap,
	                                       a->call->failures + 1u, &e->random);
	instant_t until = instant_add(e->now, pause);

	count_failure(a->call);
	call_hold(e, a->call, until, REASON_THROTTLED);
	if (!is_from_before_hold(a) && throttle_hit(&a->application->throttle, a->call->alarm_id))
		application_hold(e, a->application, instant_min(until, longest_guess(e)),
		                 REASON_THROTTLED);
	retry(a);
}

static void on_not_sent(struct answered *a)
{
	struct engine *e = a->e;

	/* A command of it is over: that is why it was not sent. */
	if (a->answer->is_withheld && batch_expiry(&a->invite->batch).us <= e->wall.us) {
		renew(a);
		return;
	}
	count_failure(a->call);
	call_hold(e, a->call,
	          instant_add(e->now, retry_backoff(e->policy->retry_base, e->policy->retry_cap,
	                                            a->call->failures, &e->random)),
	          REASON_UNAVAILABLE);
	if (a->answer->is_withheld)
		renew(a);
	else
		retry(a);
}

static void on_refused(struct answered *a)
{
	struct batch *batch = &a->invite->batch;

	call_clear_hold(a->call);
	note_taken(a);
	if (!a->outcome.may_split || batch->n == 1) {
		count_split(a, false);
		fail(a);
		return;
	}
	a->call->split_left = (uint8_t)batch->n;
	a->call->split_failed = false;
	for (size_t i = 0; i < batch->n; i++)
		batch->items[i].job->results[batch->items[i].index].is_alone = true;
	renew(a);
}

static void on_call_over(struct answered *a)
{
	struct engine *e = a->e;
	instant_t arrived = a->invite->batch.items[0].job->arrived;
	duration_t pause = { e->policy->call_grace.us / 4 };
	struct job *job, *next;

	note_taken(a);
	if (!a->call->is_established &&
	    instant_since(e->now, arrived).us < e->policy->call_grace.us) {
		call_hold(e, a->call, instant_add(e->now, pause), REASON_CALL_OVER);
		retry(a);
		return;
	}
	call_clear_hold(a->call);
	verdict_remember(e, a->call);
	fail(a);
	for (job = call_first(a->call); job; job = next) {
		next = call_after(a->call, job);
		if (!job_has_doubt(job))
			respond_rest(e, job, STATUS_FAILED, REASON_CALL_OVER, a->outcome.message);
	}
}

/* All calls of the tenant are concerned. A refused token is fetched anew and tried at once; what
 * fails then, and everything else, backs off. */
static void on_application_refused(struct answered *a)
{
	struct engine *e = a->e;
	struct application *application = a->application;
	bool is_first_401 = a->outcome.http_status == 401 && application->failures == 0;
	bool has_no_token = a->answer->progress == ANSWER_NO_TOKEN;
	duration_t pause = { 0 };

	/* What was never asked for is no try. */
	if (has_no_token)
		renew(a);
	else
		retry(a);
	if (is_from_before_hold(a))
		return;
	if (!is_first_401)
		pause = retry_backoff(e->policy->retry_base, e->policy->retry_cap,
		                      application->failures + 1, &e->random);
	if (a->outcome.class == OUTCOME_MISCONFIGURED)
		application_refuse(e, application, &a->outcome);
	application_hold(e, application, instant_add(e->now, pause), a->outcome.reason);
	if (has_no_token)
		application_sign_out(application);
}

/* "sent …, what failed; look for clientContext …" */
static int16_t add_unknown_error(struct answered *a, struct job *job)
{
	struct engine *e = a->e;
	char date[WALL_TEXT_SIZE];
	char message[OUTCOME_MESSAGE_SIZE + 400];

	buffer_clear(&e->error);
	invite_write_context(a->invite, buffer_bytes(&e->topic), &e->error);
	out_of_memory_if(e, !buffer_ok(&e->error));
	wall_format((wall_t){ e->wall.us - instant_since(e->now, a->invite->sent).us }, date);
	snprintf(message, sizeof(message), "sent at %s, then: %s; look for clientContext %s", date,
	         a->outcome.message, buffer_bytes(&e->error).data);
	return respond_add_error(e, job, REASON_UNKNOWN, message, a->outcome.graph_code,
	                         a->outcome.http_status);
}

/* Evidence may be found, or one more request be allowed, after the settle time; what can have
 * neither is unknown at once. */
static bool may_be_settled(const struct engine *e, const struct batch_item *item)
{
	const struct result *result = &item->job->results[item->index];

	return e->policy->look_at_operations || e->policy->look_at_roster ||
	       (job_command(item->job)->resend_unknown && !result->was_resent);
}

static void on_unknown(struct answered *a)
{
	struct engine *e = a->e;
	const struct batch *batch = &a->invite->batch;
	int16_t error = -1;

	for (size_t i = 0; i < batch->n; i++) {
		const struct batch_item *item = &batch->items[i];
		struct result *result = &item->job->results[item->index];

		if (batch_begins_job(batch, i))
			error = add_unknown_error(a, item->job);
		if (!may_be_settled(e, item)) {
			decide(item, STATUS_UNKNOWN, -1, error);
			continue;
		}
		if (!job_has_doubt(item->job))
			call_doubt(e, a->call);
		result->delivery = DELIVERY_DOUBT;
		result->unknown_error = error;
	}
}

static void apply(struct answered *a)
{
	switch (a->outcome.class) {
	case OUTCOME_ACCEPTED:
		on_accepted(a);
		break;
	case OUTCOME_THROTTLED:
		on_throttled(a);
		break;
	case OUTCOME_NOT_SENT:
		on_not_sent(a);
		break;
	case OUTCOME_REFUSED:
		on_refused(a);
		break;
	case OUTCOME_CALL_OVER:
		on_call_over(a);
		break;
	case OUTCOME_UNAUTHORIZED:
	case OUTCOME_MISCONFIGURED:
		on_application_refused(a);
		break;
	case OUTCOME_UNKNOWN:
		on_unknown(a);
		break;
	case OUTCOME_CLASSES:
		CHECK(false);
	}
}

static void note_answer(struct answered *a)
{
	struct engine *e = a->e;
	const struct batch *batch = &a->invite->batch;
	uint32_t took_ms = wait_ms(e->now.us) - wait_ms(a->invite->sent.us);

	metrics_add(e->metrics, class_metrics[a->outcome.class], 1);
	metrics_observe(e->metrics, HISTOGRAM_request_time, instant_since(e->now, a->invite->sent));
	trace(e, "%s: answered %d, %s%s%s", a->call->id, a->outcome.http_status,
	      outcome_class_text(a->outcome.class), *a->outcome.graph_code ? " " : "",
	      a->outcome.graph_code);
	call_count_wait(e, a->call);
	for (size_t i = 0; i < batch->n; i++) {
		if (!batch_begins_job(batch, i))
			continue;
		/* Being answered is not waiting for the call. */
		batch->items[i].job->waited.ms[WAIT_CALL] += took_ms;
		batch->items[i].job->answered = e->now;
	}
}

/* What the answer says of Graph. The time that it waited for a token is not Graph's. */
static void note_health(struct answered *a)
{
	const struct concurrency_answer heard = {
		.sent = instant_max(a->invite->sent, a->answer->sent_at),
		.now = a->e->now,
		.health = health_of(a->answer, &a->outcome),
		.is_accepted = a->outcome.class == OUTCOME_ACCEPTED,
		.in_flight = a->application->in_flight,
	};

	application_heard(a->e, a->application, &heard, a->call);
}

/* The tries of the command are used up: what is left of it fails for the reason of the last one. */
static void give_up(struct answered *a, struct job *job)
{
	char message[OUTCOME_MESSAGE_SIZE + 64];
	int16_t error;

	if (job->retries < a->e->policy->max_attempts || job_has_doubt(job))
		return;
	snprintf(message, sizeof(message), "%u requests in a row had no effect; the last: %s",
	         (unsigned)job->retries, a->outcome.message);
	trace(a->e, "%s: p%d@%lld was tried too often, %s", a->call->id, job->partition->number,
	      (long long)job->entry.offset, reason_code(a->outcome.reason));
	error = respond_add_error(a->e, job, a->outcome.reason, message, a->outcome.graph_code,
	                          a->outcome.http_status);
	job_decide_rest(job, STATUS_FAILED, error);
}

/* Reply to what is decided, or was withdrawn meanwhile; what is all new again may be left to the
 * next owner. */
static void settle_batch(struct answered *a)
{
	const struct batch *batch = &a->invite->batch;

	for (size_t i = 0; i < batch->n; i++) {
		struct job *job = batch->items[i].job;

		if (!batch_begins_job(batch, i) || job->state != JOB_QUEUED)
			continue;
		give_up(a, job);
		cancel_rest(a->e, job);
		if (job_is_decided(job)) {
			respond_job(a->e, job);
		} else if (!job_is_started(job)) {
			effects_touch(&a->e->effects, job->partition->number);
			partition_deactivate(job);
			partition_leave(job);
		} else if (job_has_doubt(job)) {
			partition_leave(job);
		}
	}
}

void settle_unsent(struct engine *e, struct invite *invite)
{
	struct answered a = { .e = e, .call = invite->call, .invite = invite };
	struct partition *partition = a.call->partition;
	bool is_first = a.call->invite == invite;

	departure_cancel(e, invite);
	if (is_first) {
		a.call->invite = NULL;
		a.call->state = CALL_IDLE;
	} else {
		a.call->invite->successor = NULL;
	}
	renew(&a);
	settle_batch(&a);
	if (is_first) {
		partition_leave_call(a.call);
		call_update(e, a.call);
	}
	partition_check_quiet(e, partition);
	scheduler_forget(e, invite);
}

/* What the answer means for the call, which goes on with the request that follows, or finds out
 * what is next. */
static void settle_call(struct answered *a)
{
	struct engine *e = a->e;
	struct call *call = a->call;
	struct partition *partition = call->partition;

	outcome_judge(a->answer, e->policy->graph_url, bytes_of(call->id), e->wall, &e->operation,
	              &a->outcome);
	out_of_memory_if(e, !buffer_ok(&e->operation));
	note_answer(a);
	note_health(a);
	if (a->outcome.class != OUTCOME_ACCEPTED || !successor_may_follow(e, call))
		successor_drop(e, call);
	call->invite = a->invite->successor;
	call->state = call->invite ? CALL_BUSY : CALL_IDLE;
	apply(a);
	settle_batch(a);
	if (!call->invite) {
		partition_leave_call(call);
		call_update(e, call);
	}
	partition_check_quiet(e, partition);
}

void settle_answer(struct engine *e, struct invite *invite, const struct answer *answer)
{
	struct answered a = { .e = e,
		              .call = invite->call,
		              .application = invite->application,
		              .invite = invite,
		              .answer = answer };

	slots_remove(&e->invites, invite->id);
	if (a.call)
		settle_call(&a);
	application_end(e, invite->application);
	if (invite->successor)
		successor_follow(e, invite->successor);
	scheduler_forget(e, invite);
}
