/* Virtual time: see world.h. */
#include "simulation/world.h"

#include "simulation/faults.h"
#include "simulation/producer.h"
#include "simulation/shell.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define START_US   INT64_C(1769860800000000) /* 2026-01-31T12:00:00Z */
#define TOLD_BYTES (64 * 1024 * 1024)
#define TASKS_MAX  200000 /* Of a history that does not come to rest */

/* What may still land is waited for after the last reply. */
#define AFTERMATH_US INT64_C(60000000)

uint64_t world_below(struct world *w, uint64_t bound)
{
	return random_below(&w->random, bound);
}

int64_t world_between(struct world *w, int64_t least_us, int64_t most_us)
{
	return least_us + (int64_t)world_below(w, (uint64_t)(most_us - least_us) + 1);
}

bool world_chance(struct world *w, unsigned per_mille)
{
	return world_below(w, 1000) < per_mille;
}

bool world_is_faulty(const struct world *w)
{
	return w->plan.has_faults && w->now_us < FAULTS_US;
}

instant_t world_now(const struct world *w)
{
	return (instant_t){ w->now_us };
}

wall_t world_wall(const struct world *w)
{
	return (wall_t){ START_US + w->now_us };
}

void world_tell(struct world *w, const struct shell *shell, const char *format, ...)
{
	va_list args;
	char line[1024];

	if (!w->is_told)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buffer_printf(&w->told, "[%9.3f] ", (double)w->now_us / 1000);
	if (shell)
		buffer_printf(&w->told, "w%u ", shell->number);
	buffer_printf(&w->told, "%s\n", line);
}

static bool comes_first(const struct task *a, const struct task *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void push(struct world *w, struct task task)
{
	size_t i = w->n_heap++;

	if (w->n_heap > w->heap_capacity) {
		w->heap_capacity = w->heap_capacity ? w->heap_capacity * 2 : 64;
		w->heap = realloc(w->heap, w->heap_capacity * sizeof(*w->heap));
		CHECK(w->heap);
	}
	for (; i > 0 && comes_first(&task, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = task;
}

static struct task pop(struct world *w)
{
	struct task first = w->heap[0];
	struct task last = w->heap[--w->n_heap];
	size_t i = 0;

	for (size_t child = 1; child < w->n_heap; child = 2 * i + 1) {
		if (child + 1 < w->n_heap && comes_first(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!comes_first(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->n_heap > 0)
		w->heap[i] = last;
	return first;
}

void world_after(struct world *w, int64_t delay_us, struct task task)
{
	if (delay_us == PLAN_NEVER) {
		free(task.data);
		return;
	}
	task.at_us = w->now_us + delay_us;
	task.order = ++w->n_tasks;
	push(w, task);
}

static void mix(struct world *w, int64_t value)
{
	w->hash = (w->hash ^ (uint64_t)value) * UINT64_C(1099511628211);
	w->hash ^= w->hash >> 29;
}

static void crash_as_planned(struct world *w)
{
	w->n_run++;
	for (size_t i = 0; i < PLAN_FORCED; i++)
		if (w->plan.forced[i].at_task == w->n_run)
			faults_crash(w, w->plan.forced[i].worker, w->plan.forced[i].length_us);
}

static void run_next(struct world *w)
{
	struct task task;
	struct shell *s;

	crash_as_planned(w);
	task = pop(w);
	s = task.shell;

	if (s && task.life == s->life && s->is_up && task.at_us < s->resume_us) {
		task.at_us = s->resume_us + world_between(w, 0, 3000);
		push(w, task);
		return;
	}
	w->now_us = task.at_us;
	if (!s || (task.life == s->life && s->is_up)) {
		mix(w, task.at_us);
		mix(w, (int64_t)task.order);
		mix(w, task.a);
		mix(w, task.b);
		task.run(w, &task);
	}
	free(task.data);
}

bool world_is_done(const struct world *w)
{
	return w->chronicle.n_commands == w->plan.commands &&
	       w->chronicle.n_replies >= w->plan.commands;
}

static void run_tasks(struct world *w)
{
	int64_t limit_us = FAULTS_US + PATIENCE_US;
	bool is_done = false;

	while (w->n_heap > 0 && w->heap[0].at_us <= limit_us && w->n_tasks < TASKS_MAX) {
		run_next(w);
		if (!is_done && world_is_done(w) && (w->plan.is_small || w->now_us > FAULTS_US)) {
			is_done = true;
			limit_us = w->now_us + AFTERMATH_US;
		}
	}
	w->chronicle.is_stuck = !world_is_done(w);
	w->chronicle.ended_us = w->now_us;
}

void world_run(struct world *w, const struct plan *plan, bool is_told)
{
	*w = (struct world){ .plan = *plan, .is_told = is_told };
	random_init(&w->random, plan->seed);
	w->hash = UINT64_C(14695981039346656037);
	buffer_init(&w->told, TOLD_BYTES);
	chronicle_init(&w->chronicle, &w->plan);
	w->plan.policy.trace = is_told;
	broker_init(w);
	for (unsigned i = 0; i < plan->workers; i++) {
		w->shells[i] = calloc(1, sizeof(*w->shells[i]));
		CHECK(w->shells[i]);
		shell_init(w->shells[i], w, i);
	}
	producer_schedule(w);
	faults_schedule(w);
	run_tasks(w);
}

void world_close(struct world *w)
{
	for (unsigned i = 0; i < w->plan.workers; i++) {
		shell_close(w->shells[i]);
		free(w->shells[i]);
	}
	while (w->n_heap > 0)
		free(pop(w).data);
	free(w->heap);
	broker_close(&w->broker);
	cloud_close(&w->cloud);
	chronicle_close(&w->chronicle);
	buffer_close(&w->told);
}
