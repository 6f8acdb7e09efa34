/* A record on its way to a topic, kept until it is known what became of it. */
#ifndef WORKER_IO_KAFKA_WRITE_H
#define WORKER_IO_KAFKA_WRITE_H

#include "worker/io/kafka.h"
#include "worker/io/publisher.h"

struct kafka_write {
	uint64_t id;
	char *topic; /* These three lie behind it, in its own allocation */
	char *key;
	char *value;
	size_t key_size;
	size_t value_size;
	bool has_key;
	rd_kafka_headers_t *headers; /* Owned; NULL: none */

	rd_kafka_resp_err_t error;   /* Of the last attempt */
	bool is_taken;               /* By librdkafka, in the last attempt */
	bool is_stored;              /* By the last attempt */
	bool is_suspect;             /* It failed in company: it is tried alone */
	bool is_chosen;              /* For the next batch */
	struct kafka_write *partner; /* Goes into the same batch; NULL: none */
	struct kafka_write *prev, *next;
};

/* A copy of everything. */
struct kafka_write *kafka_write_new(const struct publisher_write *write) MUST_CHECK;
void kafka_write_free(struct kafka_write *w);

/* librdkafka's form of headers, for the caller to destroy or give away. */
rd_kafka_headers_t *kafka_write_headers(const struct record_header *list, size_t n);

/* Give it to librdkafka, which makes a copy; the delivery report gets 'opaque'. */
rd_kafka_resp_err_t kafka_write_produce(struct kafka_write *w, rd_kafka_t *rk, void *opaque);

/* True for errors that say that this record will never be taken, so that trying again is in vain.
 */
bool kafka_write_is_refusal(rd_kafka_resp_err_t error);

#endif
