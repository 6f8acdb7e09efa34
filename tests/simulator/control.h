/* The control API under /control, by which a test steers the simulator while it runs. See
 * README.md. */
#ifndef SIMULATOR_CONTROL_H
#define SIMULATOR_CONTROL_H

#include "simulator/exchange.h"

/* Do what the request asks and answer it. */
void control_handle(struct exchange *exchange);

#endif
