/* splitmix64: one word of state, good enough for jitter, ids of requests and seeded tests. */
#include "worker/base/random.h"

void random_init(struct random *r, uint64_t seed)
{
	r->state = seed;
}

uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint64_t random_below(struct random *r, uint64_t bound)
{
	return bound ? random_next(r) % bound : 0;
}

static char *put_hex(char *to, uint64_t number, int digits, char behind)
{
	for (int i = digits; i-- > 0; number >>= 4)
		to[i] = "0123456789abcdef"[number & 0xF];
	to[digits] = behind;
	return to + digits + 1;
}

void random_uuid(struct random *r, char text[static RANDOM_UUID_SIZE])
{
	uint64_t a = random_next(r);
	uint64_t b = random_next(r);

	text = put_hex(text, a >> 32, 8, '-');
	text = put_hex(text, a >> 16, 4, '-');
	text = put_hex(text, (a & 0xFFF) | 0x4000, 4, '-');
	text = put_hex(text, ((b >> 48) & 0x3FFF) | 0x8000, 4, '-');
	put_hex(text, b, 12, '\0');
}
