/* From the notifications that a bot forwards to the outcomes topic.
 *
 * A consumer group and a producer of its own, so that nothing here can hold up an invite. Each
 * record is read by core/notification.h; what follows from it is written to the outcomes topic, and
 * its offset is committed when all of that is stored: at-least-once, and nothing else is
 * remembered. Junk is counted, logged and passed over: it stays where it is, and the log says
 * where. */
#ifndef WORKER_IO_NOTIFICATIONS_H
#define WORKER_IO_NOTIFICATIONS_H

#include "worker/base/log.h"
#include "worker/base/metrics.h"
#include "worker/io/delivery.h"

struct notifications;

struct notifications_options {
	const char *commands_topic; /* Places in it are named by the worker's own contexts */
	const char *outcomes_topic;
	/* Of the notifications' topic and group, at-least-once. */
	struct delivery_options delivery;
	duration_t drain_timeout; /* What is on its way may take so long to be stored */
};

/* Fires once, from the loop, when everything is closed; the memory is freed right after it.
 * 'has_failed': a part could not go on; it was logged. */
typedef void (*notifications_stopped_cb)(void *owner, bool has_failed);

/* Borrows 'loop', 'log', 'metrics' and all that 'options' points to until it has stopped. NULL on
 * failure, and 'stopped' never fires. */
struct notifications *notifications_new(uv_loop_t *loop,
                                        const struct notifications_options *options,
                                        notifications_stopped_cb stopped, void *owner,
                                        const struct log *log, struct metrics *metrics,
                                        struct err *err) MUST_CHECK;

/* Join the group. On failure call notifications_stop(). */
int notifications_start(struct notifications *n, struct err *err) MUST_CHECK;

/* Wait for what is on its way, commit, leave the group, release everything. Again: does nothing. */
void notifications_stop(struct notifications *n);

#endif
