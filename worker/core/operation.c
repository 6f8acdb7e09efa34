/* The operation object of a reply: see operation.h. */
#include "worker/core/operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *string_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

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

static void write_lower(struct buffer *out, const char *text)
{
	char lower[32];
	size_t n = 0;

	for (; text && text[n] && n < sizeof(lower) - 1; n++)
		lower[n] = text[n] >= 'A' && text[n] <= 'Z' ? (char)(text[n] - 'A' + 'a') : text[n];
	lower[n] = '\0';
	buffer_append_json_text(out, n > 0 ? lower : NULL);
}

static int append_dumped(const char *data, size_t size, void *out)
{
	buffer_append(out, data, size);
	return 0;
}

static void write_result_info(struct buffer *out, const json_t *info)
{
	if (!json_is_object(info))
		buffer_append_text(out, "null");
	else if (json_dump_callback(info, append_dumped, out, JSON_COMPACT) != 0)
		out->failed = true;
}

bool operation_write(const json_t *operation, const struct answer *answer, const char *graph_url,
                     struct bytes call_id, struct buffer *out)
{
	struct bytes id = bytes_of(string_member(operation, "id"));

	if (id.size == 0 && answer->location)
		id = last_segment(answer->location);
	if (id.size == 0)
		return false;
	buffer_append_text(out, "{\"id\":");
	buffer_append_json(out, id);
	buffer_append_text(out, ",\"location\":");
	write_location(out, answer, graph_url, call_id, id);
	buffer_append_text(out, ",\"status\":");
	write_lower(out, string_member(operation, "status"));
	buffer_append_text(out, ",\"clientContext\":");
	buffer_append_json_text(out, string_member(operation, "clientContext"));
	buffer_append_text(out, ",\"httpStatus\":");
	buffer_append_int(out, answer->http_status);
	buffer_append_text(out, ",\"requestId\":");
	buffer_append_json_text(out, answer->request_id);
	buffer_append_text(out, ",\"clientRequestId\":");
	buffer_append_json_text(out, answer->client_request_id);
	buffer_append_text(out, ",\"resultInfo\":");
	write_result_info(out, json_object_get(operation, "resultInfo"));
	buffer_append_char(out, '}');
	return true;
}
