/* What the fuzzers share. libFuzzer calls LLVMFuzzerTestOneInput() with each input. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes an input apart from its front. */
struct input {
	const char *data;
	size_t size;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
	return (struct input){ (const char *)data, size };
}

/* One byte; 0 when there is none left. */
static inline unsigned input_byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return (unsigned char)*in->data++;
}

/* Up to the next line feed, which is taken too, or to the end. */
static inline struct bytes input_line(struct input *in)
{
	const char *end = in->size > 0 ? memchr(in->data, '\n', in->size) : NULL;
	struct bytes line = { in->data, end ? (size_t)(end - in->data) : in->size };
	size_t taken = line.size + (end ? 1 : 0);

	if (taken > 0)
		in->data += taken;
	in->size -= taken;
	return line;
}

/* A C string of the bytes up to the first NUL; the caller frees it. strndup() would do, but the
 * address sanitizer wants its argument to end. */
static inline char *input_text(struct bytes bytes)
{
	char *text = malloc(bytes.size + 1);

	CHECK(text);
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return text;
}

/* The rest. */
static inline struct bytes input_rest(struct input *in)
{
	return (struct bytes){ in->data, in->size };
}

#endif
