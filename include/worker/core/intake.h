/* From a record to a job: the way in. */
#ifndef WORKER_CORE_INTAKE_H
#define WORKER_CORE_INTAKE_H

#include "worker/core/state.h"

/* A record of a partition that is ours. */
void intake_record(struct engine *e, const struct record *record);

#endif
