/* Growing bytes with a ceiling: see buffer.h. */
#include "worker/base/buffer.h"

#include "worker/base/plain.h"
#include "worker/base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_CAPACITY 256

void buffer_init(struct buffer *b, size_t limit)
{
	*b = (struct buffer){ .limit = limit };
}

void buffer_close(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ 0 };
}

void buffer_clear(struct buffer *b)
{
	buffer_truncate(b, 0);
}

void buffer_truncate(struct buffer *b, size_t size)
{
	CHECK(size <= b->size);
	b->size = size;
	b->failed = false;
	if (b->data)
		b->data[size] = '\0';
}

/* Make room for 'more' bytes and a NUL; false, and failed from now on, when that cannot be. */
static bool reserve(struct buffer *b, size_t more)
{
	size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
	char *data;

	if (b->failed || more > b->limit - b->size) {
		b->failed = true;
		return false;
	}
	if (b->size + more < b->capacity)
		return true;
	while (capacity <= b->size + more)
		capacity *= 2;
	data = realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->capacity = capacity;
	return true;
}

void buffer_append_more(struct buffer *b, const void *data, size_t size)
{
	if (!reserve(b, size))
		return;
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
	b->data[b->size] = '\0';
}

void buffer_append_int(struct buffer *b, int64_t value)
{
	char digits[24];
	char *p = digits + sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--p = '-';
	buffer_append(b, p, (size_t)(digits + sizeof(digits) - p));
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	int needed;

	va_start(args, format);
	needed = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (needed < 0 || !reserve(b, (size_t)needed))
		return;
	va_start(args, format);
	vsnprintf(b->data + b->size, (size_t)needed + 1, format, args);
	va_end(args);
	b->size += (size_t)needed;
}

static void append_escaped(struct buffer *b, unsigned char c)
{
	static const char letters[] = {
		['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
	};
	char letter = c < sizeof(letters) ? letters[c] : '\0';

	if (letter)
		buffer_append(b, (char[]){ '\\', letter }, 2);
	else
		buffer_printf(b, "\\u%04x", c);
}

/* Past all that stands for itself in a JSON string; '*ret_length' is that of what stopped it, 0
 * when it is not UTF-8. */
static size_t skip_plain(struct bytes text, size_t i, size_t *ret_length)
{
	size_t length = 1;

	while ((i += plain_run(text.data + i, text.size - i)) < text.size) {
		unsigned char c = (unsigned char)text.data[i];

		length = 1;
		if (c >= 0x80)
			length = utf8_length(text.data + i, text.size - i);
		else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
			break;
		if (length == 0)
			break;
		i += length;
	}
	*ret_length = length;
	return i;
}

void buffer_append_json(struct buffer *b, struct bytes text)
{
	size_t i = 0;

	buffer_append_char(b, '"');
	while (i < text.size) {
		size_t length;
		size_t stop = skip_plain(text, i, &length);

		buffer_append(b, text.data + i, stop - i);
		i = stop + 1;
		if (stop == text.size)
			break;
		if (length == 0)
			buffer_append_text(b, "\xEF\xBF\xBD");
		else
			append_escaped(b, (unsigned char)text.data[stop]);
	}
	buffer_append_char(b, '"');
}

void buffer_append_json_text(struct buffer *b, const char *text)
{
	if (text)
		buffer_append_json(b, bytes_of(text));
	else
		buffer_append_text(b, "null");
}
