/* The driver: turns what happens into events for the engine, and performs what the engine wants
 * done.
 *
 * It owns the whole line from Kafka to Graph and back. Callbacks of its parts become events;
 * effects are performed after the step that asked for them; none of the parts calls back from
 * inside a request, so the engine is never entered twice. */
#ifndef WORKER_IO_DRIVER_H
#define WORKER_IO_DRIVER_H

#include "worker/base/log.h"
#include "worker/base/metrics.h"
#include "worker/core/policy.h"
#include "worker/io/delivery.h"
#include "worker/io/graph.h"
#include "worker/io/http.h"
#include "worker/io/polls.h"
#include "worker/io/tokens.h"

struct driver;

struct driver_options {
	struct policy policy;
	struct delivery_options delivery;
	struct http_options http;
	struct credential_options credential;
	struct token_options token; /* Of every tenant; the policy names them */
	struct graph_options graph;
	struct polls_options polls;
	duration_t drain_timeout; /* What is in hand may take so long to end */
};

enum driver_end {
	DRIVER_DRAINED,     /* Everything in hand was replied to and committed */
	DRIVER_OUT_OF_TIME, /* Something was left: it is read again by the next owner */
	DRIVER_FAILED       /* A part cannot go on; it was logged */
};

/* Fires once, from the loop, when everything is closed; the driver is freed right after it. */
typedef void (*driver_stopped_cb)(void *owner, enum driver_end end);

/* Borrows 'loop', 'log', 'metrics' and all that 'options' points to until it has stopped. NULL on
 * failure: run the loop until 'stopped' has fired all the same, what was begun is being closed. */
struct driver *driver_new(uv_loop_t *loop, const struct driver_options *options,
                          const struct log *log, struct metrics *metrics, driver_stopped_cb stopped,
                          void *owner, struct err *err) MUST_CHECK;

/* Join the group and begin. On failure call driver_stop(). */
int driver_start(struct driver *d, struct err *err) MUST_CHECK;

/* Finish what was begun, commit, leave the group, release everything. Again: does nothing. */
void driver_stop(struct driver *d);

/* A token that is lost later is no reason to send work elsewhere: the other workers have the same
 * credential, and commands lose nothing by waiting here. */
enum driver_health {
	DRIVER_UNREADY,  /* Not a member of the group, or there has never been a token */
	DRIVER_DEGRADED, /* Commands are taken, but wait */
	DRIVER_READY
};

/* How it is; unless all is well, a sentence for people goes into 'why'. */
enum driver_health driver_health(const struct driver *d, struct buffer *why);

#endif
