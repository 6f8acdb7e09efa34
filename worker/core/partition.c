/* Partitions: see partition.h. */
#include "worker/core/partition.h"

#include "worker/core/departure.h"
#include "worker/core/doubt.h"
#include "worker/core/scheduler.h"
#include "worker/core/settle.h"
#include "worker/core/state.h"
#include "worker/core/successor.h"

#include <stdlib.h>

/* Open commands of which each may take 8 bytes of a sparse map. */
#define SPARSE_COMMANDS 480

/* Of commands with some participants; see invited.h. */
#define INVITED_PER_OFFSET 8

/* Offsets that a dense map holds, with room for those that still come after a pause. */
#define DENSE_OFFSETS 10000

/* How far a partition reaches while more than a few of its commands are open. */
static int64_t window_of(const struct partition *p)
{
	int64_t window = (int64_t)p->engine->policy->offsets_per_partition;

	return window < DENSE_OFFSETS ? window : DENSE_OFFSETS;
}

/* Nobody knows what was begun: the whole window counts as begun. What lay further when only a few
 * were open, behind a call that was held for long, cannot be told from what nobody has seen. */
static bool suspect_all(struct partition *p, int64_t offset)
{
	int64_t window = window_of(p);

	for (int64_t i = 0; i < window; i++) {
		struct map_entry entry = { .offset = offset + i, .state = MAP_STARTED };

		if (!map_add(&p->inherited, &entry))
			return false;
	}
	p->inherited.end = offset + window;
	return true;
}

/* The map cannot be used. False when there is no memory. */
static bool doubt_map(struct engine *e, struct partition *p, const struct event_offer *offer,
                      enum map_problem problem)
{
	const struct effect_alert alert = { .partition = p->number,
		                            .offset = offer->offset,
		                            .problem = problem };

	trace(e, "p%d: the map at %lld cannot be used: %s", p->number, (long long)offer->offset,
	      map_problem_text(problem));
	effects_alert(&e->effects, &alert);
	switch (e->policy->on_bad_map) {
	case BAD_MAP_STOP:
		p->state = PARTITION_STOPPED;
		p->is_paused = true;
		metrics_add(e->metrics, METRIC_partitions_paused, 1);
		effects_fetch(&e->effects, p->number, true);
		return true;
	case BAD_MAP_REPORT:
		return suspect_all(p, offer->offset);
	case BAD_MAP_TRUST:
		break;
	}
	return true;
}

/* Take over where the owner before has left it. */
static bool inherit(struct engine *e, struct partition *p, const struct event_offer *offer)
{
	enum map_problem problem;

	map_init(&p->inherited, offer->offset);
	if (offer->offset < 0)
		return true;
	p->had_owner = true;
	ledger_advance(&p->ledger, offer->offset);
	problem = map_decode(offer->map, offer->offset, &p->inherited);
	if (problem == MAP_NO_MEMORY)
		return false;
	if (problem != MAP_OK && !(problem == MAP_EMPTY && offer->offset == 0) &&
	    !doubt_map(e, p, offer, problem))
		return false;
	p->begun_end = p->inherited.end;
	return true;
}

static void discard(struct partition *p)
{
	ledger_close(&p->ledger);
	map_close(&p->inherited);
	history_close(&p->history);
	invited_close(&p->invited);
	table_close(&p->calls);
	free(p);
}

/* Room for what a full window asks for and what counts before it. */
static struct invited_bounds invited_bounds(const struct policy *policy)
{
	size_t offsets = (size_t)policy->history + policy->offsets_per_partition;

	return (struct invited_bounds){ .offsets = policy->history,
		                        .entries = offsets * INVITED_PER_OFFSET };
}

struct partition *partition_new(struct engine *e, const struct event_offer *offer)
{
	struct partition *p = calloc(1, sizeof(*p));
	struct invited_bounds invited = invited_bounds(e->policy);

	if (!p)
		return NULL;
	p->engine = e;
	p->number = offer->partition;
	p->assigned = e->now;
	ledger_init(&p->ledger);
	history_init(&p->history, e->policy->history);
	invited_init(&p->invited, &invited);
	call_table_init(&p->calls);
	if (!inherit(e, p, offer)) {
		discard(p);
		return NULL;
	}
	HASH_ADD(hh, e->partitions, number, sizeof(p->number), p);
	if (!p->hh.tbl) {
		discard(p);
		return NULL;
	}
	return p;
}

/* A participant whose answer is known, so that it need not be looked for. */
static bool is_settled(const struct result *result)
{
	if (result->delivery == DELIVERY_DOUBT)
		return result->was_accepted;
	return result->delivery == DELIVERY_DONE &&
	       (result->status == STATUS_ACCEPTED || result->status == STATUS_RECONCILED ||
	        result->status == STATUS_FAILED);
}

