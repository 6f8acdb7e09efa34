/* Records of the simulated topic, and the steps of a world that only its own files take. */
#ifndef TESTS_ENGINE_RECORD_H
#define TESTS_ENGINE_RECORD_H

#include "engine/world.h"

wall_t world_wall(const struct world *w);

/* The world's name of a call. */
void world_name_call(char name[static WORLD_CALL_SIZE], struct bytes id, uint32_t tenant);

/* One event and its judgement. */
void world_step(struct world *w, struct event event);

/* The same, and what the world does by itself then. */
void world_happen(struct world *w, struct event event);

/* The request that is open for the longest time, or NULL. */
struct world_post *world_first_open(struct world *w);

/* No engine has the command any more; what is stored of it stays. */
void world_lose_command(struct world_command *c);

/* Note a dead letter of the command. With a value it is the record's. */
void world_take_letter(struct world_command *c, const struct effect_write *effect);

#endif
