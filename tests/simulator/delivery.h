/* Putting an answer on the wire, well or badly: late, in drips, cut, or as a reset connection. */
#ifndef SIMULATOR_DELIVERY_H
#define SIMULATOR_DELIVERY_H

#include "simulator/exchange.h"

#include "worker/base/err.h"

#include <uv.h>

struct deliveries {
	struct exchange *waiting; /* Suspended until they are due; the first is due first */
	int timer;      /* A timerfd: the loop's own timers know whole milliseconds only */
	uv_poll_t poll; /* On 'timer' */
};

/* On failure nothing is there to be closed. */
int deliveries_init(struct deliveries *deliveries, uv_loop_t *loop, struct err *err) MUST_CHECK;

/* Deliver what exchange_handle() prepared, at once or after its delay. The result is for
 * libmicrohttpd. */
enum MHD_Result delivery_start(struct exchange *exchange);

/* libmicrohttpd asks again, after a delay. */
enum MHD_Result delivery_resume(struct exchange *exchange);

/* Wake all that wait, so that their connections can be closed. */
void deliveries_abort(struct deliveries *deliveries);

/* When nobody waits any more. The loop must run once more to let go of the handle. */
void deliveries_close(struct deliveries *deliveries);

/* How an answer ended that libmicrohttpd sent to its end, or did not. */
enum exchange_end delivery_end(const struct exchange *exchange, bool complete);

#endif
