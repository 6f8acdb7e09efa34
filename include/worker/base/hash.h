/* Hashes of bytes, for what is remembered and compared in memory: XXH3, by the xxHash library. Not
 * for what is stored, and no signatures: who wants two texts of one hash finds them. */
#ifndef WORKER_BASE_HASH_H
#define WORKER_BASE_HASH_H

#include "worker/base/bytes.h"

#include <stdint.h>

/* 64 bits, of 'bytes' behind what has the hash 'before'; 0: there is nothing before. */
uint64_t hash_bytes(uint64_t before, struct bytes bytes);

/* 128 bits: two texts that do not seek each other have different ones. */
struct digest {
	uint64_t low, high;
};

struct digest hash_digest(struct bytes bytes);

/* uthash's own function goes through a key byte by byte. */
#define HASH_FUNCTION(key, size, hash)                                                             \
	((hash) = (unsigned)hash_bytes(0, (struct bytes){ (const char *)(key), (size) }))

/* Without memory an object is not added: its hh.tbl stays NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
