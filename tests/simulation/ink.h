/* The transactions of a simulated worker: see worker/io/transaction.h. */
#ifndef SIMULATION_INK_H
#define SIMULATION_INK_H

#include "simulation/shell.h"

void ink_start(struct shell *s);
void ink_write(struct shell *s, const struct effect_write *write);
void ink_granted(struct shell *s);
void ink_reset(struct shell *s);

#endif
