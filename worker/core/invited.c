/* Who was asked for by whom: see invited.h. */
#include "worker/core/invited.h"

#include "worker/base/hash.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

enum kind { KIND_IDENTITY = 1, KIND_CONTEXT };

void invited_init(struct invited *v, const struct invited_bounds *bounds)
{
	*v = (struct invited){ .bounds = *bounds, .forgotten = -1 };
}

void invited_close(struct invited *v)
{
	free(v->entries);
	*v = (struct invited){ 0 };
}

/* Of the call, to go on with what is asked for in it. */
static uint64_t hash_call(const struct command *command, enum kind kind)
{
	return hash_bytes(command->tenant, command_text(command, command->call_id)) + kind;
}

static uint64_t hash_context(const struct command *command)
{
	return hash_bytes(hash_call(command, KIND_CONTEXT),
	                  command_text(command, command->client_context));
}

static uint64_t hash_identity(const struct command *command, size_t index)
{
	struct identity identity = command_identity(command, index);
	uint64_t hash = hash_bytes(hash_call(command, KIND_IDENTITY), identity.kind);
	char room[IDENTITY_ID_SIZE];

	return hash_bytes(hash, identity_lower(identity.id, room));
}

static bool is_old(const struct invited *v, int64_t offset, int64_t frontier)
{
	return offset < frontier && (uint64_t)(frontier - offset) > v->bounds.offsets;
}

/* Forget what is too far behind 'frontier' and what is too much, and move the rest to the front
 * when it is the smaller part. */
static void forget(struct invited *v, int64_t frontier)
{
	while (v->first < v->n && is_old(v, v->entries[v->first].offset, frontier))
		v->first++;
	while (v->n - v->first > v->bounds.entries)
		v->forgotten = v->entries[v->first++].offset;
	if (v->first <= v->n / 2)
		return;
	v->n -= v->first;
	memmove(v->entries, v->entries + v->first, v->n * sizeof(*v->entries));
	v->first = 0;
}

static bool add(struct invited *v, uint64_t hash, int64_t offset)
{
	if (v->n == v->capacity) {
		size_t capacity = v->capacity ? v->capacity * 2 : FIRST_CAPACITY;
		struct invited_entry *entries = realloc(v->entries, capacity * sizeof(*entries));

		if (!entries)
			return false;
		v->entries = entries;
		v->capacity = capacity;
	}
	v->entries[v->n++] = (struct invited_entry){ .hash = hash, .offset = offset };
	return true;
}

bool invited_note(struct invited *v, const struct command *command, int64_t offset,
                  int64_t frontier)
{
	if (command->has_context && !add(v, hash_context(command), offset))
		return false;
	for (size_t i = 0; i < command->n_participants; i++)
		if (!add(v, hash_identity(command, i), offset))
			return false;
	forget(v, frontier);
	return true;
}

bool invited_is_complete(const struct invited *v, int64_t frontier)
{
	return v->forgotten < 0 || is_old(v, v->forgotten, frontier);
}

static const struct invited_entry *next(const struct invited *v, uint64_t hash, size_t *at)
{
	if (*at < v->first)
		*at = v->first;
	while (*at < v->n) {
		const struct invited_entry *entry = &v->entries[(*at)++];

		if (entry->hash == hash)
			return entry;
	}
	return NULL;
}

const struct invited_entry *invited_identity(const struct invited *v, const struct command *command,
                                             size_t index, size_t *at)
{
	return next(v, hash_identity(command, index), at);
}

const struct invited_entry *invited_context(const struct invited *v, const struct command *command,
                                            size_t *at)
{
	return next(v, hash_context(command), at);
}
