/* The alarms of waiting calls, and of the application in each tenant, by libuv's timers: one for
 * all that are due in the same millisecond. */
#ifndef WORKER_IO_ALARMS_H
#define WORKER_IO_ALARMS_H

#include "worker/base/check.h"
#include "worker/base/instant.h"

#include <stdint.h>
#include <uv.h>

struct alarms;

/* The alarm with this id is due; it is cleared. Never fires from inside alarms_set(). */
typedef void (*alarms_cb)(void *owner, uint64_t id);

/* Borrows 'loop' until alarms_close() has called back. NULL when there is no memory. */
struct alarms *alarms_new(uv_loop_t *loop, alarms_cb cb, void *owner) MUST_CHECK;

/* Arm, move, or (INSTANT_NEVER) clear the alarm of 'id', an id of slots.h. 'now' and 'at'
 * are times of clock_now(). False when there is no memory. */
bool alarms_set(struct alarms *alarms, uint64_t id, instant_t at, instant_t now) MUST_CHECK;

/* Release all timers, then call 'closed'. */
void alarms_close(struct alarms *alarms, void (*closed)(void *owner), void *owner);

#endif
