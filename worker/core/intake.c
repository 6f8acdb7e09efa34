/* Records become jobs: see intake.h. */
#include "worker/core/intake.h"

#include "worker/core/respond.h"

#define KEY_MAX 1024 /* A rejected record's key is repeated in its reply up to this size */

/* For the reply to a record that has no valid callId. */
static bool keep_key(struct job *job, const struct record *record)
{
	if (!record->has_key || record->key.size > KEY_MAX)
		return true;
	job->has_key = true;
	job->headers.limit += KEY_MAX;
	job->key = (struct span){ .start = (uint32_t)job->headers.size,
		                  .size = (uint32_t)record->key.size };
	buffer_append_bytes(&job->headers, record->key);
	return buffer_ok(&job->headers);
}

static void reject(struct engine *e, struct job *job, const struct record *record,
                   const struct fault *fault)
{
	/* The message may quote a member's name, which is not for logs. */
	trace(e, "p%d@%lld rejected: %s", record->partition, (long long)record->offset,
	      reason_code(fault->reason));
	if (!keep_key(job, record)) {
		e->effects.out_of_memory = true;
		return;
	}
	respond_dead_letter(e, job, record, fault);
	respond_rest(e, job, STATUS_REJECTED, fault->reason, fault->message);
}

static bool is_too_old(const struct engine *e, const struct record *record)
{
	int64_t max_age_us = e->policy->max_age.us;

	return max_age_us > 0 && record->timestamp.us > 0 &&
	       e->wall.us - record->timestamp.us > max_age_us;
}

static void enqueue(struct engine *e, struct partition *p, struct job *job)
{
	const struct command *command = job->command;
	struct call *call = call_get(e, p, command_text(command, command->call_id));

	if (!call) {
		e->effects.out_of_memory = true;
		return;
	}
	trace(e, "p%d@%lld: %s gets %zu participant%s%s", p->number, (long long)job->entry.offset,
	      call->id, job->n_results, job->n_results == 1 ? "" : "s",
	      command->high_priority ? ", high priority" : "");
	call_enqueue(e, call, job);
	if (call->state != CALL_BUSY)
		call_update(e, call);
}

/* Open the ledger's entry and route the job. From here on it lives until its reply is stored. */
static void accept_job(struct engine *e, struct partition *p, struct job *job,
                       const struct record *record, const struct fault *fault)
{
	ledger_arrive(&p->ledger, &job->entry, record->offset);
	metrics_add(e->metrics, METRIC_jobs_open, 1);
	job->arrived = e->now;
	job->received_at = e->wall;
	if (p->state == PARTITION_REVOKING)
		job->state = JOB_ABANDONED;
	else if (fault)
		reject(e, job, record, fault);
	else if (is_too_old(e, record))
		respond_rest(e, job, STATUS_EXPIRED, REASON_TOO_OLD,
		             reason_meaning(REASON_TOO_OLD));
	else
		enqueue(e, p, job);
}

/* The topic's name is learnt from the records; there is one command topic. */
static void learn_topic(struct engine *e, struct bytes topic)
{
	if (e->topic.size == 0)
		buffer_append_bytes(&e->topic, topic);
	if (!buffer_ok(&e->topic))
		e->effects.out_of_memory = true;
}

void intake_record(struct engine *e, const struct record *record)
{
	struct partition *p = partition_find(e, record->partition);
	struct command *command;
	struct fault fault;
	enum command_result result;
	struct job *job;

	if (!p)
		return;
	if (p->ledger.is_known && record->offset < p->ledger.next) {
		metrics_add(e->metrics, METRIC_commands_repeated, 1);
		return;
	}
	learn_topic(e, record->topic);
	metrics_add(e->metrics, METRIC_commands_read, 1);
	result = command_parse(e->policy, record, &e->scratch, &command, &fault);
	job = result == COMMAND_NO_MEMORY ? NULL : job_new(p, command);
	if (!job || !job_copy_headers(job, e->policy, record)) {
		if (!job)
			command_free(command);
		job_free(job);
		e->effects.out_of_memory = true;
		return;
	}
	accept_job(e, p, job, record, result == COMMAND_REJECTED ? &fault : NULL);
	partition_balance(e, p);
}
