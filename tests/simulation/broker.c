/* The group, its offsets and its transactions: see broker.h. */
#include "simulation/broker.h"

#include "simulation/member.h"

#include <stdlib.h>
#include <string.h>

const char *broker_error_text(enum broker_error error)
{
	static const char *const texts[] = {
		[BROKER_OK] = "ok",
		[BROKER_UNKNOWN_MEMBER] = "UNKNOWN_MEMBER_ID",
		[BROKER_FENCED_INSTANCE] = "FENCED_INSTANCE_ID",
		[BROKER_ILLEGAL_GENERATION] = "ILLEGAL_GENERATION",
		[BROKER_INVALID_EPOCH] = "INVALID_PRODUCER_EPOCH",
	};

	return texts[error];
}

void broker_init(struct world *w)
{
	for (unsigned p = 0; p < PLAN_PARTITIONS; p++) {
		struct broker_partition *partition = &w->broker.partitions[p];

		partition->stand.offset = -1;
		partition->owner = -1;
		for (unsigned i = 0; i < PLAN_WORKERS; i++)
			partition->staged[i].offset = -1;
	}
}

void broker_close(struct broker *b)
{
	for (unsigned i = 0; i < PLAN_WORKERS; i++)
		free(b->producers[i].replies);
}

int64_t broker_append(struct world *w, int32_t partition, int command, unsigned gaps)
{
	struct broker_partition *p = &w->broker.partitions[partition];

	CHECK(p->end + gaps < BROKER_OFFSETS);
	for (; gaps > 0; gaps--)
		p->log[p->end++] = (struct broker_record){ -1, w->now_us };
	p->log[p->end] = (struct broker_record){ command, w->now_us };
	return p->end++;
}

/* The group. */

static unsigned count_present(const struct broker *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLAN_WORKERS; i++)
		n += b->members[i].is_present;
	return n;
}

/* As the assignor `range` does: neighbours to the same member. */
static void distribute(struct world *w)
{
	unsigned n = count_present(&w->broker);
	unsigned each = w->plan.partitions / n, rest = w->plan.partitions % n;
	unsigned next = 0;

	for (unsigned slot = 0; slot < PLAN_WORKERS; slot++) {
		unsigned share = each + (rest > 0 ? 1 : 0);

		if (!w->broker.members[slot].is_present)
			continue;
		rest -= rest > 0;
		for (; share > 0; share--)
			w->broker.partitions[next++].owner = (int)slot;
	}
}

static void complete(struct world *w)
{
	struct broker *b = &w->broker;

	b->is_rebalancing = false;
	b->generation++;
	distribute(w);
	world_tell(w, NULL, "broker: generation %u", b->generation);
	for (unsigned i = 0; i < PLAN_WORKERS; i++)
		if (b->members[i].is_present && b->members[i].is_joined)
			member_assign(w, i, b->members[i].id);
}

static void complete_if_all_joined(struct world *w)
{
	struct broker *b = &w->broker;

	if (!b->is_rebalancing || count_present(b) == 0)
		return;
	for (unsigned i = 0; i < PLAN_WORKERS; i++)
		if (b->members[i].is_present && !b->members[i].is_joined)
			return;
	complete(w);
}

/* A static member that has not joined in time is given its partitions all the same. */
static void rebalance_is_late(struct world *w, const struct task *task)
{
	struct broker *b = &w->broker;

	if (b->is_rebalancing && b->rebalances == (uint64_t)task->a && count_present(b) > 0)
		complete(w);
}

static void rebalance(struct world *w)
{
	struct broker *b = &w->broker;

	if (b->is_rebalancing)
		return;
	b->is_rebalancing = true;
	b->rebalances++;
	world_tell(w, NULL, "broker: rebalances");
	for (unsigned i = 0; i < PLAN_WORKERS; i++) {
		b->members[i].is_joined = false;
		if (b->members[i].is_present)
			member_rebalance(w, i);
	}
	world_after(w, REBALANCE_TIMEOUT_US,
	            (struct task){ .run = rebalance_is_late, .a = (int64_t)b->rebalances });
}

static void remove_member(struct world *w, unsigned slot, const char *why)
{
	struct broker *b = &w->broker;

	world_tell(w, NULL, "broker: member %u %s", slot, why);
	b->members[slot] = (struct broker_member){ 0 };
	for (unsigned p = 0; p < w->plan.partitions; p++)
		if (b->partitions[p].owner == (int)slot)
			b->partitions[p].owner = -1;
}

static void beat(struct world *w, unsigned slot, int64_t at_us);

