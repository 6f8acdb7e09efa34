/* A topic read from given offsets to its present end, by a tool that is no member of a group. Only
 * committed records are seen.
 *
 * A call blocks until the brokers have answered, at most for LETTERS_TIMEOUT. */
#ifndef WORKER_IO_LETTERS_H
#define WORKER_IO_LETTERS_H

#include "worker/base/instant.h"
#include "worker/core/record.h"
#include "worker/io/kafka.h"

#define LETTERS_TIMEOUT duration_ms(30 * 1000)

struct letters;

enum letters_result {
	LETTERS_RECORD,
	LETTERS_END,         /* A partition has nothing more at present */
	LETTERS_DUE,         /* Nothing has come yet, and the caller has something else to do */
	LETTERS_UNREACHABLE, /* No broker has answered as it must */
	LETTERS_REFUSED      /* The brokers do not allow it */
};

/* Copies what it is given. Contacts nothing yet. NULL on failure. */
struct letters *letters_new(const struct kafka_properties *kafka, const char *group,
                            const char *topic, struct err *err) MUST_CHECK;
void letters_free(struct letters *l);

/* Read partition i from starts[i] on; a negative one is not read. */
enum letters_result letters_begin(struct letters *l, const int64_t *starts, int32_t n,
                                  struct err *err) MUST_CHECK;

/* The next record, valid until the next call; or the end of a partition, of which '*ret' then says
 * 'partition' and 'offset', where the next record would stand. Waits until 'due' and little longer;
 * INSTANT_NEVER: as long as it may. */
enum letters_result letters_next(struct letters *l, instant_t due, struct record *ret,
                                 struct err *err) MUST_CHECK;

/* Take no more of a partition. */
void letters_leave(struct letters *l, int32_t partition);

#endif
