/* Which offsets of a partition still owe a reply.
 *
 * Offsets arrive in order, are settled in any order, and may be missing for ever (transaction
 * markers, aborted and compacted records). Only open offsets are kept, so a gap of any width costs
 * nothing. The frontier, the first offset without a stored reply, is what may be committed. */
#ifndef WORKER_CORE_LEDGER_H
#define WORKER_CORE_LEDGER_H

#include "worker/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One open offset; memory of the caller, which keeps it until ledger_settle(). */
struct ledger_entry {
	int64_t offset;
	size_t place; /* Private */
};

/* The open entries stand in an array and leave holes, so that a walk over very many need not wait
 * for one after the other to come from memory. */
struct ledger {
	struct ledger_entry **places; /* Owned; what is in it is borrowed */
	size_t first, end;            /* Of those in use: none is open before 'first' */
	size_t capacity;
	size_t count;  /* Open ones */
	int64_t next;  /* First offset that has not been seen */
	bool is_known; /* 'next' means something */
};

void ledger_init(struct ledger *l);

/* Forget all; the entries remain the caller's. */
void ledger_close(struct ledger *l);

/* Make room for one more. False when there is no memory. */
bool ledger_reserve(struct ledger *l) MUST_CHECK;

/* 'offset' has come, for which there is room. False when it had come before: 'entry' is then
 * untouched. */
bool ledger_arrive(struct ledger *l, struct ledger_entry *entry, int64_t offset);

/* Nothing below 'offset' will come any more. */
void ledger_advance(struct ledger *l, int64_t offset);

/* The reply is stored: the entry leaves the ledger. */
void ledger_settle(struct ledger *l, struct ledger_entry *entry);

/* The open entries in the order of offsets; NULL: no more. */
struct ledger_entry *ledger_first(const struct ledger *l);
struct ledger_entry *ledger_after(const struct ledger *l, const struct ledger_entry *entry);

/* The open entry of that offset, or NULL. */
struct ledger_entry *ledger_find(const struct ledger *l, int64_t offset);

/* The first offset without a stored reply. -1 before anything was seen. */
int64_t ledger_frontier(const struct ledger *l);

/* Offsets from the frontier to the newest, gaps included. */
int64_t ledger_span(const struct ledger *l);

#endif