static void session_ends(struct world *w, const struct task *task)
{
	unsigned slot = (unsigned)task->a;
	struct broker_member *m = &w->broker.members[slot];

	if (!m->is_present || !m->is_silent || m->id != (uint64_t)task->b || m->beat_us != task->c)
		return;
	/* Who waits for the others has no session that could end. */
	if (w->broker.is_rebalancing && m->is_joined) {
		beat(w, slot, w->now_us);
		return;
	}
	remove_member(w, slot, "has no session any more");
	if (count_present(&w->broker) > 0 && !w->broker.is_rebalancing)
		rebalance(w);
	complete_if_all_joined(w);
}

/* Its session counts from now on. */
static void beat(struct world *w, unsigned slot, int64_t at_us)
{
	struct broker_member *m = &w->broker.members[slot];

	m->beat_us = at_us > m->beat_us ? at_us : m->beat_us;
	if (m->is_silent)
		world_after(
		    w, m->beat_us + SESSION_US - w->now_us,
		    (struct task){
		        .run = session_ends, .a = slot, .b = (int64_t)m->id, .c = m->beat_us });
}

void broker_fall_silent(struct world *w, unsigned slot, int64_t last_beat_us)
{
	struct broker_member *m = &w->broker.members[slot];

	if (!m->is_present)
		return;
	m->is_silent = true;
	beat(w, slot, last_beat_us);
}

static enum broker_error check_member(const struct broker *b, const struct broker_caller *caller)
{
	const struct broker_member *m = &b->members[caller->slot];

	if (!m->is_present)
		return BROKER_UNKNOWN_MEMBER;
	if (m->id != caller->member)
		return BROKER_FENCED_INSTANCE;
	return BROKER_OK;
}

static enum broker_error check_caller(const struct broker *b, const struct broker_caller *caller)
{
	enum broker_error error = check_member(b, caller);

	if (error == BROKER_OK && caller->generation != b->generation)
		error = BROKER_ILLEGAL_GENERATION;
	return error;
}

void broker_wake(struct world *w, unsigned slot)
{
	w->broker.members[slot].is_silent = false;
	w->broker.members[slot].beat_us = w->now_us;
}

enum broker_error broker_beat(struct world *w, const struct broker_caller *caller)
{
	enum broker_error error = check_caller(&w->broker, caller);

	if (error == BROKER_OK) {
		w->broker.members[caller->slot].is_silent = false;
		beat(w, caller->slot, w->now_us);
	}
	return error;
}

void broker_join(struct world *w, unsigned slot)
{
	struct broker *b = &w->broker;
	struct broker_member *m = &b->members[slot];
	bool was_known = m->is_present;

	m->is_present = true;
	m->is_silent = false;
	m->id = ++b->last_member;
	m->beat_us = w->now_us;
	world_tell(w, NULL, "broker: member %u joins as %llu", slot, (unsigned long long)m->id);
	if (was_known && !b->is_rebalancing) {
		m->is_joined = true;
		member_assign(w, slot, m->id);
		return;
	}
	rebalance(w);
	m->is_joined = true;
	complete_if_all_joined(w);
}

enum broker_error broker_rejoin(struct world *w, const struct broker_caller *caller)
{
	struct broker_member *m = &w->broker.members[caller->slot];
	enum broker_error error = check_member(&w->broker, caller);

	if (error != BROKER_OK)
		return error;
	m->is_silent = false;
	m->beat_us = w->now_us;
	m->is_joined = true;
	if (w->broker.is_rebalancing)
		complete_if_all_joined(w);
	else
		member_assign(w, caller->slot, m->id);
	return BROKER_OK;
}

void broker_leave(struct world *w, const struct broker_caller *caller)
{
	if (check_member(&w->broker, caller) != BROKER_OK)
		return;
	remove_member(w, caller->slot, "leaves");
	if (count_present(&w->broker) > 0 && !w->broker.is_rebalancing)
		rebalance(w);
	complete_if_all_joined(w);
}

/* Offsets. */

static struct broker_stand stand_of(struct broker *b, const struct broker_caller *caller,
                                    const struct broker_position *position)
{
	struct broker_stand stand = { .offset = position->offset,
		                      .order = ++b->appends,
		                      .worker = caller->slot };

	memcpy(stand.metadata, position->metadata, sizeof(stand.metadata));
	return stand;
}

