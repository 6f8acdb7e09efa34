/* What the simulated Graph knows: calls, the operations that invites made in them, and so the
 * roster.
 *
 * Only the newest operations are kept, so that a long benchmark does not fill the memory. */
#ifndef SIMULATOR_CALLS_H
#define SIMULATOR_CALLS_H

#include "simulator/settings.h"
#include "worker/base/buffer.h"
#include "worker/base/bytes.h"
#include "worker/base/instant.h"
#include "worker/base/random.h"

#include <stdbool.h>
#include <uthash.h>

struct operation {
	char id[RANDOM_UUID_SIZE];
	struct call *call;
	instant_t made;
	char *participants; /* JSON array as it was answered; owned, NUL-terminated */
	char *context;      /* JSON string or null; within the memory of 'participants' */
	struct operation *prev, *next;           /* By age, over all calls */
	struct operation *call_prev, *call_next; /* By age, in its call */
	UT_hash_handle hh;
};

struct call {
	char *key;                    /* Its tenant and its id; owned */
	unsigned in_flight;           /* Invites that arrived and are not over */
	struct operation *operations; /* Owned, oldest first */
	UT_hash_handle hh;
};

struct calls {
	struct call *by_key;
	struct operation *by_operation;
	struct operation *oldest;
	size_t keep; /* Most operations that are kept */
};

void calls_init(struct calls *calls, size_t keep);
void calls_close(struct calls *calls);

/* The call of that id in that tenant, made if need be; NULL without memory. */
struct call *calls_take(struct calls *calls, struct bytes tenant, struct bytes id) MUST_CHECK;

/* Tell that the caller does not hold 'call' any more; it may be forgotten now. */
void calls_put(struct calls *calls, struct call *call);

/* The call, or NULL. */
struct call *calls_find(const struct calls *calls, struct bytes tenant, struct bytes id);

/* An operation of that call, which may be NULL, or NULL. */
struct operation *calls_find_operation(const struct calls *calls, const struct call *call,
                                       struct bytes id);

/* Keep a new operation. 'participants' and 'context' are JSON and are copied. NULL without memory.
 */
struct operation *calls_add(struct calls *calls, struct call *call, const char *id, instant_t now,
                            struct bytes participants, struct bytes context) MUST_CHECK;

/* Forget all operations; calls with requests in flight stay. */
void calls_clear(struct calls *calls);

/* Append the operation as Graph answers it at 'now'. */
void calls_write_operation(const struct operation *operation, const struct settings *settings,
                           instant_t now, struct buffer *out);

/* Append the list of operations, or the roster, of 'call', which may be NULL. */
void calls_write_operations(const struct call *call, const struct settings *settings, instant_t now,
                            struct buffer *out);
void calls_write_roster(const struct call *call, const struct settings *settings, instant_t now,
                        struct buffer *out);

#endif
