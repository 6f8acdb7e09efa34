/* Records become jobs: see intake.h. */
#include "worker/core/intake.h"

#include "worker/base/hash.h"
#include "worker/core/cancel.h"
#include "worker/core/doubt.h"
#include "worker/core/respond.h"
#include "worker/core/successor.h"

#include <stdio.h>

static void reject(struct engine *e, struct job *job, const struct record *record,
                   const struct fault *fault)
{
	/* The message may quote a member's name, which is not for logs. */
	trace(e, "p%d@%lld rejected: %s", record->partition, (long long)record->offset,
	      reason_code(fault->reason));
	if (record->has_key && !job_copy_key(job, record->key)) {
		e->effects.out_of_memory = true;
		return;
	}
	respond_dead_letter(e, job, record, fault);
	respond_rest(e, job, STATUS_REJECTED, fault->reason, fault->message);
}

/* What may have been sent is judged by evidence, not by its age or its twin. */
static bool is_begun(const struct engine *e, const struct partition *p, int64_t offset)
{
	const struct map_entry *begun = map_find(&p->inherited, offset);

	return e->policy->exactly_once && begun && begun->state != MAP_NEW;
}

static bool is_too_old(const struct engine *e, const struct record *record)
{
	int64_t max_age_us = e->policy->max_age.us;

	return max_age_us > 0 && record->timestamp.us > 0 &&
	       e->wall.us - record->timestamp.us > max_age_us;
}

/* A command that came before waits for the reply to the first, if that is still to come. */
static void follow_first(struct engine *e, struct partition *p, struct job *job, int64_t first)
{
	struct job *original = (struct job *)ledger_find(&p->ledger, first);
	struct extra *extra = job_extra(job);

	trace(e, "p%d@%lld repeats p%d@%lld", p->number, (long long)job->entry.offset, p->number,
	      (long long)first);
	if (!extra) {
		e->effects.out_of_memory = true;
		return;
	}
	extra->duplicate_of = first;
	if (original)
		out_of_memory_if(e, !job_follow(job, original));
	else
		respond_duplicate(e, job);
}

static bool has_header(const struct record *record, const char *name)
{
	for (size_t i = 0; i < record->n_headers; i++)
		if (bytes_equal_text(record->headers[i].name, name))
			return true;
	return false;
}

/* The commandId of a record counts once among the last records, unless it was sent again on
 * purpose. */
static enum history_verdict note_id(struct engine *e, struct partition *p,
                                    const struct command *command, const struct record *record,
                                    int64_t *ret_first)
{
	const struct history_command id = {
		.tenant = command->tenant,
		.call_id = command_text(command, command->call_id),
		.command_id = command_text(command, command->id),
		.content = hash_bytes(0, record->value),
		.offset = record->offset,
	};
	enum history_verdict verdict;

	if (!command->has_id || has_header(record, RECORD_REDRIVE))
		return HISTORY_NEW;
	verdict = history_note(&p->history, &id, ret_first);
	if (verdict == HISTORY_NO_MEMORY)
		e->effects.out_of_memory = true;
	return verdict;
}

static void note_invited(struct engine *e, struct partition *p, const struct command *command,
                         int64_t offset)
{
	if (!invited_note(&p->invited, command, offset, ledger_frontier(&p->ledger)))
		e->effects.out_of_memory = true;
}

static void enqueue(struct engine *e, struct partition *p, struct job *job)
{
	const struct command *command = job_command(job);
	const struct map_entry *begun = map_find(&p->inherited, job->entry.offset);
	struct call *call = call_get(e, p, command);

	if (!call) {
		e->effects.out_of_memory = true;
		return;
	}
	note_invited(e, p, command, job->entry.offset);
	if (begun && begun->state != MAP_NEW && e->policy->exactly_once)
		doubt_inherit(e, job, begun);
	trace(e, "p%d@%lld: %s gets %u participant%s%s", p->number, (long long)job->entry.offset,
	      call->id, job->n_results, job->n_results == 1 ? "" : "s",
	      command->high_priority ? ", high priority" : "");
	call_enqueue(e, call, job);
	if (job_has_doubt(job))
		call_doubt(e, call);
	else if (job_is_decided(job))
		respond_job(e, job);
	if (call->state == CALL_BUSY)
		successor_update(e, call);
	else
		call_update(e, call);
}

