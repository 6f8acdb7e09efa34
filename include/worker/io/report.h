/* Log lines of what the engine wants people to know. */
#ifndef WORKER_IO_REPORT_H
#define WORKER_IO_REPORT_H

#include "worker/base/log.h"
#include "worker/core/effects.h"
#include "worker/core/policy.h"

/* Alerts, notices, and at debug level the engine's trace, a line each. */
void report_effects(const struct log *log, const struct policy *policy, const struct effects *f);

#endif
