/* The last commands by their ids: see history.h. */
#include "worker/core/history.h"

#include "worker/base/hash.h"

#include <stdlib.h>

/* Of the longest ids: 128 letters of one byte, and 128 characters of four. */
#define IDS_MAX (sizeof(uint32_t) + sizeof(size_t) + 128 + 4 * 128)

struct history_entry {
	struct history_entry *next; /* In the order of offsets */
	struct digest ids;          /* The key */
	uint64_t content;
	int64_t offset;
};

/* A digest is a hash. */
static unsigned long hash_entry(const void *entry, unsigned long unused)
{
	(void)unused;
	return ((const struct history_entry *)entry)->ids.low;
}

static bool has_ids(const void *entry, const void *ids)
{
	const struct digest *a = &((const struct history_entry *)entry)->ids, *b = ids;

	return a->low == b->low && a->high == b->high;
}

static const struct table_kind entry_kind = { hash_entry, has_ids };

void history_init(struct history *h, size_t limit)
{
	*h = (struct history){ .limit = limit };
	table_init(&h->by_id, &entry_kind);
}

/* What goes is kept for what comes: as a rule a new one follows at once. */
static void drop_first(struct history *h)
{
	struct history_entry *entry = h->first;

	table_remove(&h->by_id, entry);
	h->first = entry->next;
	if (!h->first)
		h->last = NULL;
	free(h->spare);
	h->spare = entry;
}

void history_close(struct history *h)
{
	while (h->first)
		drop_first(h);
	table_close(&h->by_id);
	free(h->spare);
	h->spare = NULL;
}

/* Forget what is too far behind 'newest' to count. */
static void drop_old(struct history *h, int64_t newest)
{
	while (h->first && h->first->offset < newest &&
	       (uint64_t)(newest - h->first->offset) >= h->limit)
		drop_first(h);
}

/* Copy a part of the ids; where the next one goes. */
static char *put(char *at, const void *part, size_t size)
{
	if (size > 0)
		memcpy(at, part, size);
	return at + size;
}

/* Of the tenant, the size of the callId, the callId, and the commandId. */
static struct digest digest_ids(const struct history_command *command)
{
	char ids[IDS_MAX];
	char *end = ids;

	CHECK(command->call_id.size + command->command_id.size <=
	      sizeof(ids) - sizeof(command->tenant) - sizeof(command->call_id.size));
	end = put(end, &command->tenant, sizeof(command->tenant));
	end = put(end, &command->call_id.size, sizeof(command->call_id.size));
	end = put(end, command->call_id.data, command->call_id.size);
	end = put(end, command->command_id.data, command->command_id.size);
	return hash_digest((struct bytes){ ids, (size_t)(end - ids) });
}

static struct history_entry *entry_new(struct history *h, const struct history_command *command,
                                       struct digest ids)
{
	struct history_entry *entry = h->spare ? h->spare : malloc(sizeof(*entry));

	h->spare = NULL;
	if (!entry)
		return NULL;
	entry->ids = ids;
	entry->content = command->content;
	entry->offset = command->offset;
	return entry;
}

/* Nearly always at the end: offsets come in order. */
static void insert(struct history *h, struct history_entry *entry)
{
	struct history_entry **at = h->last ? &h->last->next : &h->first;

	if (h->last && h->last->offset > entry->offset)
		for (at = &h->first; (*at)->offset <= entry->offset;)
			at = &(*at)->next;
	entry->next = *at;
	*at = entry;
	if (!entry->next)
		h->last = entry;
}

static enum history_verdict judge(const struct history_entry *found,
                                  const struct history_command *command, int64_t *ret_first)
{
	*ret_first = found->offset;
	if (found->offset == command->offset)
		return HISTORY_NEW;
	return found->content == command->content ? HISTORY_SAME : HISTORY_DIFFERENT;
}

static struct history_entry *find(const struct history *h, struct digest ids)
{
	return table_find(&h->by_id, ids.low, &ids);
}

enum history_verdict history_note(struct history *h, const struct history_command *command,
                                  int64_t *ret_first)
{
	struct digest ids = digest_ids(command);
	struct history_entry *entry;

	*ret_first = command->offset;
	if (h->limit == 0)
		return HISTORY_NEW;
	drop_old(h, command->offset);
	entry = find(h, ids);
	if (entry)
		return judge(entry, command, ret_first);
	entry = entry_new(h, command, ids);
	if (!entry)
		return HISTORY_NO_MEMORY;
	if (!table_add(&h->by_id, entry)) {
		free(entry);
		return HISTORY_NO_MEMORY;
	}
	insert(h, entry);
	return HISTORY_NEW;
}

int64_t history_find(const struct history *h, const struct history_command *command)
{
	const struct history_entry *found = find(h, digest_ids(command));

	return found ? found->offset : -1;
}
