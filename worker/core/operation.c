/* The operation object of a reply: see operation.h. */
#include "worker/core/operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last segment of a Location: the operation's id. */
static struct bytes last_segment(const char *location)
{
	const char *slash = strrchr(location, '/');

	return bytes_of(slash ? slash + 1 : location);
}

static void write_location(struct buffer *out, const struct answer *answer, const char *graph_url,
                           struct bytes call_id, struct bytes id)
{
	char *location;

	if (answer->location) {
		buffer_append_json_text(out, answer->location);
		return;
	}
	location = NULL;
	if (asprintf(&location, "%s/communications/calls/%.*s/operations/%.*s", graph_url,
	             (int)call_id.size, call_id.data, (int)id.size, id.data) < 0) {
		out->failed = true;
		return;
	}
	buffer_append_json_text(out, location);
	free(location);
}

static void write_lower(struct buffer *out, struct bytes text)
{
	char lower[32];
	size_t n = 0;

	for (; n < text.size && n < sizeof(lower); n++) {
		char c = text.data[n];

		lower[n] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	if (n > 0)
		buffer_append_json(out, (struct bytes){ lower, n });
	else
		buffer_append_text(out, "null");
}

static void write_string(struct buffer *out, const struct value *string)
{
	if (value_is(string, VALUE_STRING))
		buffer_append_json(out, string->text);
	else
		buffer_append_text(out, "null");
}

static void write_object(struct buffer *out, const struct value *object)
{
	if (value_is(object, VALUE_OBJECT))
		buffer_append_bytes(out, object->raw);
	else
		buffer_append_text(out, "null");
}

bool operation_write(const struct value *operation, const struct answer *answer,
                     const char *graph_url, struct bytes call_id, struct buffer *out)
{
	struct bytes id = value_text(value_member(operation, "id"));

	if (id.size == 0 && answer->location)
		id = last_segment(answer->location);
	if (id.size == 0)
		return false;
	buffer_append_text(out, "{\"id\":");
	buffer_append_json(out, id);
	buffer_append_text(out, ",\"location\":");
	write_location(out, answer, graph_url, call_id, id);
	buffer_append_text(out, ",\"status\":");
	write_lower(out, value_text(value_member(operation, "status")));
	buffer_append_text(out, ",\"clientContext\":");
	write_string(out, value_member(operation, "clientContext"));
	buffer_append_text(out, ",\"httpStatus\":");
	buffer_append_int(out, answer->http_status);
	buffer_append_text(out, ",\"requestId\":");
	buffer_append_json_text(out, answer->request_id);
	buffer_append_text(out, ",\"clientRequestId\":");
	buffer_append_json_text(out, answer->client_request_id);
	buffer_append_text(out, ",\"resultInfo\":");
	write_object(out, value_member(operation, "resultInfo"));
	buffer_append_char(out, '}');
	return true;
}
