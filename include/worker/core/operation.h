/* Graph's inviteParticipantsOperation, as a reply tells of it. */
#ifndef WORKER_CORE_OPERATION_H
#define WORKER_CORE_OPERATION_H

#include "worker/base/document.h"
#include "worker/core/answer.h"

/* Append the operation object of the contract (config/reply.schema.json). 'operation' is what Graph
 * answered, or NULL when its body was empty or null; 'answer' is what it came in. A Location that
 * the answer does not have is built from 'graph_url', 'call_id' and the id. False, and nothing is
 * appended, when nothing says which operation it is. */
bool operation_write(const struct value *operation, const struct answer *answer,
                     const char *graph_url, struct bytes call_id, struct buffer *out) MUST_CHECK;

#endif
