/* Asks Graph for operations that were accepted, until they have ended, and writes what is learnt to
 * the outcomes topic by a producer of its own. Which, and when: core/poll.h. */
#ifndef WORKER_IO_POLLS_H
#define WORKER_IO_POLLS_H

#include "worker/base/log.h"
#include "worker/base/metrics.h"
#include "worker/core/poll.h"
#include "worker/io/graph.h"
#include "worker/io/kafka.h"

struct polls;

struct polls_options {
	bool is_wanted;
	struct poll_policy policy;
	const char *outcomes_topic;
	struct kafka_properties kafka;
	duration_t leave_deadline; /* What is on its way may take so long to be stored */
};

struct polls_callbacks {
	void *owner;
	/* The producer cannot go on: the worker must stop. Fires once. */
	void (*fatal)(void *owner, const char *message);
};

/* Borrows all but the callbacks. NULL on failure. */
struct polls *polls_new(uv_loop_t *loop, const struct polls_options *options,
                        const struct polls_callbacks *callbacks, const struct log *log,
                        struct metrics *metrics, struct err *err) MUST_CHECK;

/* Graph has accepted an operation. It is asked for by 'graph', which must call polls_answered(). */
void polls_follow(struct polls *p, struct graph *graph, const struct effect_follow *operation);

/* See graph_callbacks.polled. */
void polls_answered(struct polls *p, uint64_t look_id, const struct answer *answer);

/* Forget all operations, wait for what is on its way, release everything. No question may be
 * answered any more: close the graph first. */
void polls_close(struct polls *p, void (*closed)(void *owner), void *owner);

#endif
