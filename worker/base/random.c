/* splitmix64: one word of state, good enough for jitter, ids of requests and seeded tests. */
#include "worker/base/random.h"

#include <inttypes.h>
#include <stdio.h>

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

void random_uuid(struct random *r, char text[static RANDOM_UUID_SIZE])
{
	uint64_t a = random_next(r);
	uint64_t b = random_next(r);

	snprintf(text, RANDOM_UUID_SIZE,
	         "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64, a >> 32,
	         (a >> 16) & 0xFFFF, a & 0xFFF, ((b >> 48) & 0x3FFF) | 0x8000, b & 0xFFFFFFFFFFFF);
}
