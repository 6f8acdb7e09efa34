/* Replies and offsets in one transaction: see worker/io/transaction.h. */
#include "simulation/ink.h"
#include "simulation/lane.h"
#include "simulation/member.h"

#include <stdlib.h>
#include <string.h>

/* A call to the broker that takes longer has an unclear end. */
#define CALL_DEADLINE_US INT64_C(3000000)

/* A producer that is made anew, and one whose open transaction must be aborted first. */
#define RENEW_US       INT64_C(10000)
#define RENEW_ABORT_US INT64_C(500000)

enum call { CALL_PRODUCE, CALL_STAGE, CALL_COMMIT, CALL_ABORT };

struct message {
	enum call call;
	struct broker_caller caller;
	uint64_t attempt;
	struct told_reply replies[SHELL_WRITES];
	size_t n_replies;
	struct broker_position positions[PLAN_PARTITIONS];
	size_t n_positions;
	struct shell *shell;
	uint32_t life;
	bool is_answered;
};

static bool is(const struct shell *s, enum mutant mutant)
{
	return s->world->plan.mutant == mutant;
}

static void kick(struct shell *s);
static void renew(struct shell *s);
static void finish(struct shell *s);
static void fail(struct shell *s, const char *why);

/* Writes that were in the transaction leave the list. */
static void drop_taken(struct shell *s)
{
	struct ink *ink = &s->ink;

	ink->n_writes -= ink->n_taken;
	memmove(ink->writes, ink->writes + ink->n_taken, ink->n_writes * sizeof(*ink->writes));
	ink->n_taken = 0;
}

static void call_broker(struct world *w, const struct message *m, enum broker_error *ret)
{
	struct broker_caller caller = m->caller;

	switch (m->call) {
	case CALL_PRODUCE:
		*ret = broker_produce(w, &caller, m->replies, m->n_replies);
		break;
	case CALL_STAGE:
		if (is(m->shell, MUTANT_FRESH_METADATA)) {
			caller.member = m->shell->member;
			caller.generation = m->shell->generation;
		}
		*ret = broker_stage(w, &caller, m->positions, m->n_positions);
		break;
	case CALL_COMMIT:
	case CALL_ABORT:
		*ret = broker_end(w, &caller, m->call == CALL_COMMIT);
		break;
	}
}

static void answered(struct world *w, const struct task *task);

static void land(struct world *w, const struct task *task)
{
	static const char *const names[] = { "produces", "stages", "ends", "aborts" };
	const struct message *m = task->data;
	struct shell *s = m->shell;
	enum broker_error error = BROKER_OK;

	call_broker(w, m, &error);
	world_tell(w, NULL, "broker: producer %u.%u %s: %s", m->caller.slot, m->caller.epoch,
	           names[m->call], broker_error_text(error));
	if (m->is_answered && s->is_up && s->life == m->life)
		shell_after(s, shell_producer_distance(s),
		            (struct task){
		                .run = answered, .a = (int64_t)m->attempt, .b = (int64_t)error });
}

static void launch(struct world *w, const struct message *m, int64_t delay_us, bool is_answered)
{
	struct message *copy = malloc(sizeof(*copy));

	CHECK(copy);
	*copy = *m;
	copy->is_answered = is_answered;
	world_after(w, delay_us, (struct task){ .run = land, .data = copy });
}

static void launch_badly(struct world *w, const struct message *m)
{
	chronicle_fault(&w->chronicle, "transaction", w->now_us, w->now_us + 4 * RESEND_US);
	switch (world_below(w, 4)) {
	case 0: /* Slow */
		launch(w, m, world_between(w, 10000, 2 * CALL_DEADLINE_US), true);
		break;
	case 1: /* The answer is lost */
		launch(w, m, world_between(w, 100, 2000), false);
		break;
	case 2: /* A copy lands late */
		launch(w, m, world_between(w, 100, 2000), false);
		launch(w, m, world_between(w, 10000, RESEND_US), false);
		break;
	default: /* Lost, or very late */
		launch(w, m, world_between(w, CALL_DEADLINE_US, 2 * RESEND_US), false);
		break;
	}
}

static void too_late(struct world *w, const struct task *task)
{
	(void)w;
	if (task->shell->ink.attempt == (uint64_t)task->a)
		fail(task->shell, "no answer in time");
}

