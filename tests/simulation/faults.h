/* What goes wrong on purpose: workers crash, stop for a while, lose the broker, leave and come
 * back. */
#ifndef SIMULATION_FAULTS_H
#define SIMULATION_FAULTS_H

#include "simulation/world.h"

/* The faults of the plan, and the starts of its workers. */
void faults_schedule(struct world *w);

/* A worker crashes now, unless it is down, and starts again after so long. */
void faults_crash(struct world *w, unsigned worker, int64_t length_us);

#endif
