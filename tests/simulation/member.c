/* A worker as a member of the group: see shell.h and worker/io/consumer.h.
 *
 *   OUT -> JOINING -> READING -> MEMBER -> RELEASING -> JOINING …
 *
 * A rebalance lets the engine become quiet first; a loss forgets everything at once. In both cases
 * the producer must have nothing open before the group is joined again. */
#include "simulation/ink.h"
#include "simulation/lane.h"
#include "simulation/member.h"

#include <stdlib.h>

/* How long the client takes to notice what it was told. */
#define NOTICE_US 12000

/* How often a read of the group's offsets is repeated while a transaction is open on them. */
#define STABLE_READ_US 100000

/* A message that was lost is sent again after it. */
#define AGAIN_US 1000000

static void send_join(struct world *w, const struct task *task);

/* The task again after a while, unless it came to nothing meanwhile. */
static void again(struct shell *s, void (*run)(struct world *, const struct task *))
{
	shell_after(s, AGAIN_US, (struct task){ .run = run, .a = (int64_t)s->releases });
}

static void arrive_join(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];

	if (!s->is_up || s->life != (uint32_t)task->b || s->releases != (uint64_t)task->c ||
	    s->client != CLIENT_JOINING)
		return;
	broker_join(w, s->number);
	if (w->now_us < s->cut_us || shell_is_paused(s))
		broker_fall_silent(w, s->number, w->now_us);
}

static void send_join(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	if (s->client != CLIENT_JOINING || s->releases != (uint64_t)task->a)
		return;
	world_after(
	    w, shell_distance(s),
	    (struct task){
	        .run = arrive_join, .a = s->number, .b = s->life, .c = (int64_t)s->releases });
	if (w->now_us < s->cut_us)
		again(s, send_join);
}

void member_join(struct shell *s)
{
	s->client = CLIENT_JOINING;
	shell_after(s, world_between(s->world, 100, 5000),
	            (struct task){ .run = send_join, .a = (int64_t)s->releases });
}

static void beat(struct world *w, const struct task *task)
{
	(void)w;
	member_check(task->shell);
}

/* Take over what the group has committed. */
static void accept(struct shell *s, const struct event_offer *offers, size_t n)
{
	struct world *w = s->world;
	uint32_t total = w->plan.mutant == MUTANT_WHOLE_RATE ? (uint32_t)n : w->plan.partitions;

	s->client = CLIENT_MEMBER;
	s->is_lost = false;
	s->epoch++;
	lane_reset(s);
	for (size_t i = 0; i < n; i++) {
		int64_t offset = offers[i].offset;
		int64_t first = offset - (int64_t)s->policy.history;
		struct owned *o = &s->owned[offers[i].partition];

		if (w->plan.mutant == MUTANT_LOST_HISTORY)
			first = offset;
		*o = (struct owned){ .is_owned = true, .position = first > 0 ? first : 0 };
		o->told = -1;
		world_tell(w, s, "takes p%d at %lld %.*s", offers[i].partition, (long long)offset,
		           (int)offers[i].map.size, offers[i].map.data);
	}
	shell_feed(
	    s, (struct event){ .type = EVENT_ASSIGN, .assign = { offers, n, (uint32_t)n, total } });
	for (size_t i = 0; i < n; i++)
		member_fetch(s, offers[i].partition);
	ink_start(s);
	shell_after(s, world_between(w, 0, HEARTBEAT_US), (struct task){ .run = beat });
}

/* What is committed, as it was when it was read. */
struct reading {
	uint64_t member;
	uint32_t generation;
	bool is_ours[PLAN_PARTITIONS];
	struct broker_stand stands[PLAN_PARTITIONS];
};

static bool is_reading(const struct shell *s, const struct reading *r)
{
	return s->client == CLIENT_READING && s->member == r->member &&
	       s->generation == r->generation;
}

static void take_reading(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	const struct reading *r = task->data;
	struct event_offer offers[PLAN_PARTITIONS];
	size_t n = 0;

	if (!is_reading(s, r))
		return;
	for (unsigned p = 0; p < w->plan.partitions; p++)
		if (r->is_ours[p])
			offers[n++] =
			    (struct event_offer){ .partition = (int32_t)p,
				                  .offset = r->stands[p].offset,
				                  .map = bytes_of(r->stands[p].metadata) };
	accept(s, offers, n);
}

static struct task reading_task(void (*run)(struct world *, const struct task *),
                                const struct reading *r)
{
	struct reading *copy = malloc(sizeof(*copy));

	CHECK(copy);
	*copy = *r;
	return (struct task){ .run = run, .data = copy };
}