static void call(struct shell *s, struct message *m)
{
	struct world *w = s->world;
	int64_t distance_us = shell_producer_distance(s);

	m->caller = (struct broker_caller){ .slot = s->number,
		                            .member = s->ink.member,
		                            .generation = s->ink.generation,
		                            .epoch = s->ink.epoch };
	m->attempt = ++s->ink.attempt;
	m->shell = s;
	m->life = s->life;
	shell_after(s, CALL_DEADLINE_US,
	            (struct task){ .run = too_late, .a = (int64_t)m->attempt });
	if (distance_us != PLAN_NEVER && world_is_faulty(w) &&
	    world_chance(w, w->plan.transaction_faults))
		launch_badly(w, m);
	else if (distance_us != PLAN_NEVER)
		launch(w, m, distance_us, true);
}

static void renewed(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	if (s->ink.attempt != (uint64_t)task->a)
		return;
	if (w->now_us < s->cut_us && !s->is_half_cut) {
		shell_after(s, s->cut_us - w->now_us + 1000,
		            (struct task){ .run = renewed, .a = task->a });
		return;
	}
	s->ink.epoch = broker_init_producer(w, s->number);
	s->ink.state = INK_IDLE;
	world_tell(w, s, "has producer %u.%u", s->number, s->ink.epoch);
	if (s->ink.is_resetting) {
		s->ink.is_resetting = false;
		member_released(s);
	}
	kick(s);
}

/* The producer is thrown away and made anew: what it had under way is refused from then on. */
static void renew(struct shell *s)
{
	bool was_open = s->world->broker.producers[s->number].is_open;

	s->ink.state = INK_RENEWING;
	s->ink.n_taken = 0;
	s->ink.attempt++;
	s->lane.is_wanted = false;
	if (is(s, MUTANT_OLD_PRODUCER) && s->ink.epoch > 0) {
		s->ink.state = INK_IDLE;
		if (s->ink.is_resetting) {
			s->ink.is_resetting = false;
			member_released(s);
		}
		return;
	}
	shell_after(s, was_open ? RENEW_ABORT_US : RENEW_US,
	            (struct task){ .run = renewed, .a = (int64_t)s->ink.attempt });
}

void ink_start(struct shell *s)
{
	if (s->ink.epoch == 0 && s->ink.state == INK_IDLE)
		renew(s);
	else
		kick(s);
}

static void unstage(struct shell *s)
{
	shell_feed(s, (struct event){ .type = EVENT_UNSTAGED });
}

/* The transaction cannot end as it should. */
static void fail(struct shell *s, const char *why)
{
	bool has_lane = s->ink.state == INK_STAGING || s->ink.state == INK_ENDING;

	world_tell(s->world, s, "gives up a transaction: %s", why);
	unstage(s);
	renew(s);
	if (has_lane)
		lane_end(s, false, true);
}

static void report_written(struct shell *s)
{
	struct ink *ink = &s->ink;
	uint64_t ids[SHELL_WRITES];
	size_t n = ink->n_taken;

	for (size_t i = 0; i < n; i++)
		ids[i] = ink->writes[i].id;
	drop_taken(s);
	for (size_t i = 0; i < n; i++)
		shell_feed(
		    s, (struct event){ .type = EVENT_WRITTEN, .written = { .write_id = ids[i] } });
}

static void finish(struct shell *s)
{
	s->ink.state = INK_IDLE;
	report_written(s);
	lane_end(s, true, false);
	kick(s);
}

/* True when the other record of its command is not in the transaction. */
static bool is_lone(const struct ink *ink, const struct ink_write *write)
{
	for (size_t i = ink->n_taken; i < ink->n_writes; i++)
		if (ink->writes[i].id == write->with_id || ink->writes[i].with_id == write->id)
			return true;
	return false;
}

static void have_produced(struct shell *s)
{
	struct ink *ink = &s->ink;
	uint64_t ids[SHELL_WRITES];
	size_t n = 0;

	for (size_t i = 0; i < ink->n_taken; i++)
		if (!is(s, MUTANT_LONE_REPLY) || !is_lone(ink, &ink->writes[i]))
			ids[n++] = ink->writes[i].id;
	ink->state = INK_WAITING;
	shell_feed(s, (struct event){ .type = EVENT_STAGED, .staged = { ids, n } });
	lane_begin(s);
}

/* The transaction is aborted, in its due form; its writes stay for the next one. */
static void abort_transaction(struct shell *s, const char *why)
{
	struct message *m = calloc(1, sizeof(*m));

	CHECK(m);
	world_tell(s->world, s, "aborts a transaction: %s", why);
	unstage(s);
	s->ink.state = INK_ABORTING;
	s->ink.n_taken = 0;
	m->call = CALL_ABORT;
	call(s, m);
	free(m);
	lane_end(s, false, false);
}