/* True when it was sent, or may have been, and its answer is not known; also while it is sent once
 * more because of that. */
static bool is_open(const struct result *result)
{
	return (result->delivery == DELIVERY_NEW && result->unknown_error >= 0) ||
	       result->delivery == DELIVERY_SENT || result->delivery == DELIVERY_DOUBT ||
	       (result->delivery == DELIVERY_DONE && result->status == STATUS_UNKNOWN);
}

/* Participants are sent in order: first those that are settled, then those that are on their way.
 */
static void describe_progress(const struct job *job, struct map_progress *ret)
{
	size_t settled = 0, open;

	*ret = (struct map_progress){ 0 };
	while (settled < job->n_results && is_settled(&job->results[settled])) {
		if (job->results[settled].status != STATUS_FAILED)
			ret->accepted[settled / 8] |= (uint8_t)(1u << (settled % 8));
		settled++;
	}
	open = settled;
	for (size_t i = settled; i < job->n_results; i++)
		if (is_open(&job->results[i]) || is_settled(&job->results[i]))
			open = i + 1;
	ret->settled = (uint8_t)settled;
	ret->in_flight = (uint8_t)(open - settled);
}

/* True when it is certain that nothing of it had an effect, and will have none: only its reply is
 * still to be stored. */
static bool is_vain(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++) {
		const struct result *result = &job->results[i];

		if (result->delivery != DELIVERY_DONE ||
		    (result->status != STATUS_FAILED && result->status != STATUS_EXPIRED &&
		     result->status != STATUS_CANCELED))
			return false;
	}
	return true;
}

/* Progress is worth its place only for a command of several participants. What was in vain can be
 * done anew: the next owner finds out why once more, and need not answer that it does not know. */
static struct map_entry describe(const struct job *job)
{
	struct map_entry entry = { .offset = job->entry.offset };

	if (is_vain(job))
		return entry;
	describe_progress(job, &entry.progress);
	if (entry.progress.settled == 0 && entry.progress.in_flight == 0)
		entry.state = MAP_NEW;
	else if (job->n_results == 1 ||
	         (entry.progress.settled == 0 && entry.progress.in_flight == job->n_results &&
	          !job->was_split))
		entry.state = MAP_STARTED;
	else
		entry.state = MAP_PARTLY;
	return entry;
}

/* What has not been read again yet is still as the owner before left it. */
static bool add_inherited(const struct partition *p, struct map *ret)
{
	const struct map *inherited = &p->inherited;

	for (size_t i = 0; i < inherited->count; i++)
		if (inherited->entries[i].offset >= p->ledger.next &&
		    !map_add(ret, &inherited->entries[i]))
			return false;
	return true;
}

bool partition_is_replied(const struct job *job, bool staged)
{
	return job->partition->engine->policy->exactly_once && job_is_replied(job, staged);
}

void partition_coarsen(struct map *map)
{
	for (size_t i = 0; i < map->count; i++)
		if (map->entries[i].state == MAP_PARTLY)
			map->entries[i].state = MAP_STARTED;
}

bool partition_map(const struct partition *p, bool staged, struct map *ret)
{
	const struct ledger_entry *open;
	bool has_base = false;

	map_init(ret, p->ledger.next);
	for (open = ledger_first(&p->ledger); open; open = ledger_after(&p->ledger, open)) {
		const struct job *job = (const struct job *)open;
		struct map_entry entry;

		if (partition_is_replied(job, staged))
			continue;
		if (!has_base)
			ret->base = ret->end = open->offset;
		has_base = true;
		if (open->offset >= p->begun_end)
			break;
		entry = describe(job);
		if (!map_add(ret, &entry))
			return false;
	}
	if (ret->end < p->begun_end)
		ret->end = p->begun_end;
	return add_inherited(p, ret);
}

struct partition *partition_find(const struct engine *e, int32_t number)
{
	struct partition *p;

	HASH_FIND(hh, e->partitions, &number, sizeof(number), p);
	return p;
}

static void forget_unsent(struct engine *e, struct invite *invite)
{
	departure_cancel(e, invite);
	scheduler_forget(e, invite);
}

/* A request that was sent goes on, but its answer will change nothing. One that was not will never
 * be. */
static void orphan_invite(struct engine *e, struct call *call)
{
	struct invite *invite = call->invite;

	call->invite = NULL;
	call->state = CALL_IDLE;
	if (invite->state != INVITE_IN_FLIGHT) {
		forget_unsent(e, invite);
		return;
	}
	if (invite->successor)
		forget_unsent(e, invite->successor);
	invite->successor = NULL;
	invite->call = NULL;
	invite->batch.n = 0;
}

