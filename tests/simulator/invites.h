/* The action …/participants/invite: what Graph checks, and what follows. */
#ifndef SIMULATOR_INVITES_H
#define SIMULATOR_INVITES_H

#include "simulator/exchange.h"

/* Read the body as far as it can be understood, for rules and journal. Refuses nothing. */
void invites_parse(struct exchange *exchange);

/* Check the invite and let it take effect, or refuse it. */
void invites_handle(struct exchange *exchange);

/* True when Graph looks at the first participant alone. */
bool invites_read_one(const struct exchange *exchange);

#endif
