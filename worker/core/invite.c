/* The body of a request: see invite.h. */
#include "worker/core/invite.h"

#include "worker/core/partition.h"

#include <inttypes.h>

/* A short name of the topic: 32 bits of FNV-1a, enough to tell a few topics apart. */
static uint32_t short_name(struct bytes topic)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < topic.size; i++)
		hash = (hash ^ (unsigned char)topic.data[i]) * UINT32_C(16777619);
	return hash;
}

/* As a JSON string: "iw:<topic>:<partition>:<offset>[,<offset>…]:<request>": at most 5 offsets, so
 * about 140 characters. */
static void write_own_context(const struct invite *invite, struct bytes topic, struct buffer *out)
{
	const struct batch *batch = &invite->batch;
	const struct job *last = NULL;

	buffer_printf(out, "\"iw:%08" PRIx32 ":%" PRId32, short_name(topic),
	              batch->items[0].job->partition->number);
	for (size_t i = 0; i < batch->n; i++) {
		const struct job *job = batch->items[i].job;

		if (job == last)
			continue;
		buffer_append_char(out, last ? ',' : ':');
		buffer_append_int(out, job->entry.offset);
		last = job;
	}
	buffer_printf(out, ":%" PRIu32 "\"", batch->items[0].job->attempts);
}

void invite_write_context(const struct invite *invite, struct bytes topic, struct buffer *out)
{
	const struct command *first = invite->batch.items[0].job->command;

	if (first->has_context)
		buffer_append_json(out, command_text(first, first->client_context));
	else
		write_own_context(invite, topic, out);
}

void invite_write_body(const struct invite *invite, struct bytes topic, struct buffer *out)
{
	const struct batch *batch = &invite->batch;

	buffer_append_text(out, "{\"participants\":[");
	for (size_t i = 0; i < batch->n; i++) {
		const struct command *command = batch->items[i].job->command;
		struct span json = command->participants[batch->items[i].index].json;

		if (i > 0)
			buffer_append_char(out, ',');
		buffer_append_bytes(out, command_text(command, json));
	}
	buffer_append_text(out, "],\"clientContext\":");
	invite_write_context(invite, topic, out);
	buffer_append_char(out, '}');
}
