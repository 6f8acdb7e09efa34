/* Bytes as text: see hex.h. */
#include "contract/hex.h"

#include <stdlib.h>

static const char digits[] = "0123456789abcdef";

json_t *hex_encode(struct bytes bytes)
{
	char *text = malloc(2 * bytes.size + 1);
	json_t *json;

	CHECK(text);
	for (size_t i = 0; i < bytes.size; i++) {
		unsigned char c = (unsigned char)bytes.data[i];

		text[2 * i] = digits[c >> 4];
		text[2 * i + 1] = digits[c & 15];
	}
	json = json_stringn(text, 2 * bytes.size);
	CHECK(json);
	free(text);
	return json;
}

static unsigned digit_value(char c)
{
	const char *digit = c ? strchr(digits, c) : NULL;

	CHECK(digit);
	return (unsigned)(digit - digits);
}

void hex_decode(const json_t *hex, struct buffer *ret)
{
	const char *text = json_string_value(hex);

	CHECK(text);
	for (; *text; text += 2)
		buffer_append_char(ret, (char)(digit_value(text[0]) << 4 | digit_value(text[1])));
	CHECK(buffer_ok(ret));
}
