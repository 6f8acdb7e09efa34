/* A set of objects that are found by what stands in them: the hash set of Concurrency Kit, for one
 * thread. In it an object takes 16 to 32 bytes, and in itself none. Very many of one hash are slow,
 * since each is looked at, and take half a kilobyte each.
 *
 * The order of a walk follows from the hashes and from what was added and removed before: with the
 * same events it is the same in every run. */
#ifndef WORKER_BASE_TABLE_H
#define WORKER_BASE_TABLE_H

#include "worker/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the objects of a table are told apart. What both read must not change while they are in. */
struct table_kind {
	unsigned long (*hash)(const void *object, unsigned long unused);
	bool (*equal)(const void *object, const void *key); /* The key has a type of its own */
};

struct table_set;

struct table {
	const struct table_kind *kind; /* Borrowed */
	struct table_set *set;         /* Owned; NULL while nothing is in, as a rule */
	size_t removed;                /* Since 'set' was made: the marks that are left in it */
};

/* Takes no memory before the first object. */
void table_init(struct table *t, const struct table_kind *kind);

/* Gives the memory back, but frees no object. A table that is all zero may be closed. */
void table_close(struct table *t);

/* The object whose hash is 'hash', and that equals 'key'; NULL: there is none. */
void *table_find(const struct table *t, unsigned long hash, const void *key);

/* Put an object in (not NULL, borrowed), of which no equal is in. False when there is no memory:
 * then nothing has changed. Now and then it makes the table anew, which takes a look at each
 * object: no more of them than were removed since the last time. */
bool table_add(struct table *t, void *object) MUST_CHECK;

/* Take an object out. It must be in. */
void table_remove(struct table *t, void *object);

/* The first object at or behind the place '*at', which is 0 at first, and then left behind it; NULL
 * at the end. Meanwhile objects may be removed, and none added. */
void *table_next(const struct table *t, size_t *at);

size_t table_count(const struct table *t);

#endif