static void drop_look(struct engine *e, struct call *call)
{
	slots_remove(&e->looks, call->doubt->look_id);
	call->doubt->look_id = SLOTS_NONE;
	call->state = CALL_IDLE;
	application_end(e, application_of(e, call));
}

static void drop_write(struct engine *e, const struct write *write)
{
	if (write->id != SLOTS_NONE)
		slots_remove(&e->writes, write->id);
}

static void drop_response(struct engine *e, const struct response *response)
{
	if (!response)
		return;
	drop_write(e, &response->reply);
	drop_write(e, &response->dead_letter);
}

void partition_free(struct engine *e, struct partition *p)
{
	struct call *call;
	size_t at = 0;

	for (call = table_next(&p->calls, &at); call; call = table_next(&p->calls, &at)) {
		if (call->invite)
			orphan_invite(e, call);
		if (call->doubt && call->doubt->look_id != SLOTS_NONE)
			drop_look(e, call);
		call_free(e, call);
	}
	while (p->ledger.count > 0) {
		struct job *job = (struct job *)ledger_first(&p->ledger);

		ledger_settle(&p->ledger, &job->entry);
		drop_response(e, job->response);
		metrics_add(e->metrics, METRIC_jobs_open, -1);
		job_free(job);
	}
	if (p->is_paused)
		metrics_add(e->metrics, METRIC_partitions_paused, -1);
	HASH_DEL(e->partitions, p);
	discard(p);
}

/* True when the map might not fit, or not be half empty ('part' 2): it is dense as far as the
 * window reaches, and a short list of open commands however far they reach. */
static bool is_map_full(const struct partition *p, int64_t part)
{
	return ledger_span(&p->ledger) >= window_of(p) / part &&
	       (int64_t)p->ledger.count >= SPARSE_COMMANDS / part;
}

void partition_balance(struct engine *e, struct partition *p)
{
	size_t commands = p->ledger.count;
	bool is_full = commands >= e->policy->commands_per_partition || is_map_full(p, 1);
	bool has_room = commands <= e->policy->commands_per_partition / 2 && !is_map_full(p, 2);

	if (p->state == PARTITION_STOPPED || (p->is_paused ? !has_room : !is_full))
		return;
	p->is_paused = !p->is_paused;
	metrics_add(e->metrics, METRIC_partitions_paused, p->is_paused ? 1 : -1);
	trace(e, "p%d %s", p->number, p->is_paused ? "paused" : "resumed");
	effects_fetch(&e->effects, p->number, p->is_paused);
}

void partition_activate(struct job *job)
{
	struct partition *p = job->partition;

	if (job->is_active)
		return;
	job->is_active = true;
	p->n_active++;
	if (job->entry.offset >= p->begun_end)
		p->begun_end = job->entry.offset + 1;
}

void partition_deactivate(struct job *job)
{
	if (!job->is_active)
		return;
	job->is_active = false;
	job->partition->n_active--;
}

/* What is in doubt the next owner can judge as well; what was sent, and what is half done, should
 * end here. */
static bool is_going_on(const struct job *job)
{
	return job->call->state == CALL_BUSY ? job_is_started(job)
	                                     : job_is_started(job) && !job_has_doubt(job);
}

void partition_leave(struct job *job)
{
	if (job->partition->state != PARTITION_REVOKING || is_going_on(job))
		return;
	if (job_has_doubt(job))
		job->call->doubts--;
	partition_deactivate(job);
	call_dequeue(job->call, job);
	job->state = JOB_ABANDONED;
}

void partition_leave_call(struct call *call)
{
	struct job *job, *next;

	if (call->partition->state != PARTITION_REVOKING)
		return;
	for (job = call_first(call); job; job = next) {
		next = call_after(call, job);
		partition_leave(job);
	}
}

void partition_revoke(struct engine *e, struct partition *p)
{
	struct call *call;
	size_t at = 0;

	if (p->state == PARTITION_REVOKING || p->was_quiet)
		return;
	/* Nothing of it goes on, and nothing of it may ever be committed. */
	if (p->state == PARTITION_STOPPED) {
		p->was_quiet = true;
		effects_quiet(&e->effects, p->number);
		return;
	}
	p->state = PARTITION_REVOKING;
	trace(e, "p%d is to be given back", p->number);
	for (call = table_next(&p->calls, &at); call; call = table_next(&p->calls, &at)) {
		successor_drop(e, call);
		if (call->invite && call->invite->state == INVITE_DEPARTING) {
			settle_unsent(e, call->invite);
			continue;
		}
		partition_leave_call(call);
		if (call->state != CALL_BUSY)
			call_update(e, call);
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
