/* What an answer from Graph does to the commands of its request, and to what may be sent after it.
 */
#ifndef WORKER_CORE_SETTLE_H
#define WORKER_CORE_SETTLE_H

#include "worker/core/state.h"

/* An invite that was not sent yet is not sent at all: a command of it has expired meanwhile or was
 * withdrawn, nothing may be sent for now, or the partition is to be given back. The invite may be
 * used for another request then. */
void settle_unsent(struct engine *e, struct invite *invite);

/* An answer to an invite that is in flight, which may be used for another request then. */
void settle_answer(struct engine *e, struct invite *invite, const struct answer *answer);

#endif
