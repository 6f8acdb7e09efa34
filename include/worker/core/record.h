/* A Kafka record as the core sees it: borrowed bytes and where they came from. */
#ifndef WORKER_CORE_RECORD_H
#define WORKER_CORE_RECORD_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"
#include "worker/base/instant.h"

#include <stdint.h>

struct record_header {
	struct bytes name;
	struct bytes value;
	bool is_null; /* Kafka tells a null value from an empty one */
};

struct record {
	struct bytes topic;
	int32_t partition;
	int64_t offset;
	wall_t timestamp; /* As the producer or the broker set it; 0 when unknown */
	bool has_key;
	struct bytes key;
	struct bytes value; /* Empty for a null value too */
	const struct record_header *headers;
	size_t n_headers;
};

/* With this header a record is worked on although its commandId came before. */
#define RECORD_REDRIVE "redrive"

/* The headers that tell of a dead letter why it is one, and where from, begin with this. */
#define RECORD_DEAD_LETTER "dead-letter-"

/* True for one of those. */
bool record_is_dead_letter_header(struct bytes name);

/* Most bytes of a record, its headers included, that a copy is made of. Far more than the contract
 * allows a command; what is over it has headers without measure. */
#define RECORD_COPY_MAX (256 * 1024)

/* Bytes of key, value and headers. */
size_t record_size(const struct record *record);

/* A copy of everything in one allocation, for free(); NULL when there is no memory. */
struct record *record_copy(const struct record *record) MUST_CHECK;

#endif
