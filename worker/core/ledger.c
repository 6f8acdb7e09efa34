/* Open offsets of a partition: see ledger.h. */
#include "worker/core/ledger.h"

#include <utlist.h>

void ledger_init(struct ledger *l)
{
	*l = (struct ledger){ 0 };
}

bool ledger_arrive(struct ledger *l, struct ledger_entry *entry, int64_t offset)
{
	if (l->is_known && offset < l->next)
		return false;
	entry->offset = offset;
	DL_APPEND(l->open, entry);
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
	DL_DELETE(l->open, entry);
	l->count--;
}

struct ledger_entry *ledger_find(const struct ledger *l, int64_t offset)
{
	struct ledger_entry *entry;

	DL_FOREACH (l->open, entry) {
		if (entry->offset == offset)
			return entry;
	}
	return NULL;
}

int64_t ledger_frontier(const struct ledger *l)
{
	if (!l->is_known)
		return -1;
	return l->open ? l->open->offset : l->next;
}

int64_t ledger_span(const struct ledger *l)
{
	return l->open ? l->next - l->open->offset : 0;
}
