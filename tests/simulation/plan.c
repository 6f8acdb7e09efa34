/* Plans from seeds: see plan.h. */
#include "simulation/plan.h"

static unsigned below(struct random *r, unsigned bound)
{
	return (unsigned)random_below(r, bound);
}

static bool one_in(struct random *r, unsigned n)
{
	return below(r, n) == 0;
}

static void choose_policy(struct plan *plan, struct random *r)
{
	struct policy *p = &plan->policy;

	*p = policy_default();
	p->seed = random_next(r);
	p->max_age.us = 0;
	p->batch_window.us = one_in(r, 3) ? 0 : 20000;
	p->batch_max = one_in(r, 3) ? 1 + below(r, 2) : BATCH_MAX;
	p->call_rate = one_in(r, 2) ? 5 : 1 + below(r, 50);
	p->call_burst = 1 + below(r, 5);
	p->application_rate = one_in(r, 4) ? 1 + below(r, 4) : 20 + below(r, 200);
	p->application_burst = (uint32_t)plan->partitions * (1 + below(r, 5));
	p->max_in_flight = one_in(r, 4) ? 2 : 256;
	p->max_hold.us = one_in(r, 4) ? 20000000 : 300000000;
	p->max_attempts = one_in(r, 4) ? 2 + below(r, 3) : 20;
	p->min_in_flight = 1 + below(r, 8);
	p->breaker_row = one_in(r, 3) ? 1 + below(r, 3) : 10;
	p->settle.us = SETTLE_US;
	p->look_at_operations = !one_in(r, 4);
	p->look_at_roster = !one_in(r, 3);
	p->history = 160;
	p->commands_per_partition = one_in(r, 3) ? 2 + below(r, 4) : 2000;
}

static void choose_faults(struct plan *plan, struct random *r)
{
	plan->has_faults = !one_in(r, 10);
	if (!plan->has_faults)
		return;
	plan->crashes = below(r, 4);
	plan->pauses = below(r, 3);
	plan->cuts = below(r, 3);
	plan->commit_faults = one_in(r, 2) ? below(r, 100) : 0;
	plan->transaction_faults = one_in(r, 2) ? below(r, 100) : 0;
	plan->graph_faults = one_in(r, 2) ? below(r, 300) : 20;
}

/* It shows itself when transactions do not end as they should. */
static bool needs_transactions(enum mutant mutant)
{
	return mutant == MUTANT_UNSTABLE_READ || mutant == MUTANT_ABORT_GRANTS ||
	       mutant == MUTANT_EARLY_STORED || mutant == MUTANT_FRESH_METADATA ||
	       mutant == MUTANT_LONE_REPLY;
}

/* What a mutant needs to show itself soon. */
static void help_mutant(struct plan *plan)
{
	if (plan->mutant == MUTANT_EARLY_RESEND) {
		plan->policy.settle.us = 0;
		plan->policy.look_at_operations = false;
		plan->policy.look_at_roster = false;
		plan->resends = 100;
	} else if (plan->mutant == MUTANT_NO_SETTLE) {
		plan->policy.settle.us = 0;
		plan->resends = 0;
	} else if (needs_transactions(plan->mutant)) {
		plan->has_faults = true;
		plan->transaction_faults = 300;
		plan->crashes = 12;
		plan->cancels = 0;
		plan->policy.batch_window.us = 0;
		plan->policy.call_rate = 50;
		plan->policy.dead_letter_failed |= plan->mutant == MUTANT_LONE_REPLY;
	} else if (plan->mutant == MUTANT_WHOLE_RATE) {
		plan->policy.application_rate = 1;
		plan->policy.application_burst = plan->partitions;
		plan->policy.max_hold.us = 300000000;
		plan->has_scaling = true;
	} else if (plan->mutant == MUTANT_NO_EPOCH) {
		plan->has_faults = true;
		plan->graph_faults = 500;
	}
}

void plan_make(struct plan *plan, uint64_t seed, enum mutant mutant)
{
	struct random r;

	random_init(&r, seed * UINT64_C(0x9e3779b97f4a7c15) + 1);
	*plan = (struct plan){ .seed = seed, .mutant = mutant };
	plan->workers = 2 + below(&r, PLAN_WORKERS - 1);
	plan->partitions = 1 + below(&r, PLAN_PARTITIONS);
	plan->calls = 1 + below(&r, PLAN_CALLS);
	plan->commands = 3 + below(&r, one_in(&r, 4) ? PLAN_COMMANDS - 2 : 10);
	plan->produce_us = one_in(&r, 3) ? 20000 : 15000000;
	plan->has_scaling = one_in(&r, 3);
	plan->gaps = one_in(&r, 2) ? below(&r, 60) : 0;
	plan->splits = below(&r, 40);
	plan->duplicates = one_in(&r, 2) ? below(&r, 30) : 0;
	plan->resends = one_in(&r, 2) ? below(&r, 100) : 0;
	plan->expiries = one_in(&r, 3) ? below(&r, 40) : 0;
	plan->rejects = one_in(&r, 3) ? below(&r, 30) : 0;
	choose_faults(plan, &r);
	choose_policy(plan, &r);
	plan->cancels = one_in(&r, 3) ? below(&r, 40) : 0;
	plan->policy.dead_letter_failed = one_in(&r, 4);
	help_mutant(plan);
}

void plan_make_small(struct plan *plan, uint64_t seed)
{
	*plan = (struct plan){ .seed = seed,
		               .workers = 2,
		               .partitions = 1,
		               .calls = 1,
		               .commands = 3,
		               .produce_us = 40000,
		               .cancels = seed % 2 == 0 ? 60 : 0,
		               .is_small = true };
	plan->policy = policy_default();
	plan->policy.max_age.us = 0;
	plan->policy.batch_window.us = 0;
	plan->policy.batch_max = 1;
	plan->policy.history = 160;
}
