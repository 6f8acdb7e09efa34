/* The way out: requests that have their marks leave as soon as there is room among those in flight.
 *
 * A mark is asked for before there is room, so that what limits a worker is what Graph bears and
 * not how long a mark takes. What waits here was not sent: it can still be taken back. */
#ifndef WORKER_CORE_DEPARTURE_H
#define WORKER_CORE_DEPARTURE_H

#include "worker/core/state.h"

/* The request has its mark, and no other of its call is in flight: it stands behind those of its
 * application. */
void departure_add(struct engine *e, struct invite *invite);

/* The request, which was not sent, never is: it loses its place and its tokens. Its call still
 * refers to it. */
void departure_cancel(struct engine *e, struct invite *invite);

/* Let go what there is room for, the applications in turn. What may not be sent for now, or no
 * more, is taken back. */
void departure_run(struct engine *e);

#endif
