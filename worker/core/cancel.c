/* Cancels: see cancel.h. */
#include "worker/core/cancel.h"

#include "worker/core/respond.h"
#include "worker/core/settle.h"

#include <inttypes.h>
#include <stdio.h>

#define OFFSET_DIGITS_MAX 18

static bool is_target(const struct job *cancel, const struct job *job)
{
	return bytes_equal(command_text(job_command(cancel), job_command(cancel)->target),
	                   command_text(job_command(job), job_command(job)->id));
}

void cancel_rest(struct engine *e, struct job *job)
{
	int16_t error;

	if (!job->is_canceled || !job_has_new(job))
		return;
	error =
	    respond_add_error(e, job, REASON_CANCELED, reason_meaning(REASON_CANCELED), NULL, 0);
	for (size_t i = job->first_new; i < job->n_results; i++)
		if (job->results[i].delivery == DELIVERY_NEW)
			job_decide(job, i, STATUS_CANCELED, -1, error);
}

/* A request that waits for its mark, for room, or for another's answer has not left: without it
 * the command is new again. Its company goes with the next one. */
static void hold_back(struct engine *e, const struct call *call, const struct job *cancel)
{
	struct invite *invite = call->invite;

	if (invite && invite->state == INVITE_IN_FLIGHT)
		invite = invite->successor;
	if (!invite)
		return;
	for (size_t i = 0; i < invite->batch.n; i++) {
		if (!is_target(cancel, invite->batch.items[i].job))
			continue;
		trace(e, "%s: request is held back", call->id);
		settle_unsent(e, invite);
		return;
	}
}

static void withdraw(struct engine *e, const struct job *cancel, struct job *target)
{
	trace(e, "p%d@%lld withdraws p%d@%lld", cancel->partition->number,
	      (long long)cancel->entry.offset, target->partition->number,
	      (long long)target->entry.offset);
	target->is_canceled = true;
	cancel_rest(e, target);
	if (job_is_decided(target))
		respond_job(e, target);
}

/* Withdraw all of the call's queue that has the id; the last of them, or NULL. */
static struct job *withdraw_all(struct engine *e, struct call *call, const struct job *cancel)
{
	struct job *target = NULL, *job, *next;

	for (job = call_first(call); job; job = next) {
		next = call_after(call, job);
		if (!is_target(cancel, job))
			continue;
		withdraw(e, cancel, job);
		target = job;
	}
	if (call->state != CALL_BUSY)
		call_update(e, call);
	return target;
}

/* The offset in an id that the worker has made for a command of this partition, or -1. */
static int64_t made_offset(const struct engine *e, const struct job *cancel)
{
	struct bytes id = command_text(job_command(cancel), job_command(cancel)->target);
	char place[16];
	int64_t offset = 0;
	size_t size;

	size = (size_t)snprintf(place, sizeof(place), "-%" PRId32 "-", cancel->partition->number);
	if (id.size <= e->topic.size + size || id.size > e->topic.size + size + OFFSET_DIGITS_MAX ||
	    memcmp(id.data, e->topic.data, e->topic.size) != 0 ||
	    memcmp(id.data + e->topic.size, place, size) != 0)
		return -1;
	for (size_t i = e->topic.size + size; i < id.size; i++) {
		if (id.data[i] < '0' || id.data[i] > '9')
			return -1;
		offset = offset * 10 + (id.data[i] - '0');
	}
	return offset;
}

/* True when a command of that id came before and waits no more. Of an id of the worker's making
 * only the place is known once its record has its reply. */
static bool has_been(const struct engine *e, const struct partition *p, const struct job *cancel)
{
	const struct command *command = job_command(cancel);
	struct bytes call_id = command_text(command, command->call_id);
	int64_t offset = made_offset(e, cancel);
	int64_t seen = history_find(
	    &p->history,
	    &(struct history_command){ .tenant = command->tenant,
	                               .call_id = call_id,
	                               .command_id = command_text(command, command->target) });
	const struct job *open;

	if (seen >= 0 && seen < cancel->entry.offset)
		return true;
	if (offset < 0 || offset >= cancel->entry.offset)
		return false;
	open = (const struct job *)ledger_find(&p->ledger, offset);
	return !open ||
	       (is_target(cancel, open) && job_command(open)->tenant == command->tenant &&
	        bytes_equal(command_text(job_command(open), job_command(open)->call_id), call_id));
}

void cancel_command(struct engine *e, struct partition *p, struct job *job)
{
	struct call *call = call_find(p, job_command(job));
	struct job *target = NULL;
	enum reason reason;

	if (call)
		hold_back(e, call, job);
	call = call_find(p, job_command(job));
	if (call)
		target = withdraw_all(e, call, job);
	if (target) {
		out_of_memory_if(e, !job_follow(job, target));
		return;
	}
	reason = has_been(e, p, job) ? REASON_TOO_LATE : REASON_NOT_FOUND;
	trace(e, "p%d@%lld withdraws nothing: %s", p->number, (long long)job->entry.offset,
	      reason_code(reason));
	respond_rest(e, job, STATUS_FAILED, reason, reason_meaning(reason));
}
