/* The librdkafka client of the consumer: what it is told about the group and about fetching. */
#ifndef WORKER_IO_CONSUMER_CLIENT_H
#define WORKER_IO_CONSUMER_CLIENT_H

#include "worker/io/kafka_client.h"

struct consumer_client {
	const char *group;       /* Borrowed, as all of these */
	const char *instance_id; /* NULL: a dynamic member */
	struct kafka_properties properties;
	duration_t session_timeout;
	/* As in kafka_client_options; has to call consumer_client_tune(). */
	void (*configure)(rd_kafka_conf_t *conf);
	void (*turn)(void *owner);
	void *owner;
};

/* Configured alike each time. Borrows 'loop' and 'log'. */
struct kafka_client *consumer_client_new(uv_loop_t *loop, const struct consumer_client *options,
                                         const struct log *log, struct err *err) MUST_CHECK;

/* With so many records in its queue the client does not fetch (queued.min.messages). */
size_t consumer_client_ahead(struct kafka_client *client);

/* Set what only newer versions of librdkafka know. */
void consumer_client_tune(rd_kafka_conf_t *conf);

#endif
