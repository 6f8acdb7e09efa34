/* Faults from the plan's figures: see faults.h. */
#include "simulation/faults.h"

#include "simulation/member.h"

/* Short ones, and some that outlast a session. */
static int64_t choose_length(struct world *w)
{
	return world_below(w, 2) ? world_between(w, 1000, 2000000)
	                         : world_between(w, 1000000, 40000000);
}

static void start_after(struct world *w, unsigned worker, int64_t delay_us);

static void start(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];

	if (!s->is_up)
		shell_start(s);
	else if (s->is_leaving)
		start_after(w, s->number, DRAIN_US);
}

static void start_after(struct world *w, unsigned worker, int64_t delay_us)
{
	world_after(w, delay_us, (struct task){ .run = start, .a = worker });
}

void faults_crash(struct world *w, unsigned worker, int64_t length_us)
{
	struct shell *s = w->shells[worker];

	if (!s->is_up)
		return;
	chronicle_fault(&w->chronicle, "crash", w->now_us, w->now_us + length_us);
	world_tell(w, s, "crashes for %lld ms", (long long)length_us / 1000);
	shell_crash(s);
	start_after(w, s->number, length_us);
}

static void crash(struct world *w, const struct task *task)
{
	faults_crash(w, (unsigned)task->a, choose_length(w));
}

static void pause_ends(struct world *w, const struct task *task)
{
	(void)w;
	member_check(task->shell);
}

static void pause_worker(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];
	int64_t length_us = choose_length(w);

	if (!s->is_up || shell_is_paused(s))
		return;
	chronicle_fault(&w->chronicle, "pause", w->now_us, w->now_us + length_us);
	world_tell(w, s, "is stopped for %lld ms", (long long)length_us / 1000);
	s->resume_us = w->now_us + length_us;
	broker_fall_silent(w, s->number, w->now_us - world_between(w, 0, HEARTBEAT_US));
	shell_after(s, length_us, (struct task){ .run = pause_ends });
}

static void cut(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];
	int64_t length_us = choose_length(w);

	if (!s->is_up)
		return;
	chronicle_fault(&w->chronicle, "cut", w->now_us, w->now_us + length_us);
	world_tell(w, s, "cannot reach the broker for %lld ms", (long long)length_us / 1000);
	s->cut_us = w->now_us + length_us;
	s->is_half_cut = world_below(w, 2);
	broker_fall_silent(w, s->number, w->now_us - world_between(w, 0, HEARTBEAT_US));
	shell_after(s, length_us, (struct task){ .run = pause_ends });
}

static void leave(struct world *w, const struct task *task)
{
	struct shell *s = w->shells[task->a];

	if (!s->is_up || shell_is_paused(s))
		return;
	member_leave(s);
	start_after(w, s->number, choose_length(w) + DRAIN_US + COMMIT_DEADLINE_US);
}

static void schedule(struct world *w, unsigned n, void (*run)(struct world *, const struct task *))
{
	for (unsigned i = 0; i < n; i++) {
		int64_t after_us = world_between(w, 0, FAULTS_US);
		int64_t worker = (int64_t)world_below(w, w->plan.workers);

		world_after(w, after_us, (struct task){ .run = run, .a = worker });
	}
}

void faults_schedule(struct world *w)
{
	for (unsigned i = 0; i < w->plan.workers; i++)
		start_after(w, i,
		            i > 0 && w->plan.has_scaling ? world_between(w, 0, FAULTS_US)
		                                         : world_between(w, 0, 100000));
	schedule(w, w->plan.crashes, crash);
	schedule(w, w->plan.pauses, pause_worker);
	schedule(w, w->plan.cuts, cut);
	schedule(w, w->plan.has_scaling ? 1 : 0, leave);
}
