/* The one lane of offset commits of a simulated worker: see worker/io/committer.h. */
#ifndef SIMULATION_LANE_H
#define SIMULATION_LANE_H

#include "simulation/shell.h"

void lane_reset(struct shell *s);
void lane_mark(struct shell *s, int32_t partition, uint64_t invite_id);
void lane_forget(struct shell *s, int32_t partition);
bool lane_may_send(const struct shell *s);
void lane_begin(struct shell *s);
void lane_end(struct shell *s, bool committed, bool unclear);
bool lane_is_idle(const struct shell *s);
void lane_flush(struct shell *s);

#endif
