/* A message of librdkafka's as a record of the core's: see kafka_record.h. */
#include "worker/io/kafka_record.h"

#include <stdlib.h>

void kafka_record_close(struct kafka_record_room *room)
{
	free(room->headers);
	*room = (struct kafka_record_room){ 0 };
}

static size_t take_headers(struct kafka_record_room *room, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	size_t n = 0;
	const char *name;
	const void *value;
	size_t size;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (rd_kafka_header_get_all(headers, n, &name, &value, &size) ==
	       RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (n == room->capacity) {
			room->capacity = n ? 2 * n : 16;
			room->headers =
			    realloc(room->headers, room->capacity * sizeof(*room->headers));
			CHECK(room->headers);
		}
		room->headers[n++] = (struct record_header){ .name = bytes_of(name),
			                                     .value = { value, size },
			                                     .is_null = !value };
	}
	return n;
}

void kafka_record_read(struct kafka_record_room *room, const rd_kafka_message_t *message,
                       const char *topic, struct record *ret)
{
	rd_kafka_timestamp_type_t type;
	int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
	/* A producer may set what it likes. */
	bool is_date = timestamp_ms > 0 && timestamp_ms <= INT64_MAX / 1000;

	*ret = (struct record){
		.topic = bytes_of(topic),
		.partition = message->partition,
		.offset = message->offset,
		.timestamp = { is_date ? timestamp_ms * 1000 : 0 },
		.has_key = message->key != NULL,
		.key = { message->key, message->key_len },
		.value = { message->payload, message->len },
		.n_headers = take_headers(room, message),
	};
	ret->headers = room->headers;
}
