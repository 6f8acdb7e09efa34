/* A record on its way to a topic: see kafka_write.h. */
#include "worker/io/kafka_write.h"

#include <stdlib.h>
#include <string.h>

/* Copy to '*room', which moves behind it. The copy is never NULL, so that an empty value stays an
 * empty value. */
static char *copy_bytes(struct bytes bytes, char **room)
{
	char *copy = *room;

	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	copy[bytes.size] = '\0';
	*room += bytes.size + 1;
	return copy;
}

rd_kafka_headers_t *kafka_write_headers(const struct record_header *list, size_t n)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(n);

	for (size_t i = 0; i < n; i++) {
		const struct record_header *h = &list[i];
		const char *value = h->value.size ? h->value.data : "";

		rd_kafka_header_add(headers, h->name.data, (ssize_t)h->name.size,
		                    h->is_null ? NULL : value, (ssize_t)h->value.size);
	}
	return headers;
}

struct kafka_write *kafka_write_new(const struct publisher_write *write)
{
	struct bytes topic = bytes_of(write->topic);
	struct bytes key = write->has_key ? write->key : (struct bytes){ 0 };
	struct kafka_write *w = malloc(sizeof(*w) + topic.size + key.size + write->value.size + 3);
	char *room = (char *)(w + 1);

	CHECK(w);
	*w = (struct kafka_write){ .id = write->id,
		                   .has_key = write->has_key,
		                   .key_size = key.size,
		                   .value_size = write->value.size,
		                   .headers =
		                       write->n_headers > 0
		                           ? kafka_write_headers(write->headers, write->n_headers)
		                           : NULL };
	w->topic = copy_bytes(topic, &room);
	w->key = copy_bytes(key, &room);
	w->value = copy_bytes(write->value, &room);
	return w;
}

void kafka_write_free(struct kafka_write *w)
{
	if (w->headers)
		rd_kafka_headers_destroy(w->headers);
	free(w);
}

/* librdkafka takes the headers with the record: it gets a copy, in case of another attempt. */
rd_kafka_resp_err_t kafka_write_produce(struct kafka_write *w, rd_kafka_t *rk, void *opaque)
{
	rd_kafka_headers_t *headers = w->headers ? rd_kafka_headers_copy(w->headers) : NULL;
	char *key = w->has_key ? w->key : NULL;

	w->is_stored = false;
	if (headers)
		w->error = rd_kafka_producev(
		    rk, RD_KAFKA_V_TOPIC(w->topic), RD_KAFKA_V_KEY(key, w->key_size),
		    RD_KAFKA_V_VALUE(w->value, w->value_size), RD_KAFKA_V_HEADERS(headers),
		    RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		    RD_KAFKA_V_END);
	else
		w->error = rd_kafka_producev(
		    rk, RD_KAFKA_V_TOPIC(w->topic), RD_KAFKA_V_KEY(key, w->key_size),
		    RD_KAFKA_V_VALUE(w->value, w->value_size), RD_KAFKA_V_OPAQUE(opaque),
		    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	w->is_taken = w->error == RD_KAFKA_RESP_ERR_NO_ERROR;
	if (headers && !w->is_taken)
		rd_kafka_headers_destroy(headers);
	return w->error;
}

bool kafka_write_is_refusal(rd_kafka_resp_err_t error)
{
	static const rd_kafka_resp_err_t refusals[] = {
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
		RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
		RD_KAFKA_RESP_ERR_INVALID_MSG,
		RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
		RD_KAFKA_RESP_ERR_INVALID_RECORD,
		RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
		RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
		RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
		RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
		RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
		RD_KAFKA_RESP_ERR__INVALID_ARG,
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		if (error == refusals[i])
			return true;
	}
	return false;
}
