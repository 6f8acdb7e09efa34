/* Graph as a test needs it: it knows who was invited to which call, and says so when asked. */
#ifndef TESTS_ENGINE_GRAPH_H
#define TESTS_ENGINE_GRAPH_H

#include "worker/core/effects.h"

#include <jansson.h>

/* One participant that was invited. */
struct graph_invite {
	char call[40];
	int32_t partition;
	char tag[32]; /* "<offset>/<index>" of the command that it belongs to */
	char who[40];
	bool is_phone;
	unsigned operation;
	char context[260];
};

struct graph {
	struct graph_invite *invites; /* Owned */
	size_t n;
	unsigned n_operations;
};

void graph_close(struct graph *g);

/* Do what the request asks; the number of the operation. */
unsigned graph_apply(struct graph *g, const char *call, int32_t partition, const json_t *body);

/* How often the participant was invited. */
unsigned graph_count(const struct graph *g, int32_t partition, int64_t tag, size_t index);

/* The body of the answer to a look; the caller frees it. */
char *graph_body(const struct graph *g, const char *call, enum look_kind kind);

#endif
