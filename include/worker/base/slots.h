/* Numbers for objects, such that a number that outlived its object finds nothing.
 *
 * An id is a slot and the generation of what lives there; slots are used again, ids are not. Ids
 * travel to the outside and come back with an answer, when the object may be long gone. */
#ifndef WORKER_BASE_SLOTS_H
#define WORKER_BASE_SLOTS_H

#include "worker/base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct slot;

struct slots {
	struct slot *slots; /* Owned */
	uint32_t capacity;
	uint32_t used; /* Objects that are in */
	uint32_t free; /* First of the chain of free slots */
};

/* No object ever has this id. */
#define SLOTS_NONE UINT64_C(0)

void slots_init(struct slots *s);
void slots_close(struct slots *s);

/* Keep 'object' (not NULL, borrowed) and return its id, or SLOTS_NONE when there is no memory. */
uint64_t slots_put(struct slots *s, void *object) MUST_CHECK;

/* The object with that id, or NULL when it is not in (any more). */
void *slots_find(const struct slots *s, uint64_t id);

/* The object in slot 'index' (less than capacity), or NULL: to visit all of them. */
void *slots_at(const struct slots *s, uint32_t index);

/* Take the object out; its id finds nothing from now on. The id must be in. */
void slots_remove(struct slots *s, uint64_t id);

/* The slot part of an id: small, dense, and shared by no two objects at the same time. */
static inline uint32_t slots_index(uint64_t id)
{
	return (uint32_t)id;
}

/* The other part: which of the objects that were in its slot it names. */
static inline uint32_t slots_generation(uint64_t id)
{
	return (uint32_t)(id >> 32);
}

/* The id that has these parts. */
static inline uint64_t slots_id(uint32_t index, uint32_t generation)
{
	return (uint64_t)generation << 32 | index;
}

#endif