static void put_in_force(struct world *w, int32_t partition, const struct broker_stand *stand)
{
	struct broker_stand *current = &w->broker.partitions[partition].stand;
	struct told_commit *told;

	if (stand->order < current->order)
		return;
	*current = *stand;
	world_tell(w, NULL, "broker: p%d stands at %lld %s", partition, (long long)stand->offset,
	           stand->metadata);
	told = chronicle_commit(&w->chronicle);
	*told = (struct told_commit){ partition, stand->offset, stand->worker, w->now_us };
}

enum broker_error broker_commit(struct world *w, const struct broker_caller *caller,
                                const struct broker_position *positions, size_t n)
{
	enum broker_error error = check_caller(&w->broker, caller);

	if (error != BROKER_OK)
		return error;
	beat(w, caller->slot, w->now_us);
	for (size_t i = 0; i < n; i++) {
		struct broker_stand stand = stand_of(&w->broker, caller, &positions[i]);

		put_in_force(w, positions[i].partition, &stand);
	}
	return BROKER_OK;
}

bool broker_is_stable(const struct broker *b, int32_t partition)
{
	for (unsigned i = 0; i < PLAN_WORKERS; i++)
		if (b->partitions[partition].staged[i].offset >= 0)
			return false;
	return true;
}

bool broker_is_owner(const struct broker *b, int32_t partition, unsigned slot)
{
	return b->partitions[partition].owner == (int)slot;
}

/* Transactions. */

static void end_transaction(struct world *w, unsigned slot, bool commits)
{
	struct broker_producer *producer = &w->broker.producers[slot];

	if (!producer->is_open)
		return;
	producer->is_open = false;
	world_tell(w, NULL, "broker: transaction of %u %s", slot,
	           commits ? "is committed" : "is aborted");
	for (size_t i = 0; commits && i < producer->n_replies; i++) {
		struct told_reply *reply = chronicle_reply(&w->chronicle);

		*reply = producer->replies[i];
		reply->at_us = w->now_us;
		world_tell(w, NULL, "reply p%d@%lld %s", reply->partition, (long long)reply->offset,
		           status_text(reply->status));
	}
	producer->n_replies = 0;
	for (unsigned p = 0; p < w->plan.partitions; p++) {
		struct broker_stand *staged = &w->broker.partitions[p].staged[slot];

		if (commits && staged->offset >= 0)
			put_in_force(w, (int32_t)p, staged);
		staged->offset = -1;
	}
}

uint32_t broker_init_producer(struct world *w, unsigned slot)
{
	end_transaction(w, slot, false);
	return ++w->broker.producers[slot].epoch;
}

static void transaction_is_late(struct world *w, const struct task *task)
{
	struct broker_producer *producer = &w->broker.producers[task->a];

	if (!producer->is_open || producer->opened != (uint64_t)task->b)
		return;
	producer->epoch++;
	end_transaction(w, (unsigned)task->a, false);
}

enum broker_error broker_produce(struct world *w, const struct broker_caller *caller,
                                 const struct told_reply *replies, size_t n)
{
	struct broker_producer *producer = &w->broker.producers[caller->slot];

	if (caller->epoch != producer->epoch)
		return BROKER_INVALID_EPOCH;
	if (!producer->is_open) {
		producer->is_open = true;
		producer->opened++;
		world_after(w, TRANSACTION_US + world_between(w, 0, TRANSACTION_US),
		            (struct task){ .run = transaction_is_late,
		                           .a = caller->slot,
		                           .b = (int64_t)producer->opened });
	}
	producer->replies =
	    realloc(producer->replies, (producer->n_replies + n + 1) * sizeof(*producer->replies));
	CHECK(producer->replies);
	if (n > 0)
		memcpy(producer->replies + producer->n_replies, replies, n * sizeof(*replies));
	producer->n_replies += n;
	return BROKER_OK;
}

enum broker_error broker_stage(struct world *w, const struct broker_caller *caller,
                               const struct broker_position *positions, size_t n)
{
	struct broker_producer *producer = &w->broker.producers[caller->slot];
	enum broker_error error;

	if (caller->epoch != producer->epoch || !producer->is_open)
		return BROKER_INVALID_EPOCH;
	error = check_caller(&w->broker, caller);
	for (size_t i = 0; error == BROKER_OK && i < n; i++)
		w->broker.partitions[positions[i].partition].staged[caller->slot] =
		    stand_of(&w->broker, caller, &positions[i]);
	return error;
}

enum broker_error broker_end(struct world *w, const struct broker_caller *caller, bool commits)
{
	if (caller->epoch != w->broker.producers[caller->slot].epoch)
		return BROKER_INVALID_EPOCH;
	end_transaction(w, caller->slot, commits);
	return BROKER_OK;
}
