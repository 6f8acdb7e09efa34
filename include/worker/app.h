/* The service: one loop, the driver, the admin server, the signals. */
#ifndef WORKER_APP_H
#define WORKER_APP_H

#include "worker/base/check.h"
#include "worker/config.h"

/* Run until SIGTERM or SIGINT, or until a part cannot go on. Returns the exit code (sysexits.h): 0,
 * 69 when a part failed, 75 when draining ran out of time or its last commit had no answer. */
int app_run(const struct config *config) MUST_CHECK;

#endif
