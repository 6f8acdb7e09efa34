/* Requests of which nobody knows what became of them: looking for evidence, and what follows from
 * it.
 *
 * A crash between the mark and the reply, or an answer that never came, leaves participants in
 * doubt. After the settle time, when nothing can be on its way any more, Graph is asked: first for
 * the call's operations, then for its roster. What is found is reconciled; what is not is unknown,
 * or sent once more if the command allows it. */
#ifndef WORKER_CORE_DOUBT_H
#define WORKER_CORE_DOUBT_H

#include "worker/core/state.h"

/* What is known of the doubts of a call, and of asking about them. */
struct doubt {
	instant_t since;     /* There has been one without a break */
	instant_t until;     /* What may still be on its way has arrived by then */
	instant_t looked_at; /* When the last look began */
	uint64_t look_id;    /* While evidence is looked for; else SLOTS_NONE */
	bool look_at_roster; /* That look is at the roster, not at the operations */
	uint8_t looks;       /* In a row without an answer */
};

/* Ask Graph about the call, whose doubts come first; it is BUSY until the answer. */
void doubt_look(struct engine *e, struct call *call);

/* There is nowhere to look, or no use in looking any longer: decide without evidence. */
void doubt_give_up(struct engine *e, struct call *call);

/* What came back. */
void doubt_judge(struct engine *e, struct call *call, const struct answer *answer);

/* A job whose offset the owner before had begun: its participants are in doubt as far as the map
 * says. */
void doubt_inherit(struct engine *e, struct job *job, const struct map_entry *entry);

#endif
