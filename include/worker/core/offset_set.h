/* A set of offsets of one partition, as ranges, and as the text that fits into the metadata of a
 * commit.
 *
 * A tool that works through a topic in any order keeps what it has done here: all up to the
 * committed offset, and the ranges behind it. The text is "1:", then for each of these ranges the
 * distance from the range before it and its length, "12+3,5+1". */
#ifndef WORKER_CORE_OFFSET_SET_H
#define WORKER_CORE_OFFSET_SET_H

#include "worker/base/buffer.h"

/* A broker allows 4096 bytes. */
#define OFFSET_SET_TEXT_MAX 4000

/* All from 'from' to before 'to'. */
struct offset_range {
	int64_t from, to;
};

struct offset_set {
	struct offset_range *ranges; /* Owned; rising, and none touches the next. The first begins
	                                at 0, and it alone may be empty */
	size_t n, capacity;
};

void offset_set_init(struct offset_set *s);
void offset_set_close(struct offset_set *s);

bool offset_set_has(const struct offset_set *s, int64_t offset);

/* Add a range that does not begin before the last one; the first begins at 0. False when there is
 * no memory. */
bool offset_set_add(struct offset_set *s, int64_t from, int64_t to) MUST_CHECK;

/* Append the ranges behind the first one; what that one ends at is the offset to commit. False when
 * the text is too long. */
bool offset_set_encode(const struct offset_set *s, struct buffer *text) MUST_CHECK;

/* Join as many of the first ranges as the text is too long for: what lies between them is in the
 * set from now on. Returns how many offsets that are. */
int64_t offset_set_coarsen(struct offset_set *s);

/* Read a text that was committed with 'base' into an initialised, empty set: all before 'base', and
 * the ranges. False when it is no such text, and the set is to be closed. */
bool offset_set_decode(struct bytes text, int64_t base, struct offset_set *ret) MUST_CHECK;

#endif
