/* The last commands by their ids: see history.h. */
#include "worker/core/history.h"

#include <stdlib.h>

/* Running out of memory is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

/* Of the longest ids: 128 letters of one byte, and 128 characters of four. */
#define KEY_MAX (sizeof(uint32_t) + sizeof(size_t) + 128 + 4 * 128)

struct history_entry {
	UT_hash_handle hh;
	struct history_entry *prev, *next; /* In the order of offsets */
	uint64_t content;
	int64_t offset;
	size_t room; /* Bytes that 'key' has room for */
	size_t key_size;
	char key[]; /* The tenant, the size of the callId, the callId, the commandId */
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

static size_t key_size(const struct history_command *command)
{
	return sizeof(command->tenant) + sizeof(command->call_id.size) + command->call_id.size +
	       command->command_id.size;
}

/* Copy a part of a key; where the next one goes. */
static char *put(char *key, const void *part, size_t size)
{
	if (size > 0)
		memcpy(key, part, size);
	return key + size;
}

/* Write the key, of key_size() bytes. */
static void write_key(const struct history_command *command, char *key)
{
	key = put(key, &command->tenant, sizeof(command->tenant));
	key = put(key, &command->call_id.size, sizeof(command->call_id.size));
	key = put(key, command->call_id.data, command->call_id.size);
	put(key, command->command_id.data, command->command_id.size);
}

static struct history_entry *entry_new(struct history *h, const struct history_command *command)
{
	size_t size = key_size(command);
	struct history_entry *entry = h->spare;

	if (entry && entry->room >= size) {
		h->spare = NULL;
	} else {
		entry = malloc(sizeof(*entry) + size);
		if (!entry)
			return NULL;
		entry->room = size;
	}
	entry->content = command->content;
	entry->offset = command->offset;
	entry->key_size = size;
	write_key(command, entry->key);
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

enum history_verdict history_note(struct history *h, const struct history_command *command,
                                  int64_t *ret_first)
{
	struct history_entry *entry, *found;

	*ret_first = command->offset;
	if (h->limit == 0)
		return HISTORY_NEW;
	drop_old(h, command->offset);
	entry = entry_new(h, command);
	if (!entry)
		return HISTORY_NO_MEMORY;
	HASH_FIND(hh, h->by_id, entry->key, entry->key_size, found);
	if (found) {
		free(entry);
		return judge(found, command, ret_first);
	}
	HASH_ADD_KEYPTR(hh, h->by_id, entry->key, entry->key_size, entry);
	if (!entry->hh.tbl) {
		free(entry);
		return HISTORY_NO_MEMORY;
	}
	insert(h, entry);
	return HISTORY_NEW;
}

int64_t history_find(const struct history *h, const struct history_command *command)
{
	size_t size = key_size(command);
	struct history_entry *found;
	char key[KEY_MAX];

	CHECK(size <= sizeof(key));
	write_key(command, key);
	HASH_FIND(hh, h->by_id, key, size, found);
	return found ? found->offset : -1;
}

uint64_t history_hash(struct bytes value)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < value.size; i++)
		hash = (hash ^ (unsigned char)value.data[i]) * UINT64_C(0x100000001b3);
	return hash;
}
