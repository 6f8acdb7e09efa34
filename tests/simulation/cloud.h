/* A model of Microsoft Graph: it takes invites, may fail in every way, and can be asked what it
 * has. */
#ifndef SIMULATION_CLOUD_H
#define SIMULATION_CLOUD_H

#include "simulation/plan.h"

#include "worker/core/answer.h"
#include "worker/core/effects.h"

struct world;

struct cloud_operation {
	unsigned call;
	unsigned n;
	uint16_t identities[BATCH_MAX];
	char context[COMMAND_CONTEXT_MAX * 4 + 1];
};

struct cloud {
	struct cloud_operation *operations; /* Owned */
	size_t n_operations;
	bool is_over[PLAN_CALLS]; /* The call has ended */
};

/* What a request does, decided when its body leaves. */
struct cloud_fate {
	int64_t effect_us; /* It is judged so much after it left; PLAN_NEVER: it never arrives */
	int64_t answer_us; /* Its answer is there so much after it left; PLAN_NEVER: no answer */
	int status;
	bool has_effect;
	const char *retry_after;
	const char *graph_code;
};

void cloud_close(struct cloud *c);

/* Decide about an invite of 'n' participants. */
void cloud_decide(struct world *w, unsigned call, unsigned n, struct cloud_fate *ret);

/* Decide about a look. */
void cloud_decide_look(struct world *w, struct cloud_fate *ret);

/* The invite has its effect; the number of its operation. */
size_t cloud_accept(struct cloud *c, const struct cloud_operation *operation);

/* Append what GET answers about a call. */
void cloud_show(const struct cloud *c, unsigned call, enum look_kind kind, struct buffer *out);

#endif
