/* One request to Graph, from the moment it is chosen to its answer. */
#ifndef WORKER_CORE_INVITE_H
#define WORKER_CORE_INVITE_H

#include "worker/core/batch.h"

enum invite_state {
	INVITE_MARKING, /* Waits for leave to be sent */
	INVITE_MARKED,  /* Has it, and waits for the answer to the one before it: see successor.h */
	INVITE_DEPARTING, /* Waits for room among those in flight: see departure.h */
	INVITE_IN_FLIGHT  /* Was given to the shell */
};

struct invite {
	uint64_t id;
	enum invite_state state;
	struct call *call; /* NULL when its partition was forgotten: the answer changes nothing */
	struct application *application; /* In which it counts */
	struct batch batch;
	instant_t sent;
	struct invite *successor;   /* The call's next, while this one is in flight; NULL: none */
	struct invite *prev, *next; /* Of those that depart, or kept to be used again */
};

/* Append the client context: the caller's, or one that names topic, partition, offsets and the
 * number of the request. */
void invite_write_context(const struct invite *invite, struct bytes topic, struct buffer *out);

/* Append the request's body. */
void invite_write_body(const struct invite *invite, struct bytes topic, struct buffer *out);

#endif
