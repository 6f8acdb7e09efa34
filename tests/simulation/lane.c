/* Plain commits, marks and the lease: see worker/io/committer.h. */
#include "simulation/ink.h"
#include "simulation/lane.h"
#include "simulation/member.h"

#include <stdlib.h>

/* A grant that rode in a transaction needs so much of the lease. */
#define LEASE_REST_US INT64_C(2000000)

/* A plain commit on its way, and its answer. */
struct message {
	struct broker_caller caller;
	uint64_t opaque;
	struct broker_position positions[PLAN_PARTITIONS];
	size_t n;
	struct shell *shell;
	uint32_t life;
	bool is_answered; /* Its answer comes back */
};

static bool is(const struct shell *s, enum mutant mutant)
{
	return s->world->plan.mutant == mutant;
}

static void add(struct marks *marks, const struct mark *mark)
{
	CHECK(marks->n < SHELL_MARKS);
	marks->items[marks->n++] = *mark;
}

static void move(struct marks *from, struct marks *to)
{
	for (size_t i = 0; i < from->n; i++)
		add(to, &from->items[i]);
	from->n = 0;
}

static void schedule(struct shell *s);

static void grant(struct shell *s, struct marks *marks)
{
	struct marks granted = *marks;

	marks->n = 0;
	for (size_t i = 0; i < granted.n; i++)
		shell_feed(s, (struct event){ .type = EVENT_MARKED,
		                              .invite_id = granted.items[i].invite_id });
}

static void grant_blindly(struct world *w, const struct task *task)
{
	(void)w;
	grant(task->shell, &task->shell->lane.waiting);
}

void lane_reset(struct shell *s)
{
	uint64_t last = s->lane.last_opaque;

	s->lane = (struct lane){ .last_opaque = last, .lease_from_us = INT64_MIN / 2 };
}

void lane_mark(struct shell *s, int32_t partition, uint64_t invite_id)
{
	add(&s->lane.waiting, &(struct mark){ invite_id, partition });
	if (is(s, MUTANT_NO_MARK))
		shell_after(s, 100, (struct task){ .run = grant_blindly });
	else
		schedule(s);
}

static void forget_marks(struct marks *marks, int32_t partition)
{
	size_t kept = 0;

	for (size_t i = 0; i < marks->n; i++)
		if (marks->items[i].partition != partition)
			marks->items[kept++] = marks->items[i];
	marks->n = kept;
}

void lane_forget(struct shell *s, int32_t partition)
{
	forget_marks(&s->lane.waiting, partition);
	forget_marks(&s->lane.staged, partition);
	for (size_t i = 0; i < 2; i++)
		forget_marks(&s->lane.commits[i].riding, partition);
}

bool lane_may_send(const struct shell *s)
{
	const struct lane *l = &s->lane;
	bool has_lease = s->world->now_us < l->lease_from_us + LEASE_US;

	if (is(s, MUTANT_NO_MARK))
		return true;
	return !s->is_lost && !l->is_broken && (has_lease || is(s, MUTANT_NO_LEASE));
}

bool lane_is_idle(const struct shell *s)
{
	return s->lane.commits[0].opaque == 0 && s->lane.commits[1].opaque == 0;
}

static void report_broken(struct world *w, const struct task *task)
{
	(void)w;
	if (task->shell->epoch == (uint32_t)task->a)
		member_lose(task->shell, "the lane is broken");
}

static void break_lane(struct shell *s, const char *why)
{
	if (s->lane.is_broken)
		return;
	world_tell(s->world, s, "has a broken lane: %s", why);
	s->lane.is_broken = true;
	shell_after(s, 100, (struct task){ .run = report_broken, .a = s->epoch });
}

static struct lane_commit *find(struct shell *s, uint64_t opaque)
{
	for (size_t i = 0; i < 2; i++)
		if (s->lane.commits[i].opaque == opaque)
			return &s->lane.commits[i];
	return NULL;
}

