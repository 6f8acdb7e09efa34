/* What the last commands of a partition asked for: whom they invite to which call, and with which
 * clientContext.
 *
 * That an identity is on a call's roster, or that an operation carries a caller's context, proves
 * nothing for a command when another one may have put it there. Bounded as the history is. */
#ifndef WORKER_CORE_INVITED_H
#define WORKER_CORE_INVITED_H

#include "worker/core/command.h"

struct invited_entry {
	uint64_t hash;
	int64_t offset;
};

struct invited {
	struct invited_entry *entries; /* Owned; in the order of their arrival */
	size_t first, n, capacity;     /* Those before 'first' count no more */
	size_t limit;                  /* Offsets back from the frontier that count */
};

void invited_init(struct invited *v, size_t limit);
void invited_close(struct invited *v);

/* Note what the command at 'offset' asks for; what lies further behind 'frontier' than the limit is
 * forgotten. False when there is no memory. */
bool invited_note(struct invited *v, const struct command *command, int64_t offset,
                  int64_t frontier) MUST_CHECK;

/* The next entry behind '*at', which begins at 0, of a command that invites the same participant to
 * the same call (of the same tenant), or gives the call the same context. NULL when there is none.
 */
const struct invited_entry *invited_identity(const struct invited *v, const struct command *command,
                                             size_t index, size_t *at);
const struct invited_entry *invited_context(const struct invited *v, const struct command *command,
                                            size_t *at);

#endif
