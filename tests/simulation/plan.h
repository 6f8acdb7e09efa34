/* What one seed simulates: how many workers and commands, which faults, and the policy. */
#ifndef SIMULATION_PLAN_H
#define SIMULATION_PLAN_H

#include "simulation/mutant.h"

#include "worker/base/random.h"
#include "worker/core/policy.h"

#define PLAN_WORKERS    3
#define PLAN_PARTITIONS 3
#define PLAN_COMMANDS   32
#define PLAN_IDENTITIES 256
#define PLAN_CALLS      4
#define PLAN_NEVER      INT64_MAX

/* Durations of the protocol, as the worker's defaults are. */
#define SESSION_US           INT64_C(10000000)
#define LEASE_US             INT64_C(7000000)
#define HTTP_TIMEOUT_US      INT64_C(10000000)
#define SETTLE_US            INT64_C(20000000)
#define COMMIT_DEADLINE_US   INT64_C(3000000)
#define RESEND_US            INT64_C(10000000) /* retry.backoff.ms */
#define TRANSACTION_US       INT64_C(5000000)
#define DRAIN_US             INT64_C(5000000)
#define REBALANCE_TIMEOUT_US INT64_C(30000000)
#define HEARTBEAT_US         INT64_C(3000000)

/* Faults end by then, and all is replied to so much later. */
#define FAULTS_US   INT64_C(25000000)
#define PATIENCE_US INT64_C(600000000)

/* A crash of the small model: before the so-manieth task. */
struct plan_crash {
	uint64_t at_task; /* 0: none */
	unsigned worker;
	int64_t length_us;
};

#define PLAN_FORCED 2

struct plan {
	uint64_t seed;
	enum mutant mutant;
	unsigned workers, partitions, commands, calls;
	bool has_faults;  /* Otherwise no reply may be `unknown` */
	bool has_scaling; /* Workers come late and leave */
	unsigned crashes, pauses, cuts;
	unsigned commit_faults, transaction_faults, graph_faults; /* In 1,000 requests */
	int64_t produce_us;                                       /* Commands are produced within */
	unsigned gaps, splits, duplicates, resends, expiries, rejects,
	    cancels; /* In 100 commands */
	struct plan_crash forced[PLAN_FORCED];
	bool is_small; /* One command of two requests and some of one, on one call and partition */
	struct policy policy;
};

/* Two workers and three commands, without faults but for those that are forced; the seed gives the
 * order of the messages. */
void plan_make_small(struct plan *plan, uint64_t seed);

/* The plan of a seed. */
void plan_make(struct plan *plan, uint64_t seed, enum mutant mutant);

#endif
