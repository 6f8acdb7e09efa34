/* A short list of partitions: see owned.h. */
#include "worker/io/owned.h"

#include <stdlib.h>

void owned_close(struct owned *o)
{
	free(o->list);
	*o = (struct owned){ 0 };
}

bool owned_add(struct owned *o, int32_t number)
{
	struct owned_partition *grown;

	if (owned_find(o, number))
		return true;
	grown = realloc(o->list, (o->count + 1) * sizeof(*grown));
	if (!grown)
		return false;
	o->list = grown;
	grown[o->count++] = (struct owned_partition){ .number = number };
	return true;
}

struct owned_partition *owned_find(const struct owned *o, int32_t number)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->list[i].number == number)
			return &o->list[i];
	return NULL;
}

bool owned_take_revoked(struct owned *o, int32_t *ret_number)
{
	for (size_t i = 0; i < o->count; i++) {
		if (!o->list[i].is_revoking)
			continue;
		*ret_number = o->list[i].number;
		o->list[i] = o->list[--o->count];
		return true;
	}
	return false;
}

bool owned_is_revoking(const struct owned *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->list[i].is_revoking)
			return true;
	return false;
}

bool owned_is_quiet(const struct owned *o, bool all)
{
	for (size_t i = 0; i < o->count; i++)
		if (!o->list[i].is_quiet && (all || o->list[i].is_revoking))
			return false;
	return true;
}
