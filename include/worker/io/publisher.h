/* Replies and dead letters on their way to Kafka: an idempotent producer with acks=all.
 *
 * Each write is reported exactly once, as stored or as refused for good; what the broker merely
 * does not answer stays with librdkafka, in order, for as long as it takes. */
#ifndef WORKER_IO_PUBLISHER_H
#define WORKER_IO_PUBLISHER_H

#include "worker/core/record.h"
#include "worker/io/kafka.h"

#include <uv.h>

struct publisher;

struct publisher_write {
	uint64_t id;      /* Given back with the result */
	uint64_t with_id; /* In one transaction with that one; 0: none. The publisher has none */
	const char *topic;
	bool has_key;
	struct bytes key;
	struct bytes value;
	const struct record_header *headers;
	size_t n_headers;
};

/* 'error' is NULL when the record is stored, else why it never will be; borrowed for the call.
 * Never fires from inside publisher_write(). */
typedef void (*publisher_cb)(void *owner, uint64_t id, const char *error);

/* Borrows 'loop' and 'log'; copies the rest. 'fatal' fires once, when the client
 * cannot go on or when it cannot be known whether a record was stored: the worker must stop, and
 * what had no result is done again after the restart. */
struct publisher *publisher_new(uv_loop_t *loop, const struct kafka_properties *kafka,
                                publisher_cb cb, void *owner,
                                void (*fatal)(void *owner, const char *message),
                                const struct log *log, struct err *err) MUST_CHECK;

/* Hand over one record; everything is copied. When librdkafka's queue is full it waits here, in
 * order: the caller bounds how much by publisher_pending(). */
void publisher_write(struct publisher *p, const struct publisher_write *write);

/* Writes without a result. */
size_t publisher_pending(const struct publisher *p);

/* Wait for the results of all writes, no longer than 'deadline', then release everything and
 * call 'closed'. Results are reported until then; writes that have none never get one. A client
 * that does not end in time is abandoned: the process is about to exit. */
void publisher_close(struct publisher *p, duration_t deadline, void (*closed)(void *owner),
                     void *owner);

#endif
