/* What must hold after every step of every history, counted independently of the engine. */
#ifndef TESTS_ENGINE_ORACLE_H
#define TESTS_ENGINE_ORACLE_H

#include "engine/world.h"

/* A request is to be sent: its call has no other, it keeps the rules of batches, the order of its
 * call, the bound on requests in flight, and the rates. */
void oracle_post(struct world *w, const struct world_post *post);

/* A mark is asked for: the bound on what is begun. */
void oracle_mark(struct world *w);

/* The step in which the mark of the request was asked for that is to be sent; it is used up. */
unsigned oracle_mark_of(struct world *w, uint64_t invite_id);

/* A reply or dead letter is to be written: at most one, unless one before was refused. */
void oracle_write(const struct world_command *command, enum write_kind kind);

/* Its reply is stored, or in the open transaction if 'staged' counts; without transactions also all
 * else that is written for it. */
bool oracle_is_replied(const struct world *w, const struct world_command *command, bool staged);

/* A question is asked: it counts as a request. */
void oracle_look(struct world *w, const struct world_look *look);

/* Operations were accepted: they are told only to who wants to know. Keeps the last one. */
void oracle_follows(struct world *w, const struct effects *effects);

/* A reply is to be written: it says nothing that Graph knows to be false. */
void oracle_reply(const struct world *w, const struct world_command *command);

/* Nobody was invited twice, unless the command allows it. For the end of a history. */
void oracle_invites(const struct world *w);

/* The maps after a step: they can be read, they pass no offset without a reply, and they say of
 * everything that is on its way that it may have been sent. Keeps the frontier. */
void oracle_maps(struct world *w, enum event_type type, const struct effects *effects);

#endif
