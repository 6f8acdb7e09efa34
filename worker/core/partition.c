/* Partitions: see partition.h. */
#include "worker/core/partition.h"

#include "worker/core/scheduler.h"
#include "worker/core/state.h"

#include <stdlib.h>

struct partition *partition_new(struct engine *e, int32_t number)
{
	struct partition *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->engine = e;
	p->number = number;
	p->assigned = e->now;
	p->begun_up_to = -1;
	ledger_init(&p->ledger);
	HASH_ADD(hh, e->partitions, number, sizeof(p->number), p);
	if (!p->hh.tbl) {
		free(p);
		return NULL;
	}
	return p;
}

struct partition *partition_find(const struct engine *e, int32_t number)
{
	struct partition *p;

	HASH_FIND(hh, e->partitions, &number, sizeof(number), p);
	return p;
}

/* The request goes on, but its answer will change nothing. */
static void orphan_invite(struct call *call)
{
	call->invite->call = NULL;
	call->invite->batch.n = 0;
	call->invite = NULL;
	call->state = CALL_IDLE;
}

static void drop_write(struct engine *e, struct write *write)
{
	if (write->id != SLOTS_NONE)
		slots_remove(&e->writes, write->id);
}

void partition_free(struct engine *e, struct partition *p)
{
	struct call *call, *next_call;

	HASH_ITER (hh, p->calls, call, next_call) {
		if (call->invite)
			orphan_invite(call);
		call_free(e, call);
	}
	while (p->ledger.open) {
		struct job *job = (struct job *)p->ledger.open;

		ledger_settle(&p->ledger, &job->entry);
		drop_write(e, &job->reply);
		drop_write(e, &job->dead_letter);
		metrics_add(e->metrics, METRIC_jobs_open, -1);
		job_free(job);
	}
	if (p->is_paused)
		metrics_add(e->metrics, METRIC_partitions_paused, -1);
	HASH_DEL(e->partitions, p);
	free(p);
}

void partition_balance(struct engine *e, struct partition *p)
{
	size_t commands = p->ledger.count;
	int64_t span = ledger_span(&p->ledger);
	bool is_full = commands >= e->policy->commands_per_partition ||
	               span >= (int64_t)e->policy->offsets_per_partition;
	bool has_room = commands <= e->policy->commands_per_partition / 2 &&
	                span <= (int64_t)e->policy->offsets_per_partition / 2;

	if (p->is_paused ? !has_room : !is_full)
		return;
	p->is_paused = !p->is_paused;
	metrics_add(e->metrics, METRIC_partitions_paused, p->is_paused ? 1 : -1);
	trace(e, "p%d %s", p->number, p->is_paused ? "paused" : "resumed");
	effects_fetch(&e->effects, p->number, p->is_paused);
}

void partition_activate(struct job *job)
{
	if (job->is_active)
		return;
	job->is_active = true;
	job->partition->n_active++;
}

void partition_deactivate(struct job *job)
{
	if (!job->is_active)
		return;
	job->is_active = false;
	job->partition->n_active--;
}

void partition_note_begun(const struct job *job)
{
	struct partition *p = job->partition;

	if (job->entry.offset > p->begun_up_to)
		p->begun_up_to = job->entry.offset;
}

void partition_leave(struct job *job)
{
	if (job->partition->state != PARTITION_REVOKING || job_is_started(job))
		return;
	if (job->entry.offset < job->partition->begun_up_to) {
		partition_activate(job);
		return;
	}
	call_dequeue(job->call, job);
	job->state = JOB_ABANDONED;
}

static void leave_new(struct engine *e, struct call *call)
{
	struct job *job, *next;

	for (job = call_first(call); job; job = next) {
		next = call_after(call, job);
		partition_leave(job);
	}
	if (call->state != CALL_BUSY)
		call_update(e, call);
}

void partition_revoke(struct engine *e, struct partition *p)
{
	struct call *call, *next;

	if (p->state == PARTITION_REVOKING)
		return;
	p->state = PARTITION_REVOKING;
	trace(e, "p%d is to be given back", p->number);
	HASH_ITER (hh, p->calls, call, next) {
		leave_new(e, call);
	}
	partition_check_quiet(e, p);
}

void partition_check_quiet(struct engine *e, struct partition *p)
{
	if (p->state != PARTITION_REVOKING || p->was_quiet || p->n_active > 0)
		return;
	p->was_quiet = true;
	trace(e, "p%d is quiet", p->number);
	effects_quiet(&e->effects, p->number);
}
