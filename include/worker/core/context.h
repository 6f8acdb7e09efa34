/* The clientContext of a request whose commands give none: it says what the request carried, so
 * that what Graph tells of it later can be joined to the commands without stored state.
 *
 *     iw:<topic>:<partition>:<command>[,<command>…]:<attempt>
 *
 * The topic is a hash of 8 hex digits. A command that the request carries whole is its offset. Of
 * one that is sent in several requests it carries runs of participants, which follow the offset:
 * "+<first>*<count>" each. Every number is decimal. */
#ifndef WORKER_CORE_CONTEXT_H
#define WORKER_CORE_CONTEXT_H

#include "worker/core/batch.h"

/* The most bytes that context_write() appends; a request carries at most BATCH_MAX participants. */
#define CONTEXT_SIZE_MAX COMMAND_CONTEXT_MAX

/* Append the context of a request that carries 'batch'. */
void context_write(const struct batch *batch, struct bytes topic, struct buffer *out);

/* A command that the request carried: whole, or a run of its participants. Of a command of which it
 * carried several runs there are several parts in a row. */
struct context_part {
	int64_t offset;
	size_t first;
	size_t count; /* 0: all of them */
};

/* What a context says. */
struct context {
	uint32_t topic; /* Short for its name: see context_is_of() */
	int32_t partition;
	uint32_t attempt;
	struct context_part parts[BATCH_MAX];
	size_t n; /* At least 1 */
};

/* False when 'text' is not of this form in every part, and so not of the worker's making. */
bool context_read(struct bytes text, struct context *ret) MUST_CHECK;

/* True when the commands lay in a topic of this name (or of one with the same hash). */
bool context_is_of(const struct context *context, struct bytes topic);

/* True when 'text' is of this form and says that the request carried the participant 'index' of the
 * command at 'offset'. */
bool context_covers(struct bytes text, struct bytes topic, int32_t partition, int64_t offset,
                    size_t index);

#endif
