/* A simulated worker as a member of the consumer group: see worker/io/consumer.h. */
#ifndef SIMULATION_MEMBER_H
#define SIMULATION_MEMBER_H

#include "simulation/shell.h"

void member_join(struct shell *s);
void member_assign(struct world *w, unsigned slot, uint64_t member);
void member_rebalance(struct world *w, unsigned slot);
void member_check(struct shell *s); /* Send a heartbeat and see */
void member_lose(struct shell *s, const char *why);
void member_check_quiet(struct shell *s);
void member_released(struct shell *s); /* The producer has nothing open any more */
void member_flushed(struct shell *s);
void member_leave(struct shell *s);
void member_fetch(struct shell *s, int32_t partition);

#endif
