/* Who writes the commands. */
#ifndef SIMULATION_PRODUCER_H
#define SIMULATION_PRODUCER_H

#include "simulation/world.h"

/* All commands of the plan, each at its time. */
void producer_schedule(struct world *w);

/* The id of a call, "c0" and so on, and its number. */
#define PRODUCER_CALL_SIZE 16
void producer_call_id(unsigned call, char text[static PRODUCER_CALL_SIZE]);
unsigned producer_call(struct bytes id);

#endif