/* Read where the group stands; not while a transaction is open on it. */
static void read_stands(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct reading r = *(const struct reading *)task->data;
	int64_t distance_us = shell_distance(s);
	bool is_stable = true;

	if (!is_reading(s, &r))
		return;
	for (unsigned p = 0; p < w->plan.partitions; p++) {
		r.stands[p] = w->broker.partitions[p].stand;
		is_stable =
		    is_stable && (!r.is_ours[p] || broker_is_stable(&w->broker, (int32_t)p));
	}
	if ((!is_stable && w->plan.mutant != MUTANT_UNSTABLE_READ) || distance_us == PLAN_NEVER)
		shell_after(s, STABLE_READ_US, reading_task(read_stands, &r));
	else
		shell_after(s, distance_us, reading_task(take_reading, &r));
}

/* The assignment has come. */
static void take_assignment(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct reading *r = task->data;

	if (s->client != CLIENT_JOINING || w->broker.members[s->number].id != r->member)
		return;
	s->client = CLIENT_READING;
	s->member = r->member;
	s->generation = r->generation;
	shell_after(s, world_between(w, 100, 2000), reading_task(read_stands, r));
}

void member_assign(struct world *w, unsigned slot, uint64_t member)
{
	struct shell *s = w->shells[slot];
	struct reading r = { .member = member, .generation = w->broker.generation };
	int64_t distance_us = w->now_us < s->cut_us ? s->cut_us - w->now_us : 0;

	for (unsigned p = 0; p < w->plan.partitions; p++)
		r.is_ours[p] = broker_is_owner(&w->broker, (int32_t)p, slot);
	if (s->is_up)
		shell_after(s, distance_us + world_between(w, 100, 2000),
		            reading_task(take_assignment, &r));
}

/* Records. */

static void give(struct shell *s, int32_t partition, int64_t offset, int command)
{
	struct told_command *told = &s->world->chronicle.commands[command];
	char call[16];
	struct record record = { .topic = bytes_of("invite-commands"),
		                 .partition = partition,
		                 .offset = offset,
		                 .has_key = true,
		                 .value = bytes_of(told->text) };

	CHECK(told->call < 10);
	call[0] = 'c';
	call[1] = (char)('0' + told->call);
	call[2] = '\0';
	record.key = bytes_of(call);
	shell_feed(s, (struct event){ .type = EVENT_RECORD, .record = &record });
}

static void fetch(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	int32_t partition = (int32_t)task->a;
	struct owned *o = &s->owned[partition];
	const struct broker_partition *p = &w->broker.partitions[partition];
	int64_t offset = o->position;

	o->is_fetching = false;
	if (!o->is_owned || o->is_paused || s->client != CLIENT_MEMBER)
		return;
	while (o->position < p->end && p->log[o->position].command < 0)
		o->position++;
	if (o->position < p->end) {
		offset = o->position++;
		give(s, partition, offset, p->log[offset].command);
		member_fetch(s, partition);
	} else if (o->told != o->position) {
		o->told = o->position;
		shell_feed(s, (struct event){ .type = EVENT_POSITION,
		                              .position = { partition, o->position } });
	}
}

void member_fetch(struct shell *s, int32_t partition)
{
	struct owned *o = &s->owned[partition];

	if (!s->is_up || !o->is_owned || o->is_fetching)
		return;
	o->is_fetching = true;
	shell_after(s, world_between(s->world, 10, 1000),
	            (struct task){ .run = fetch, .a = partition });
}

/* Giving back. */

static void send_rejoin(struct world *w, const struct task *task);

static void arrive_rejoin(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];
	struct broker_caller caller;

	if (!s->is_up || s->life != (uint32_t)task->b || s->releases != (uint64_t)task->c ||
	    s->client != CLIENT_JOINING)
		return;
	caller = shell_caller(s);
	if (broker_rejoin(w, &caller) != BROKER_OK)
		broker_join(w, s->number);
	if (w->now_us < s->cut_us || shell_is_paused(s))
		broker_fall_silent(w, s->number, w->now_us);
}

static void send_rejoin(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	if (s->client != CLIENT_JOINING || s->releases != (uint64_t)task->a)
		return;
	world_after(
	    w, shell_distance(s),
	    (struct task){
	        .run = arrive_rejoin, .a = s->number, .b = s->life, .c = (int64_t)s->releases });
	if (w->now_us < s->cut_us)
		again(s, send_rejoin);
}

static void forget_all(struct shell *s)
{
	s->epoch++;
	for (int32_t p = 0; p < PLAN_PARTITIONS; p++) {
		if (!s->owned[p].is_owned)
			continue;
		s->owned[p] = (struct owned){ 0 };
		lane_forget(s, p);
		shell_feed(s, (struct event){ .type = EVENT_FORGET, .partition = p });
	}
}

static void leave_group(struct world *w, const struct task *task)
{
	const struct broker_caller caller = { .slot = (unsigned)task->a,
		                              .member = (uint64_t)task->b };

	broker_leave(w, &caller);
}

