/* A growing run of bytes with a ceiling, and the JSON text that the worker writes.
 *
 * Appending past the ceiling, or running out of memory, marks the buffer as failed and appends
 * nothing more: a writer appends freely and asks buffer_ok() once at the end. */
#ifndef WORKER_BASE_BUFFER_H
#define WORKER_BASE_BUFFER_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *data;      /* Owned; always NUL-terminated once something was appended */
	size_t size;     /* Bytes in use, without the final NUL */
	size_t capacity; /* Bytes allocated */
	size_t limit;    /* Most bytes that 'size' may reach */
	bool failed;     /* Something did not fit */
};

/* An empty buffer that may grow to 'limit' bytes. Allocates nothing yet. */
void buffer_init(struct buffer *b, size_t limit);

/* Release the memory; closing a zeroed or closed buffer is allowed. */
void buffer_close(struct buffer *b);

/* Forget the content and a failure, keep the memory. */
void buffer_clear(struct buffer *b);

/* Cut back to 'size' bytes, which must not be more than are there; forgets a failure. */
void buffer_truncate(struct buffer *b, size_t size);

/* True while everything that was appended is there. */
static inline bool buffer_ok(const struct buffer *b)
{
	return !b->failed;
}

/* The content, borrowed until the next change. */
static inline struct bytes buffer_bytes(const struct buffer *b)
{
	return (struct bytes){ .data = b->data ? b->data : "", .size = b->size };
}

/* Private: append when the memory has to grow first, or the ceiling is reached. */
void buffer_append_more(struct buffer *b, const void *data, size_t size);

/* Texts are put together from many small pieces, most of which fit. */
static inline void buffer_append(struct buffer *b, const void *data, size_t size)
{
	if (b->failed || size >= b->capacity - b->size || size > b->limit - b->size) {
		buffer_append_more(b, data, size);
		return;
	}
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
	b->data[b->size] = '\0';
}

static inline void buffer_append_bytes(struct buffer *b, struct bytes bytes)
{
	buffer_append(b, bytes.data, bytes.size);
}

static inline void buffer_append_text(struct buffer *b, const char *text)
{
	buffer_append(b, text, strlen(text));
}

static inline void buffer_append_char(struct buffer *b, char c)
{
	buffer_append(b, &c, 1);
}

void buffer_append_int(struct buffer *b, int64_t value);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Append 'text' as a JSON string with its quotes. The bytes must be UTF-8; what is not is replaced
 * by U+FFFD. */
void buffer_append_json(struct buffer *b, struct bytes text);

/* The same for a NUL-terminated text, or `null` for NULL. */
void buffer_append_json_text(struct buffer *b, const char *text);

#endif
