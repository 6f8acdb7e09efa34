/* Evidence that Graph has an invite whose answer was never seen.
 *
 * Best first: an operation of the call that carries the request's clientContext (GET …/operations;
 * exists, undocumented for invites); else the identity on the call's roster (GET …/participants,
 * needs Calls.JoinGroupCall.All). Pure reading of what Graph answered. */
#ifndef WORKER_CORE_EVIDENCE_H
#define WORKER_CORE_EVIDENCE_H

#include "worker/base/buffer.h"
#include "worker/core/answer.h"
#include "worker/core/command.h"

struct evidence; /* The operations or the roster of one call, read */

/* Read the answer to GET …/operations or GET …/participants. '*ret' is NULL when it holds nothing
 * that can be read: no answer, an error, not JSON, no array `value`. The caller frees it. False
 * when there is no memory, which is no reason to believe that nothing is there. */
bool evidence_read(const struct answer *answer, struct evidence **ret) MUST_CHECK;
void evidence_free(struct evidence *e);

/* An operation whose clientContext is exactly 'context'. Appends the operation object of the
 * contract (config/reply.schema.json) to 'operation', its Location built from 'graph_url',
 * 'call_id' and the id. False when there is none. */
bool evidence_find_context(const struct evidence *e, struct bytes context, const char *graph_url,
                           struct bytes call_id, struct buffer *operation) MUST_CHECK;

/* The same for a context of the worker's own making (context.h) that names 'offset' of 'partition'
 * and covers the participant 'index' of it. */
bool evidence_find_own(const struct evidence *e, struct bytes topic, int32_t partition,
                       int64_t offset, size_t index, const char *graph_url, struct bytes call_id,
                       struct buffer *operation) MUST_CHECK;

/* True when an identity is on the roster. */
bool evidence_has_identity(const struct evidence *e, struct identity identity);

#endif
