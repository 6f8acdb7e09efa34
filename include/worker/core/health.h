/* What an answer says of the service that gave it, whatever it says of the command.
 *
 * A service that refuses or throttles is well: it understood and decided. It is ill when it cannot
 * be reached, breaks off, takes too long, or says itself that something went wrong inside. */
#ifndef WORKER_CORE_HEALTH_H
#define WORKER_CORE_HEALTH_H

#include "worker/core/outcome.h"

enum health {
	HEALTH_NONE, /* It was not asked: no token, or this worker may not send */
	HEALTH_WELL,
	HEALTH_ILL
};

/* Of an answer and what outcome_judge() made of it. */
enum health health_of(const struct answer *answer, const struct outcome *outcome);

#endif