/* Its bytes may be needed for a dead letter, long after those of the event are gone. */
static void keep_record(struct engine *e, struct job *job, const struct record *record)
{
	struct extra *extra;

	if (!e->policy->dead_letter_failed || record_size(record) > RECORD_COPY_MAX)
		return;
	extra = job_extra(job);
	if (extra)
		extra->record = record_copy(record);
	out_of_memory_if(e, !extra || !extra->record);
}

/* Send it, or do what it says, unless its commandId came before. */
static void admit(struct engine *e, struct partition *p, struct job *job,
                  const struct record *record)
{
	int64_t first = -1;
	struct fault fault = { .reason = REASON_REUSED_ID };

	enum history_verdict verdict = note_id(e, p, job_command(job), record, &first);

	if (verdict != HISTORY_NO_MEMORY && is_begun(e, p, record->offset))
		verdict = HISTORY_NEW;
	switch (verdict) {
	case HISTORY_NEW:
		if (job_command(job)->is_cancel) {
			cancel_command(e, p, job);
		} else {
			keep_record(e, job, record);
			enqueue(e, p, job);
		}
		break;
	case HISTORY_SAME:
		follow_first(e, p, job, first);
		break;
	case HISTORY_DIFFERENT:
		snprintf(fault.message, sizeof(fault.message),
		         "$.commandId: expected one that no other command has, offset %lld has it",
		         (long long)first);
		job_reject(job);
		reject(e, job, record, &fault);
		break;
	case HISTORY_NO_MEMORY:
		break;
	}
}

/* Route a job whose offset is open. From here on it lives until its reply is stored. */
static void accept_job(struct engine *e, struct partition *p, struct job *job,
                       const struct record *record, const struct fault *fault)
{
	ledger_arrive(&p->ledger, &job->entry, record->offset);
	metrics_add(e->metrics, METRIC_jobs_open, 1);
	job->arrived = e->now;
	if (fault)
		reject(e, job, record, fault);
	else if (!job_command(job)->is_cancel && !is_begun(e, p, record->offset) &&
	         is_too_old(e, record))
		respond_rest(e, job, STATUS_EXPIRED, REASON_TOO_OLD,
		             reason_meaning(REASON_TOO_OLD));
	else
		admit(e, p, job, record);
}

/* The topic's name is learnt from the records; there is one command topic. */
static void learn_topic(struct engine *e, struct bytes topic)
{
	if (e->topic.size > 0)
		return;
	buffer_append_bytes(&e->topic, topic);
	if (!buffer_ok(&e->topic))
		e->effects.out_of_memory = true;
}

/* A record that has its reply: only its commandId and whom it invited still count. */
static void remember(struct engine *e, struct partition *p, const struct record *record)
{
	const struct command *command;
	struct fault fault;
	int64_t first;

	switch (command_parse(e->policy, record, &e->scratch, &command, &fault)) {
	case COMMAND_VALID:
		if (note_id(e, p, command, record, &first) == HISTORY_NEW && !command->is_cancel)
			note_invited(e, p, command, record->offset);
		break;
	case COMMAND_REJECTED:
		break;
	case COMMAND_NO_MEMORY:
		e->effects.out_of_memory = true;
		break;
	}
}

static void work_on(struct engine *e, struct partition *p, const struct record *record)
{
	const struct command *command;
	struct fault fault;
	enum command_result result;
	struct job *job;

	metrics_add(e->metrics, METRIC_commands_read, 1);
	result = command_parse(e->policy, record, &e->scratch, &command, &fault);
	job = result == COMMAND_NO_MEMORY ? NULL : job_new(p, command);
	if (!job || !job_copy_headers(job, e->policy, record) || !ledger_reserve(&p->ledger)) {
		job_free(job);
		e->effects.out_of_memory = true;
		return;
	}
	accept_job(e, p, job, record, result == COMMAND_REJECTED ? &fault : NULL);
	partition_balance(e, p);
}

void intake_record(struct engine *e, const struct record *record)
{
	struct partition *p = partition_find(e, record->partition);
	int64_t seen;

	/* What is given back is not read any more: the map goes on to say of it what it said. */
	if (!p || p->state != PARTITION_OWNED)
		return;
	learn_topic(e, record->topic);
	seen = p->ledger.is_known ? p->ledger.next : record->offset;
	if (record->offset < p->inherited.base) {
		remember(e, p, record);
	} else if (record->offset < seen) {
		metrics_add(e->metrics, METRIC_commands_repeated, 1);
	} else if (map_state(&p->inherited, record->offset) == MAP_REPLIED) {
		remember(e, p, record);
		ledger_advance(&p->ledger, record->offset + 1);
	} else {
		work_on(e, p, record);
	}
}