static void answered(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	enum broker_error error = (enum broker_error)task->b;
	struct message *m;

	if (s->ink.attempt != (uint64_t)task->a)
		return;
	if (error == BROKER_INVALID_EPOCH) {
		fail(s, broker_error_text(error));
	} else if (error != BROKER_OK) {
		abort_transaction(s, broker_error_text(error));
	} else if (s->ink.state == INK_FILLING) {
		have_produced(s);
	} else if (s->ink.state == INK_STAGING) {
		if (world_is_faulty(w) && world_chance(w, w->plan.transaction_faults)) {
			abort_transaction(s, "an error of the broker");
			return;
		}
		m = calloc(1, sizeof(*m));
		CHECK(m);
		s->ink.state = INK_ENDING;
		m->call = CALL_COMMIT;
		call(s, m);
		free(m);
		if (is(s, MUTANT_EARLY_STORED))
			report_written(s);
	} else if (s->ink.state == INK_ENDING) {
		s->ink.attempt++;
		finish(s);
	} else if (s->ink.state == INK_ABORTING) {
		s->ink.attempt++;
		s->ink.state = INK_IDLE;
		kick(s);
	}
}

void ink_granted(struct shell *s)
{
	struct message *m = calloc(1, sizeof(*m));

	CHECK(m && s->ink.state == INK_WAITING);
	s->ink.state = INK_STAGING;
	m->call = CALL_STAGE;
	for (int32_t p = 0; p < PLAN_PARTITIONS; p++)
		if (s->owned[p].is_owned && shell_map(s, p, true, &m->positions[m->n_positions]))
			m->n_positions++;
	for (size_t i = 0; i < m->n_positions; i++)
		world_tell(s->world, s, "stages p%d@%lld %s", m->positions[i].partition,
		           (long long)m->positions[i].offset, m->positions[i].metadata);
	call(s, m);
	free(m);
}

/* Writes of an assignment that is over. */
static void drop_old(struct shell *s)
{
	struct ink *ink = &s->ink;
	size_t kept = 0;

	for (size_t i = 0; i < ink->n_writes; i++)
		if (ink->writes[i].epoch == s->epoch)
			ink->writes[kept++] = ink->writes[i];
	ink->n_writes = kept;
}

/* All that waits, or a part of it. A cut may part a reply from its dead letter, as it does when the
 * broker refuses the letter: the letter may be late then, or lost, but the reply counts. */
static size_t how_many(struct world *w, size_t n)
{
	return world_below(w, 2) ? n : 1 + world_below(w, n);
}

static void begin(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct ink *ink = &s->ink;
	struct message *m;

	ink->is_scheduled = false;
	if (ink->state == INK_IDLE)
		drop_old(s);
	if (ink->state != INK_IDLE || ink->n_writes == 0 || s->lane.is_broken || s->is_lost ||
	    (s->client != CLIENT_MEMBER && s->client != CLIENT_RELEASING))
		return;
	m = calloc(1, sizeof(*m));
	CHECK(m);
	ink->state = INK_FILLING;
	ink->n_taken = how_many(w, ink->n_writes);
	ink->member = s->member;
	ink->generation = s->generation;
	m->call = CALL_PRODUCE;
	for (size_t i = 0; i < ink->n_taken; i++)
		if (ink->writes[i].is_reply)
			m->replies[m->n_replies++] = ink->writes[i].reply;
	world_tell(w, s, "begins a transaction with %zu writes", ink->n_taken);
	call(s, m);
	free(m);
}

static void kick(struct shell *s)
{
	if (s->ink.is_scheduled || s->ink.state != INK_IDLE || s->ink.n_writes == 0)
		return;
	s->ink.is_scheduled = true;
	shell_after(s, world_between(s->world, 10, 5000), (struct task){ .run = begin });
}

void ink_write(struct shell *s, const struct effect_write *write)
{
	struct ink_write *w;

	CHECK(s->ink.n_writes < SHELL_WRITES);
	w = &s->ink.writes[s->ink.n_writes++];
	*w = (struct ink_write){ .id = write->write_id,
		                 .with_id = write->with_id,
		                 .epoch = s->epoch,
		                 .is_reply = write->kind == WRITE_REPLY };
	if (w->is_reply)
		chronicle_read_reply(write->value, &w->reply);
	kick(s);
}

/* The assignment is over: nothing of it may be committed any more. */
void ink_reset(struct shell *s)
{
	struct ink *ink = &s->ink;

	if (is(s, MUTANT_FRESH_METADATA)) {
		member_released(s);
		return;
	}
	ink->n_writes = 0;
	ink->n_taken = 0;
	ink->is_resetting = true;
	if (ink->state == INK_RENEWING)
		return;
	if (ink->state == INK_IDLE && lane_is_idle(s)) {
		ink->is_resetting = false;
		member_released(s);
		return;
	}
	renew(s);
}
