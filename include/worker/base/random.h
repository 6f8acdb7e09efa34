/* A small seeded generator (splitmix64), so that a history can be replayed from its seed. Not for
 * secrets. */
#ifndef WORKER_BASE_RANDOM_H
#define WORKER_BASE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

/* The same seed gives the same numbers. */
void random_init(struct random *r, uint64_t seed);

uint64_t random_next(struct random *r);

/* A number in [0, bound); 0 when bound is 0. */
uint64_t random_below(struct random *r, uint64_t bound);

/* Room for random_uuid(), with the final NUL. */
#define RANDOM_UUID_SIZE 37

/* Write a version 4 UUID (RFC 9562 section 5.4) in lower case. */
void random_uuid(struct random *r, char text[static RANDOM_UUID_SIZE]);

#endif
