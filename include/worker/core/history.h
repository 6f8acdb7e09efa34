/* The last commands of a partition by their ids: so that one that a producer sends twice is sent to
 * Graph once.
 *
 * Bounded: only the last so many records count. Only ids that the producer gave are kept, each as
 * a digest. */
#ifndef WORKER_CORE_HISTORY_H
#define WORKER_CORE_HISTORY_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"
#include "worker/base/table.h"

#include <stdint.h>

struct history_entry;

struct history {
	struct table by_id;          /* Of struct history_entry */
	struct history_entry *first; /* Oldest, in the order of offsets; all are owned */
	struct history_entry *last;
	struct history_entry *spare; /* Owned: dropped, to be used again */
	size_t limit;                /* Offsets back from the newest that count */
};

struct history_command {
	uint32_t tenant; /* Of the call */
	struct bytes call_id;
	struct bytes command_id;
	uint64_t content; /* Of the record's value: hash_bytes() */
	int64_t offset;
};

enum history_verdict {
	HISTORY_NEW,       /* Not seen: it is kept now */
	HISTORY_SAME,      /* Came before with the same content */
	HISTORY_DIFFERENT, /* Came before with another content */
	HISTORY_NO_MEMORY
};

/* 'limit' 0: nothing is ever kept, everything is new. */
void history_init(struct history *h, size_t limit);
void history_close(struct history *h);

/* Look the command up, and keep it when it is new. '*ret_first' is the offset under which it came
 * first. The same offset once more is the same record, not a duplicate: it is new again. Offsets
 * mostly rise. */
enum history_verdict history_note(struct history *h, const struct history_command *command,
                                  int64_t *ret_first) MUST_CHECK;

/* The offset under which the command of these ids, which are as the contract says, came first, or
 * -1. */
int64_t history_find(const struct history *h, const struct history_command *command);

#endif