/* What is waited for has ended: a transaction may have the lane, or a flush is done. */
static void go_on(struct shell *s)
{
	struct lane *l = &s->lane;

	if (!lane_is_idle(s))
		return;
	if (l->is_wanted && !l->is_exclusive) {
		l->is_wanted = false;
		l->is_exclusive = true;
		move(&l->waiting, &l->staged);
		ink_granted(s);
	}
	member_flushed(s);
	schedule(s);
}

static void take_answer(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	enum broker_error error = (enum broker_error)task->b;
	struct lane_commit *c = find(s, (uint64_t)task->a);
	struct lane_commit ended;

	if (is(s, MUTANT_LATE_ACK))
		c = s->lane.commits[0].opaque ? &s->lane.commits[0] : NULL;
	if (!c)
		return;
	if (error != BROKER_OK) {
		break_lane(s, broker_error_text(error));
		return;
	}
	ended = *c;
	*c = (struct lane_commit){ 0 };
	s->lane.lease_from_us = is(s, MUTANT_LEASE_FROM_ACK) ? w->now_us : ended.asked_us;
	world_tell(w, s, "has commit %llu", (unsigned long long)ended.opaque);
	grant(s, &ended.riding);
	go_on(s);
}

static void land(struct world *w, const struct task *task)
{
	const struct message *m = task->data;
	struct shell *s = m->shell;
	enum broker_error error = broker_commit(w, &m->caller, m->positions, m->n);

	world_tell(w, NULL, "broker: commit %llu of w%u %s", (unsigned long long)m->opaque,
	           m->caller.slot, error == BROKER_OK ? "lands" : broker_error_text(error));
	if (m->is_answered && s->is_up && s->life == m->life)
		shell_after(s, shell_distance(s),
		            (struct task){
		                .run = take_answer, .a = (int64_t)m->opaque, .b = (int64_t)error });
}

static void launch(struct world *w, const struct message *m, int64_t delay_us, bool is_answered)
{
	struct message *copy = malloc(sizeof(*copy));

	CHECK(copy);
	*copy = *m;
	copy->is_answered = is_answered;
	world_after(w, delay_us, (struct task){ .run = land, .data = copy });
}

/* The connection breaks somewhere: the client sends the request again, and copies stay behind. */
static void launch_badly(struct world *w, const struct message *m)
{
	chronicle_fault(&w->chronicle, "commit", w->now_us, w->now_us + 4 * RESEND_US);
	switch (world_below(w, 5)) {
	case 0: /* Slow */
		launch(w, m, world_between(w, 10000, RESEND_US), true);
		break;
	case 1: /* The answer is lost */
		launch(w, m, world_between(w, 100, 2000), false);
		launch(w, m, RESEND_US + world_between(w, 0, 1000), true);
		break;
	case 2: /* Held on the dead connection */
		launch(w, m, world_between(w, 10000, 4 * RESEND_US), false);
		launch(w, m, RESEND_US + world_between(w, 0, 1000), true);
		break;
	case 3: /* Lost */
		launch(w, m, RESEND_US + world_between(w, 0, 1000), true);
		break;
	default: /* It has landed, and its answer is slow */
		launch(w, m, world_between(w, COMMIT_DEADLINE_US, RESEND_US), true);
		break;
	}
}

static void deadline(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct lane_commit *c = find(s, (uint64_t)task->a);

	(void)w;
	if (!c || is(s, MUTANT_OLD_MAP))
		return;
	if (is(s, MUTANT_LATE_ACK)) {
		move(&c->riding, &s->lane.waiting);
		*c = (struct lane_commit){ 0 };
		go_on(s);
		return;
	}
	break_lane(s, "no answer in time");
}

/* Partitions of which marks wait, or all. False when there is nothing to say. */
static bool collect(struct shell *s, struct lane_commit *c, bool all, struct message *m)
{
	struct lane *l = &s->lane;
	bool staged = is(s, MUTANT_EARLY_STORED);

	for (int32_t p = 0; p < PLAN_PARTITIONS; p++) {
		bool is_due = all;

		for (size_t i = 0; i < l->waiting.n; i++)
			is_due = is_due || l->waiting.items[i].partition == p;
		if (!is_due || !s->owned[p].is_owned ||
		    !shell_map(s, p, staged, &m->positions[m->n]))
			continue;
		m->n++;
		for (size_t i = 0; i < l->waiting.n; i++)
			if (l->waiting.items[i].partition == p)
				add(&c->riding, &l->waiting.items[i]);
		forget_marks(&l->waiting, p);
	}
	return m->n > 0;
}

