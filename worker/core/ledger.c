/* Open offsets of a partition: see ledger.h. */
#include "worker/core/ledger.h"

#include <stdlib.h>

#define CAPACITY_LEAST 32

/* So many entries ahead of a walk are fetched into the cache. */
#define WALK_AHEAD 8

void ledger_init(struct ledger *l)
{
	*l = (struct ledger){ 0 };
}

void ledger_close(struct ledger *l)
{
	free(l->places);
	ledger_init(l);
}

/* Close the holes. */
static void compact(struct ledger *l)
{
	size_t n = 0;

	for (size_t i = l->first; i < l->end; i++) {
		struct ledger_entry *entry = l->places[i];

		if (!entry)
			continue;
		entry->place = n;
		l->places[n++] = entry;
	}
	l->first = 0;
	l->end = n;
}

bool ledger_reserve(struct ledger *l)
{
	size_t capacity = l->capacity > 0 ? 2 * l->capacity : CAPACITY_LEAST;
	struct ledger_entry **places;

	if (l->end < l->capacity)
		return true;
	if (l->count < l->capacity / 2) {
		compact(l);
		return true;
	}
	places = realloc(l->places, capacity * sizeof(struct ledger_entry *));
	if (!places)
		return false;
	l->places = places;
	l->capacity = capacity;
	return true;
}

bool ledger_arrive(struct ledger *l, struct ledger_entry *entry, int64_t offset)
{
	if (l->is_known && offset < l->next)
		return false;
	CHECK(l->end < l->capacity);
	*entry = (struct ledger_entry){ .offset = offset, .place = l->end };
	l->places[l->end++] = entry;
	l->count++;
	l->next = offset + 1;
	l->is_known = true;
	return true;
}

void ledger_advance(struct ledger *l, int64_t offset)
{
	if (l->is_known && offset <= l->next)
		return;
	l->next = offset;
	l->is_known = true;
}

void ledger_settle(struct ledger *l, struct ledger_entry *entry)
{
	CHECK(l->places[entry->place] == entry);
	l->places[entry->place] = NULL;
	l->count--;
	while (l->first < l->end && !l->places[l->first])
		l->first++;
}

/* The first open one at this place or behind it. */
static struct ledger_entry *open_from(const struct ledger *l, size_t place)
{
	for (; place < l->end; place++) {
		if (!l->places[place])
			continue;
		if (place + WALK_AHEAD < l->end)
			__builtin_prefetch(l->places[place + WALK_AHEAD]);
		return l->places[place];
	}
	return NULL;
}

struct ledger_entry *ledger_first(const struct ledger *l)
{
	return open_from(l, l->first);
}

struct ledger_entry *ledger_after(const struct ledger *l, const struct ledger_entry *entry)
{
	return open_from(l, entry->place + 1);
}

struct ledger_entry *ledger_find(const struct ledger *l, int64_t offset)
{
	struct ledger_entry *entry = ledger_first(l);

	while (entry && entry->offset != offset)
		entry = ledger_after(l, entry);
	return entry;
}

int64_t ledger_frontier(const struct ledger *l)
{
	if (!l->is_known)
		return -1;
	return l->count > 0 ? l->places[l->first]->offset : l->next;
}

int64_t ledger_span(const struct ledger *l)
{
	return l->count > 0 ? l->next - ledger_frontier(l) : 0;
}
