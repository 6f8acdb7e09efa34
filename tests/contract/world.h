/* An engine in simulated time, with a shell that does at once what the engine wants.
 *
 * Records are fed first; world_run() then marks, answers, stores and lets time pass until nothing
 * is left to do. */
#ifndef TESTS_CONTRACT_WORLD_H
#define TESTS_CONTRACT_WORLD_H

#include "worker/core/engine.h"

struct world;

struct world_hooks {
	void *owner;
	/* What Graph answers to a request. What '*ret' borrows lives as long as the world. */
	void (*on_post)(void *owner, const struct effect_post *post, struct answer *ret);
	/* What Graph answers when it is asked for traces of what was sent; '*ret' likewise. */
	void (*on_look)(void *owner, const struct effect_look *look, struct answer *ret);
	/* A reply or dead letter; NULL, or why the broker refuses it. */
	const char *(*on_write)(void *owner, const struct effect_write *write);
	void (*on_trace)(void *owner, struct bytes lines);
};

/* Owns partition 0 of one. Borrows 'policy' and 'hooks'. */
struct world *world_new(const struct policy *policy, const struct world_hooks *hooks);
void world_free(struct world *w);

void world_record(struct world *w, const struct record *record);

/* True when the engine is quiet; false when it still is not after very many steps. */
bool world_run(struct world *w) MUST_CHECK;

/* Everything below this offset has its reply stored; -1 when nothing has. */
int64_t world_stored(const struct world *w);

#endif
