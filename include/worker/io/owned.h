/* The partitions that the group has given to this worker, and how far each is on its way out. */
#ifndef WORKER_IO_OWNED_H
#define WORKER_IO_OWNED_H

#include "worker/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct owned_partition {
	int32_t number;
	bool is_revoking; /* The group takes it */
	bool is_quiet;    /* Nothing of it is going on any more */
};

struct owned {
	struct owned_partition *list; /* Owned */
	size_t count;
};

void owned_close(struct owned *o);

/* Add a partition, unless it is there. False when there is no memory. */
bool owned_add(struct owned *o, int32_t number) MUST_CHECK;

/* The partition, or NULL. */
struct owned_partition *owned_find(const struct owned *o, int32_t number);

/* Take out a partition that is being revoked; false when there is none. */
bool owned_take_revoked(struct owned *o, int32_t *ret_number);

/* True when the group takes at least one. */
bool owned_is_revoking(const struct owned *o);

/* True when all that the group takes are quiet, or, with 'all', all of them. */
bool owned_is_quiet(const struct owned *o, bool all);

#endif
