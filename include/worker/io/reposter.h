/* Puts records into a topic, and commits in the same transaction how far the topic that they come
 * from is worked off: both happen, or neither does.
 *
 * Of several with one transactional id the last one works; those before it are refused from then
 * on. Every call blocks until the brokers have answered or REPOSTER_TIMEOUT is over. */
#ifndef WORKER_IO_REPOSTER_H
#define WORKER_IO_REPOSTER_H

#include "worker/base/instant.h"
#include "worker/core/record.h"
#include "worker/io/kafka.h"

#define REPOSTER_TIMEOUT duration_ms(30 * 1000)

struct reposter;

enum reposter_result {
	REPOSTER_OK,
	REPOSTER_UNREACHABLE, /* No broker has answered as it must */
	REPOSTER_REFUSED      /* The brokers do not allow it */
};

struct reposter_options {
	const struct kafka_properties *kafka;
	const char *transactional_id;
	const char *group;  /* Whose offsets are committed; it has no member */
	const char *source; /* The topic of the offsets */
	const char *target; /* That of the records */
};

/* What is committed of a partition of the source. */
struct reposter_position {
	int32_t partition;
	int64_t offset;
	struct bytes metadata; /* Without a NUL */
};

/* Copies what it is given. Contacts nothing yet. NULL on failure. */
struct reposter *reposter_new(const struct reposter_options *options, struct err *err) MUST_CHECK;

/* What is not committed is aborted, at the latest by the next one of that id. */
void reposter_free(struct reposter *r);

/* Take over from all before it; to be called once, and first. What they had open is aborted. */
enum reposter_result reposter_begin(struct reposter *r, struct err *err) MUST_CHECK;

/* Put a record, of which topic, offset and timestamp do not count, into record->partition;
 * negative: where producers put its key. After a failure only reposter_free() is left. */
enum reposter_result reposter_put(struct reposter *r, const struct record *record,
                                  struct err *err) MUST_CHECK;

/* Commit all that was put since the last time, with the positions. Without a record nothing
 * happens. Likewise after a failure. */
enum reposter_result reposter_commit(struct reposter *r, const struct reposter_position *positions,
                                     size_t n, struct err *err) MUST_CHECK;

#endif
