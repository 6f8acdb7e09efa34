/* The record of an operation's end: see ending.h. */
#include "worker/core/ending.h"

#include "worker/core/command.h"
#include "worker/core/context.h"

#include <strings.h>

/* A longer message of Graph's is cut; the rest of the record has bounds of its own. */
#define MESSAGE_MAX 8192

static struct bytes string_member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return (struct bytes){ json_string_value(value), json_string_length(value) };
}

/* Graph writes it in either case. */
static bool has_status(const json_t *operation, const char *status)
{
	const char *text = json_string_value(json_object_get(operation, "status"));

	return text && strcasecmp(text, status) == 0;
}

bool ending_is_end(const json_t *operation)
{
	return has_status(operation, "completed") || has_status(operation, "failed");
}

void ending_read(const json_t *operation, struct ending *ret)
{
	struct bytes id = string_member(operation, "id");
	struct bytes context = string_member(operation, "clientContext");
	const json_t *info = json_object_get(operation, "resultInfo");

	ret->has_failed = has_status(operation, "failed");
	if (identity_is_call_id(id))
		ret->operation_id = id;
	if (context.size > 0 && command_count_characters(context) <= COMMAND_CONTEXT_MAX)
		ret->context = context;
	ret->result_info = json_is_object(info) ? info : NULL;
}

static void write_text(struct buffer *out, struct bytes text)
{
	if (text.size == 0)
		buffer_append_text(out, "null");
	else
		buffer_append_json(out, text);
}

/* The same for every record of the same operation, wherever its end was learnt. */
static void write_id(const struct ending *e, struct buffer *out)
{
	char room[IDENTITY_GUID_SIZE];
	struct buffer id;

	buffer_init(&id, ENDING_SIZE_MAX);
	buffer_append_bytes(&id, identity_plain(e->call_id, room));
	if (e->operation_id.size > 0) {
		buffer_append_char(&id, ':');
		buffer_append_bytes(&id, identity_plain(e->operation_id, room));
	} else {
		buffer_append_text(&id, ":context:");
		buffer_append_bytes(&id, e->context);
	}
	buffer_append_json(out, buffer_bytes(&id));
	out->failed = out->failed || id.failed;
	buffer_close(&id);
}

static void write_integer(struct buffer *out, const json_t *value)
{
	if (json_is_integer(value))
		buffer_append_int(out, json_integer_value(value));
	else
		buffer_append_text(out, "null");
}

static void write_message(struct buffer *out, struct bytes message)
{
	if (message.size > MESSAGE_MAX) {
		message.size = MESSAGE_MAX;
		while (((unsigned char)message.data[message.size] & 0xC0) == 0x80)
			message.size--;
	}
	write_text(out, message);
}

/* Its documented members: what else there may be has no bound. */
static void write_result_info(struct buffer *out, const json_t *info)
{
	if (!info) {
		buffer_append_text(out, "null");
		return;
	}
	buffer_append_text(out, "{\"code\":");
	write_integer(out, json_object_get(info, "code"));
	buffer_append_text(out, ",\"subcode\":");
	write_integer(out, json_object_get(info, "subcode"));
	buffer_append_text(out, ",\"message\":");
	write_message(out, string_member(info, "message"));
	buffer_append_char(out, '}');
}

/* The participants of one command, of which the parts from 'at' on tell; returns the part behind
 * them. */
static size_t write_participants(struct buffer *out, const struct context *context, size_t at)
{
	int64_t offset = context->parts[at].offset;

	if (context->parts[at].count == 0) {
		buffer_append_text(out, "null");
		return at + 1;
	}
	for (char before = '['; at < context->n && context->parts[at].offset == offset; at++) {
		const struct context_part *part = &context->parts[at];

		for (size_t i = 0; i < part->count; i++, before = ',') {
			buffer_append_char(out, before);
			buffer_append_int(out, (int64_t)(part->first + i));
		}
	}
	buffer_append_char(out, ']');
	return at;
}

/* Where the request's commands stand; null when only the caller can know. */
static void write_commands(struct buffer *out, struct bytes text, struct bytes topic)
{
	struct context context;

	if (!context_read(text, &context) || !context_is_of(&context, topic)) {
		buffer_append_text(out, "null");
		return;
	}
	for (size_t at = 0; at < context.n;) {
		buffer_append_text(out, at == 0 ? "[{\"topic\":" : ",{\"topic\":");
		buffer_append_json(out, topic);
		buffer_append_text(out, ",\"partition\":");
		buffer_append_int(out, context.partition);
		buffer_append_text(out, ",\"offset\":");
		buffer_append_int(out, context.parts[at].offset);
		buffer_append_text(out, ",\"participants\":");
		at = write_participants(out, &context, at);
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
}

void ending_write(const struct ending *e, struct bytes topic, struct buffer *out)
{
	char room[IDENTITY_GUID_SIZE];

	buffer_append_text(out, "{\"outcomeId\":");
	write_id(e, out);
	buffer_append_text(out, ",\"callId\":");
	buffer_append_json(out, e->call_id);
	buffer_append_text(out, ",\"operationId\":");
	write_text(out, identity_plain(e->operation_id, room));
	buffer_append_text(out, ",\"status\":");
	buffer_append_text(out, e->has_failed ? "\"failed\"" : "\"completed\"");
	buffer_append_text(out, ",\"resultInfo\":");
	write_result_info(out, e->result_info);
	buffer_append_text(out, ",\"clientContext\":");
	write_text(out, e->context);
	buffer_append_text(out, ",\"commands\":");
	write_commands(out, e->context, topic);
	buffer_append_text(out, ",\"source\":");
	buffer_append_text(out, e->source == ENDING_POLLED ? "\"poll\"" : "\"notification\"");
	buffer_append_char(out, '}');
}
