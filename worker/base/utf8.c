/* UTF-8: see utf8.h. */
#include "worker/base/utf8.h"

size_t utf8_length(const char *text, size_t left)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length = left == 0 || p[0] < 0x80 ? 1
	                : p[0] < 0xC2            ? 0
	                : p[0] < 0xE0            ? 2
	                : p[0] < 0xF0            ? 3
	                : p[0] < 0xF5            ? 4
	                                         : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
	    (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
		return 0;
	return length;
}

static char continuation(unsigned code, unsigned shift)
{
	return (char)(0x80 | (code >> shift & 0x3F));
}

size_t utf8_encode(unsigned code, char out[static 4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xC0 | code >> 6);
		out[1] = continuation(code, 0);
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xE0 | code >> 12);
		out[1] = continuation(code, 6);
		out[2] = continuation(code, 0);
		return 3;
	}
	out[0] = (char)(0xF0 | code >> 18);
	out[1] = continuation(code, 12);
	out[2] = continuation(code, 6);
	out[3] = continuation(code, 0);
	return 4;
}