/* The producer has nothing open, and no commit is under way. */
void member_released(struct shell *s)
{
	struct world *w = s->world;

	if (s->client != CLIENT_RELEASING)
		return;
	forget_all(s);
	world_tell(w, s, "has given back everything");
	if (s->is_leaving) {
		world_after(
		    w, shell_distance(s),
		    (struct task){ .run = leave_group, .a = s->number, .b = (int64_t)s->member });
		broker_fall_silent(w, s->number, w->now_us);
		shell_close(s);
		return;
	}
	s->client = CLIENT_JOINING;
	shell_after(s, 100,
	            (struct task){ .run = s->is_lost ? send_join : send_rejoin,
	                           .a = (int64_t)s->releases });
}

static void abort_rest(struct shell *s)
{
	s->is_flushing = false;
	ink_reset(s);
}

static void drain_is_late(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	if (s->client != CLIENT_RELEASING || s->releases != (uint64_t)task->a || s->is_flushing)
		return;
	world_tell(w, s, "drained for too long");
	chronicle_fault(&w->chronicle, "drain", w->now_us, w->now_us);
	s->is_flushing = true;
	abort_rest(s);
}

void member_flushed(struct shell *s)
{
	if (s->client == CLIENT_RELEASING && s->is_flushing)
		abort_rest(s);
}

void member_check_quiet(struct shell *s)
{
	if (s->client != CLIENT_RELEASING || s->is_lost || s->is_flushing)
		return;
	for (unsigned p = 0; p < PLAN_PARTITIONS; p++)
		if (s->owned[p].is_owned && !s->owned[p].is_quiet)
			return;
	s->is_flushing = true;
	lane_flush(s);
}

static void give_back(struct shell *s, const char *why)
{
	s->client = CLIENT_RELEASING;
	s->is_flushing = false;
	s->releases++;
	world_tell(s->world, s, "gives everything back: %s", why);
	shell_after(s, DRAIN_US, (struct task){ .run = drain_is_late, .a = (int64_t)s->releases });
	for (int32_t p = 0; p < PLAN_PARTITIONS; p++)
		if (s->owned[p].is_owned)
			shell_feed(s, (struct event){ .type = EVENT_REVOKE, .partition = p });
	member_check_quiet(s);
}

/* The assignment is not ours any more: nothing is finished. */
void member_lose(struct shell *s, const char *why)
{
	if (s->client == CLIENT_OUT || s->client == CLIENT_JOINING ||
	    (s->client == CLIENT_RELEASING && s->is_lost))
		return;
	world_tell(s->world, s, "loses everything: %s", why);
	s->client = CLIENT_RELEASING;
	s->is_lost = true;
	s->releases++;
	forget_all(s);
	ink_reset(s);
}

static void notice_rebalance(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	(void)w;
	if (s->member != (uint64_t)task->a || s->generation != (uint32_t)task->b)
		return;
	if (s->client == CLIENT_MEMBER) {
		give_back(s, "rebalance");
	} else if (s->client == CLIENT_READING) {
		s->releases++;
		s->client = CLIENT_RELEASING;
		member_released(s);
	}
}

void member_rebalance(struct world *w, unsigned slot)
{
	struct shell *s = w->shells[slot];
	int64_t distance_us = w->now_us < s->cut_us ? s->cut_us - w->now_us : 0;

	if (s->is_up)
		shell_after(s, distance_us + world_between(w, 0, HEARTBEAT_US),
		            (struct task){ .run = notice_rebalance,
		                           .a = (int64_t)s->member,
		                           .b = s->generation });
}

static void notice_loss(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	(void)w;
	if (s->member == (uint64_t)task->a)
		member_lose(s, broker_error_text((enum broker_error)task->b));
}

/* The client learns it first; the application is told in its turn. */
void member_check(struct shell *s)
{
	struct world *w = s->world;
	struct broker_caller caller = shell_caller(s);
	enum broker_error error;

	if (w->now_us < s->cut_us || shell_is_paused(s) || s->client == CLIENT_OUT)
		return;
	if (s->client == CLIENT_JOINING) {
		if (w->broker.members[s->number].is_present)
			broker_wake(w, s->number);
		else
			shell_after(s, 100,
			            (struct task){ .run = send_join, .a = (int64_t)s->releases });
		return;
	}
	error = broker_beat(w, &caller);
	if (error == BROKER_OK && w->broker.is_rebalancing)
		member_rebalance(w, s->number);
	if (error != BROKER_OK)
		shell_after(s, world_between(w, 0, NOTICE_US),
		            (struct task){
		                .run = notice_loss, .a = (int64_t)s->member, .b = (int64_t)error });
}

void member_leave(struct shell *s)
{
	if (s->client != CLIENT_MEMBER)
		return;
	s->is_leaving = true;
	give_back(s, "it is stopped");
}
