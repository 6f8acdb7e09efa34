/* A borrowed run of bytes. Never NUL-terminated unless its owner says so. */
#ifndef WORKER_BASE_BYTES_H
#define WORKER_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct bytes {
	const char *data; /* Borrowed; may be NULL when size is 0 */
	size_t size;
};

static inline struct bytes bytes_of(const char *text)
{
	return (struct bytes){ .data = text, .size = text ? strlen(text) : 0 };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool bytes_equal_text(struct bytes a, const char *text)
{
	return bytes_equal(a, bytes_of(text));
}

#endif
