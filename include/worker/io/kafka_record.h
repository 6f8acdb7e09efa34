/* A message of librdkafka's as a record of the core's. */
#ifndef WORKER_IO_KAFKA_RECORD_H
#define WORKER_IO_KAFKA_RECORD_H

#include "worker/core/record.h"
#include "worker/io/kafka.h"

/* Room for the headers of one record, used again for each. Zero at first. */
struct kafka_record_room {
	struct record_header *headers; /* Owned */
	size_t capacity;
};

void kafka_record_close(struct kafka_record_room *room);

/* 'ret' borrows from the message and from 'room', until either is used for the next record. */
void kafka_record_read(struct kafka_record_room *room, const rd_kafka_message_t *message,
                       const char *topic, struct record *ret);

#endif
