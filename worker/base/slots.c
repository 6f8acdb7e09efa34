/* Ids with generations: see slots.h. */
#include "worker/base/slots.h"

#include <stddef.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64
#define NO_SLOT        UINT32_MAX

struct slot {
	void *object;        /* Borrowed; NULL when free */
	uint32_t generation; /* Starts at 1, so that no id is SLOTS_NONE */
	uint32_t next_free;
};

void slots_init(struct slots *s)
{
	*s = (struct slots){ .free = NO_SLOT };
}

void slots_close(struct slots *s)
{
	free(s->slots);
	slots_init(s);
}

static bool grow(struct slots *s)
{
	uint32_t capacity = s->capacity ? s->capacity * 2 : FIRST_CAPACITY;
	struct slot *slots = realloc(s->slots, capacity * sizeof(*slots));

	if (!slots)
		return false;
	for (uint32_t i = capacity; i-- > s->capacity;) {
		slots[i] = (struct slot){ .generation = 1, .next_free = s->free };
		s->free = i;
	}
	s->slots = slots;
	s->capacity = capacity;
	return true;
}

uint64_t slots_put(struct slots *s, void *object)
{
	uint32_t index;

	CHECK(object);
	if (s->free == NO_SLOT && !grow(s))
		return SLOTS_NONE;
	index = s->free;
	s->free = s->slots[index].next_free;
	s->slots[index].object = object;
	s->used++;
	return slots_id(index, s->slots[index].generation);
}

void *slots_find(const struct slots *s, uint64_t id)
{
	uint32_t index = slots_index(id);

	if (index >= s->capacity || s->slots[index].generation != slots_generation(id))
		return NULL;
	return s->slots[index].object;
}

void *slots_at(const struct slots *s, uint32_t index)
{
	CHECK(index < s->capacity);
	return s->slots[index].object;
}

void slots_remove(struct slots *s, uint64_t id)
{
	struct slot *slot = &s->slots[slots_index(id)];

	CHECK(slots_find(s, id));
	slot->object = NULL;
	slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
	slot->next_free = s->free;
	s->free = slots_index(id);
	s->used--;
}