static void send_commit(struct shell *s, struct lane_commit *c, bool all)
{
	struct world *w = s->world;
	struct message m = { .caller = shell_caller(s), .shell = s, .life = s->life };
	int64_t distance_us;

	*c = (struct lane_commit){ 0 };
	if (!collect(s, c, all, &m))
		return;
	m.opaque = ++s->lane.last_opaque;
	c->opaque = m.opaque;
	c->asked_us = w->now_us;
	for (size_t i = 0; i < m.n; i++)
		world_tell(w, s, "commits p%d@%lld %s (%llu)", m.positions[i].partition,
		           (long long)m.positions[i].offset, m.positions[i].metadata,
		           (unsigned long long)m.opaque);
	shell_after(s, COMMIT_DEADLINE_US,
	            (struct task){ .run = deadline, .a = (int64_t)m.opaque });
	distance_us = shell_distance(s);
	if (distance_us != PLAN_NEVER && world_is_faulty(w) &&
	    world_chance(w, w->plan.commit_faults))
		launch_badly(w, &m);
	else if (distance_us != PLAN_NEVER)
		launch(w, &m, distance_us, true);
}

/* The tick: one commit for all marks that wait. */
static void run(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct lane *l = &s->lane;
	struct lane_commit *c = &l->commits[0];

	(void)w;
	l->is_scheduled = false;
	if (l->is_broken || l->waiting.n == 0 || (l->is_exclusive && !is(s, MUTANT_MIXED_LANE)) ||
	    (s->client != CLIENT_MEMBER && s->client != CLIENT_RELEASING))
		return;
	if (c->opaque && is(s, MUTANT_OVERLAP))
		c = &l->commits[1];
	if (c->opaque)
		return;
	send_commit(s, c, false);
}

static void schedule(struct shell *s)
{
	if (s->lane.is_scheduled || s->lane.waiting.n == 0)
		return;
	s->lane.is_scheduled = true;
	shell_after(s, world_between(s->world, 0, 1000), (struct task){ .run = run });
}

static void have_lane(struct world *w, const struct task *task)
{
	(void)w;
	if (!task->shell->lane.is_broken)
		go_on(task->shell);
}

void lane_begin(struct shell *s)
{
	s->lane.is_wanted = true;
	if (is(s, MUTANT_MIXED_LANE)) {
		s->lane.is_wanted = false;
		s->lane.is_exclusive = true;
		ink_granted(s);
		return;
	}
	shell_after(s, 10, (struct task){ .run = have_lane });
}

void lane_end(struct shell *s, bool committed, bool unclear)
{
	struct lane *l = &s->lane;
	bool has_lease;

	l->is_exclusive = false;
	if (unclear) {
		break_lane(s, "the end of a transaction is unclear");
		return;
	}
	has_lease = s->world->now_us + LEASE_REST_US < l->lease_from_us + LEASE_US;
	if ((committed && has_lease) || is(s, MUTANT_ABORT_GRANTS))
		grant(s, &l->staged);
	else
		move(&l->staged, &l->waiting);
	go_on(s);
}

static void flush(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;

	(void)w;
	if (s->client != CLIENT_RELEASING || !s->is_flushing || s->lane.is_broken)
		return;
	if (!lane_is_idle(s) || s->lane.is_exclusive) {
		shell_after(s, 1000, (struct task){ .run = flush });
		return;
	}
	if (s->lane.is_touched)
		send_commit(s, &s->lane.commits[0], true);
	s->lane.is_touched = false;
	if (lane_is_idle(s))
		member_flushed(s);
}

void lane_flush(struct shell *s)
{
	shell_after(s, 100, (struct task){ .run = flush });
}
