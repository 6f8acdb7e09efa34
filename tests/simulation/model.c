/* A small world, crashed at every point: two workers, three commands, of which the first takes two
 * requests.
 *
 * Usage: simulation_model [ORDERS]
 *
 * Its bounds: for each of ORDERS orders of the messages (one a seed), every history with one crash
 * of either worker before any task, and every history with a second one before any of the next
 * SECOND_TASKS tasks; a crashed worker comes back at once or when its session is over. A crash
 * falls between tasks: a step of the engine and its effects are one. */
#include "simulation/checker.h"
#include "simulation/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDERS       8
#define SECOND_TASKS 40

static const int64_t lengths_us[] = { 1000, SESSION_US + INT64_C(5000000) };

struct count {
	uint64_t histories, broken;
};

/* The number of tasks of the history. */
static uint64_t run(const struct plan *plan, struct count *count)
{
	struct world w;
	struct verdict v;
	uint64_t n;

	world_run(&w, plan, false);
	checker_judge(&w.chronicle, &v);
	n = w.n_run;
	count->histories++;
	if (v.n > 0 && count->broken++ == 0)
		printf("order %" PRIu64 ", w%u before task %" PRIu64 " for %" PRId64
		       " us, w%u before task %" PRIu64 " for %" PRId64 " us: %s: %s\n",
		       plan->seed, plan->forced[0].worker, plan->forced[0].at_task,
		       plan->forced[0].length_us, plan->forced[1].worker, plan->forced[1].at_task,
		       plan->forced[1].length_us, rule_text(v.findings[0].rule),
		       v.findings[0].what);
	world_close(&w);
	return n;
}

/* Both workers and both lengths: four ways to crash. */
static struct plan_crash crash(uint64_t at_task, unsigned way)
{
	return (struct plan_crash){ at_task, way & 1, lengths_us[way >> 1] };
}

static void crash_again(struct plan *plan, uint64_t tasks, struct count *count)
{
	uint64_t first = plan->forced[0].at_task;

	for (uint64_t at = first + 1; at <= tasks && at <= first + SECOND_TASKS; at++) {
		for (unsigned way = 0; way < 4; way++) {
			plan->forced[1] = crash(at, way);
			run(plan, count);
		}
	}
	plan->forced[1] = (struct plan_crash){ 0 };
}

static void explore(uint64_t order, struct count *count)
{
	struct plan plan;
	uint64_t tasks;

	plan_make_small(&plan, order);
	tasks = run(&plan, count);
	for (uint64_t at = 1; at <= tasks; at++) {
		for (unsigned way = 0; way < 4; way++) {
			plan.forced[0] = crash(at, way);
			crash_again(&plan, run(&plan, count), count);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t orders = argc > 1 ? strtoull(argv[1], NULL, 10) : ORDERS;
	struct count count = { 0 };

	for (uint64_t order = 1; order <= orders; order++)
		explore(order, &count);
	printf("%" PRIu64 " orders, %" PRIu64 " histories, %" PRIu64 " broken\n", orders,
	       count.histories, count.broken);
	return count.broken == 0 ? 0 : 1;
}
