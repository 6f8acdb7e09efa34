/* The bytes of a text that JSON writes as they are, several at a time. */
#ifndef WORKER_BASE_PLAIN_H
#define WORKER_BASE_PLAIN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLAIN_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The highest bit is set of each byte of 'word' that is less than 'limit', of those that are
 * not ASCII perhaps, and of those above such a byte perhaps. */
static inline uint64_t plain_below(uint64_t word, unsigned char limit)
{
	return (word - PLAIN_EACH(limit)) & ~word;
}

static inline uint64_t plain_equal(uint64_t word, unsigned char byte)
{
	return plain_below(word ^ PLAIN_EACH(byte), 1);
}

/* How many bytes from 'at' on are plain for sure: printable ASCII, neither quote nor backslash. The
 * one behind them is another, or among the last seven. */
static inline size_t plain_run(const char *at, size_t size)
{
	size_t n = 0;

	for (; size - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
		uint64_t word, stops;

		memcpy(&word, at + n, sizeof(word));
		word = le64toh(word);
		stops = word | plain_below(word, 0x20) | plain_equal(word, '"') |
		        plain_equal(word, '\\') | plain_equal(word, 0x7F);
		stops &= PLAIN_EACH(0x80);
		if (stops)
			return n + (size_t)__builtin_ctzll(stops) / 8;
	}
	return n;
}

#endif
