/* The clocks of the shell. The core never asks them: it is told the time. */
#ifndef WORKER_IO_CLOCK_H
#define WORKER_IO_CLOCK_H

#include "worker/base/instant.h"

/* Monotonic, and goes on while the machine is suspended: what expires elsewhere expires here. */
instant_t clock_now(void);

/* The date. May be set back and forth. */
wall_t clock_wall(void);

#endif
