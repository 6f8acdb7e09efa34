/* One librdkafka client on the loop: how it wakes the loop, what it logs, how it ends.
 *
 * librdkafka writes to an eventfd when a queue of the client has something; the loop then calls
 * `turn`. Its log lines and errors are served on the loop too: what stays the same is logged
 * once. */
#ifndef WORKER_IO_KAFKA_CLIENT_H
#define WORKER_IO_KAFKA_CLIENT_H

#include "worker/base/instant.h"
#include "worker/base/log.h"
#include "worker/io/kafka.h"

#include <uv.h>

struct kafka_client;

struct kafka_client_options {
	const char *name; /* Stands in the log; static */
	struct kafka_conf_options conf;
	/* Set more callbacks on the configuration; may be NULL. */
	void (*configure)(rd_kafka_conf_t *conf);
	/* Serve the client's queues. Fires from the loop only. */
	void (*turn)(void *owner);
	void *owner;
};

/* Borrows 'loop' and 'log'. Callbacks of librdkafka get the client as their opaque. */
struct kafka_client *kafka_client_new(uv_loop_t *loop, const struct kafka_client_options *options,
                                      const struct log *log, struct err *err) MUST_CHECK;

rd_kafka_t *kafka_client_handle(struct kafka_client *k);
void *kafka_client_owner(struct kafka_client *k);

/* Wake the loop when something arrives in this queue. Once per queue, before anything is in it. */
void kafka_client_watch(struct kafka_client *k, rd_kafka_queue_t *queue);

/* Have `turn` called again, in the next turn of the loop. */
void kafka_client_again(struct kafka_client *k);

/* Something went well: errors of before are over. */
void kafka_client_works(struct kafka_client *k);

/* Log an error of the client, unless it is the one that was logged last. A fatal one is kept for
 * kafka_client_fatal() instead. */
void kafka_client_report(struct kafka_client *k, rd_kafka_resp_err_t error, const char *text);

/* librdkafka's fatal error, or NULL; borrowed. */
const char *kafka_client_fatal(const struct kafka_client *k);

/* True from kafka_client_close() on; may be asked by callbacks of librdkafka on any thread. */
bool kafka_client_is_closing(struct kafka_client *k);

/* The handle is in use by another thread from enter to leave: it is not destroyed before. Enter
 * on the loop, leave anywhere. */
void kafka_client_enter(struct kafka_client *k);
void kafka_client_leave(struct kafka_client *k);

/* A 'finish' for kafka_client_close(): drop what a producer has on the way, so as to end at once.
 */
void kafka_client_purge(rd_kafka_t *rk);

/* End the client: 'finish' (which may block, and may be NULL) and the destruction run on a thread
 * of their own. A consumer leaves its group only if 'finish' does that. 'closed' fires when they
 * are done, or when 'deadline' has passed: then the thread is left to itself. The queues that were
 * given to kafka_client_watch() must be destroyed before. `turn` does not fire any more. */
void kafka_client_close(struct kafka_client *k, duration_t deadline, void (*finish)(rd_kafka_t *rk),
                        void (*closed)(void *owner));

#endif
