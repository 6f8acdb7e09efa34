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

/* True when 'context' is of this form, in every part, and says that the request carried the
 * participant 'index' of the command at 'offset'. */
bool context_covers(struct bytes context, struct bytes topic, int32_t partition, int64_t offset,
                    size_t index);

#endif
