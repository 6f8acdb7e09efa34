/* What a command is answered with, and how far the writing of that is. Made when there is something
 * to say: what waits has none. */
#ifndef WORKER_CORE_RESPONSE_H
#define WORKER_CORE_RESPONSE_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct job;

/* A list of JSON texts, in one piece of memory; no list is an empty one. */
struct fragments {
	uint32_t size;
	int16_t count;
	char texts[]; /* One after another, a NUL behind each */
};

/* One record on its way out for a job: its reply, or its dead letter. */
struct write {
	uint64_t id; /* SLOTS_NONE when it is not on its way */
	bool is_dead_letter;
	bool is_staged; /* It is in the open transaction */
	bool is_stored;
	uint8_t tries; /* Times that it was refused for good */
};

struct response {
	struct job *job;
	struct fragments *operations; /* Owned, as 'errors' */
	struct fragments *errors;
	struct write reply;
	struct write dead_letter;
};

/* NULL when there is no memory. */
struct response *response_new(struct job *job) MUST_CHECK;
void response_free(struct response *response);

static inline int16_t fragments_count(const struct fragments *f)
{
	return f ? f->count : 0;
}

/* The text with that index, which must be there. */
const char *fragments_text(const struct fragments *f, int16_t index);

/* Add a JSON text to a list, which may move; its index, or -1 when there is no memory. */
int16_t fragments_add(struct fragments **list, struct bytes json) MUST_CHECK;

/* The job that a record is written for. */
struct job *write_job(struct write *write);

/* The job's other record. */
struct write *write_twin(struct write *write);

#endif
