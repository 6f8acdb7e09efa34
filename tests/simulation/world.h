/* The simulated world: virtual time, what will happen, a broker, a Graph and some workers.
 *
 * Everything that takes time is a task: a message on its way, a timer. Tasks run in the order of
 * their time. One that is for a worker waits while the worker is paused, and is dropped when the
 * worker has crashed. The same plan gives the same history. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "simulation/broker.h"
#include "simulation/chronicle.h"
#include "simulation/cloud.h"

#include "worker/base/instant.h"
#include "worker/base/random.h"

struct shell;
struct world;

struct task {
	int64_t at_us;
	uint64_t order; /* Among tasks of the same time */
	void (*run)(struct world *w, const struct task *task);
	struct shell *shell; /* For this worker; NULL: for the world */
	uint32_t life;       /* The worker's, when the task was made */
	int64_t a, b, c;
	void *data; /* Owned: freed with the task */
};

struct world {
	struct plan plan;
	struct random random;
	int64_t now_us;
	uint64_t hash; /* Of everything that happened, in order */
	uint64_t n_tasks, n_run;
	struct task *heap; /* Owned */
	size_t n_heap, heap_capacity;
	struct broker broker;
	struct cloud cloud;
	struct chronicle chronicle;
	struct shell *shells[PLAN_WORKERS];
	bool is_told;       /* Lines are written */
	struct buffer told; /* "[  120] w1 commits …" */
};

/* Run a plan to its end; 'is_told' writes what happens into 'told', line by line. */
void world_run(struct world *w, const struct plan *plan, bool is_told);
void world_close(struct world *w);

/* A random number below 'bound', and a time between two. */
uint64_t world_below(struct world *w, uint64_t bound);
int64_t world_between(struct world *w, int64_t least_us, int64_t most_us);
bool world_chance(struct world *w, unsigned per_mille);

/* True while faults may be begun. */
bool world_is_faulty(const struct world *w);

/* Have a task run so much later. Takes over task.data. */
void world_after(struct world *w, int64_t delay_us, struct task task);

instant_t world_now(const struct world *w);
wall_t world_wall(const struct world *w);

/* Write a line about a worker (NULL: the world), if lines are written. */
void world_tell(struct world *w, const struct shell *shell, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* True when every command has its reply. */
bool world_is_done(const struct world *w);

#endif
