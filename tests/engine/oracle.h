/* What must hold after every step of every history, counted independently of the engine. */
#ifndef TESTS_ENGINE_ORACLE_H
#define TESTS_ENGINE_ORACLE_H

#include "engine/world.h"

/* A request is to be sent: it was marked, its call has no other, it keeps the rules of batches, the
 * order of its call, and the rates. */
void oracle_post(struct world *w, const struct world_post *post);

/* A mark is asked for: the application's rate and the bound on requests in flight. */
void oracle_mark(struct world *w);

/* A reply or dead letter is to be written: at most one, unless one before was refused. */
void oracle_write(const struct world_command *command, enum write_kind kind);

/* An offset is stored: nothing below it is owed. */
void oracle_store(const struct world *w, int32_t partition, int64_t offset);

#endif
