/* How long to stay away after a failure: exponential backoff with jitter, and Retry-After. */
#ifndef WORKER_CORE_RETRY_H
#define WORKER_CORE_RETRY_H

#include "worker/base/instant.h"
#include "worker/base/random.h"

/* The pause before try number 'failures' + 1 (failures at least 1): 'base' doubled for each failure
 * but the first, at most 'cap', of which the last quarter is random. */
duration_t retry_backoff(duration_t base, duration_t cap, unsigned failures, struct random *random);

/* Read a Retry-After value: whole seconds, decimal seconds (both seen from Graph) or an HTTP-date,
 * RFC 9110 section 10.2.3. Rounded up to the microsecond; a date in the past is 0. False when it is
 * none of these. */
bool retry_after_parse(const char *text, wall_t now, duration_t *ret);

#endif
