/* The last commands by their ids: see history.h. */
#include "worker/core/history.h"

#include "worker/base/hash.h"

#include <stdlib.h>
#include <utlist.h>

/* Of the longest ids: 128 letters of one byte, and 128 characters of four. */
#define IDS_MAX (sizeof(uint32_t) + sizeof(size_t) + 128 + 4 * 128)

struct history_entry {
	UT_hash_handle hh;
	struct history_entry *prev, *next; /* In the order of offsets */
	struct digest ids;                 /* The key */
	uint64_t content;
	int64_t offset;
};

void history_init(struct history *h, size_t limit)
{
	*h = (struct history){ .limit = limit };
}

/* What goes is kept for what comes: as a rule a new one follows at once. */
static void drop(struct history *h, struct history_entry *entry)
{
	HASH_DELETE(hh, h->by_id, entry);
	DL_DELETE(h->first, entry);
	free(h->spare);
	h->spare = entry;
}

void history_close(struct history *h)
{
	while (h->first)
		drop(h, h->first);
	free(h->spare);
	h->spare = NULL;
}

/* Forget what is too far behind 'newest' to count. */
static void drop_old(struct history *h, int64_t newest)
{
	while (h->first && h->first->offset < newest &&
	       (uint64_t)(newest - h->first->offset) >= h->limit)
		drop(h, h->first);
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
	struct history_entry *before = h->first ? h->first->prev : NULL;

	while (before && before->offset > entry->offset)
		before = before == h->first ? NULL : before->prev;
	if (before)
		DL_APPEND_ELEM(h->first, before, entry);
	else
		DL_PREPEND(h->first, entry);
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
	struct history_entry *found;

	HASH_FIND(hh, h->by_id, &ids, sizeof(ids), found);
	return found;
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
	HASH_ADD(hh, h->by_id, ids, sizeof(ids), entry);
	if (!entry->hh.tbl) {
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
