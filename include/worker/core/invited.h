/* What the last commands of a partition asked for: whom they invite to which call, and with which
 * clientContext.
 *
 * That an identity is on a call's roster, or that an operation carries a caller's context, proves
 * nothing for a command when another one may have put it there. Bounded as the history is, and in
 * number too, since an offset that stands lets any number of commands pass it. */
#ifndef WORKER_CORE_INVITED_H
#define WORKER_CORE_INVITED_H

#include "worker/core/command.h"

struct invited_entry {
	uint64_t hash;
	int64_t offset;
};

struct invited_bounds {
	size_t offsets; /* Back from the frontier, that count */
	size_t entries; /* A command has one for each participant, and one for its context */
};

struct invited {
	struct invited_entry *entries; /* Owned; in the order of their arrival */
	size_t first, n, capacity;     /* Those before 'first' count no more */
	struct invited_bounds bounds;
	int64_t forgotten; /* The last offset that did not fit; -1: all did */
};

void invited_init(struct invited *v, const struct invited_bounds *bounds);
void invited_close(struct invited *v);

/* Note what the command at 'offset' asks for. What lies too far behind 'frontier' is forgotten, and
 * the oldest when there are too many. False when there is no memory. */
bool invited_note(struct invited *v, const struct command *command, int64_t offset,
                  int64_t frontier) MUST_CHECK;

/* True when nothing that counts at this frontier is missing for want of room: only then it proves
 * something that no other command is found. */
bool invited_is_complete(const struct invited *v, int64_t frontier);

/* The next entry behind '*at', which begins at 0, of a command that invites the same participant to
 * the same call (of the same tenant), or gives the call the same context. NULL when there is none.
 */
const struct invited_entry *invited_identity(const struct invited *v, const struct command *command,
                                             size_t index, size_t *at);
const struct invited_entry *invited_context(const struct invited *v, const struct command *command,
                                            size_t *at);

#endif
