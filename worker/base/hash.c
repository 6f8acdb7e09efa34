/* Hashing: see hash.h. */
#include "worker/base/hash.h"

/* The library's functions as a part of this one: nothing of it is needed at run time. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(uint64_t before, struct bytes bytes)
{
	return XXH3_64bits_withSeed(bytes.data, bytes.size, before);
}

struct digest hash_digest(struct bytes bytes)
{
	XXH128_hash_t hash = XXH3_128bits(bytes.data, bytes.size);

	return (struct digest){ .low = hash.low64, .high = hash.high64 };
}
