/* The body of a request: see invite.h. */
#include "worker/core/invite.h"

#include "worker/core/context.h"
#include "worker/core/participant.h"

void invite_write_context(const struct invite *invite, struct bytes topic, struct buffer *out)
{
	const struct command *first = job_command(invite->batch.items[0].job);

	if (first->has_context) {
		buffer_append_json(out, command_text(first, first->client_context));
		return;
	}
	buffer_append_char(out, '"');
	context_write(&invite->batch, topic, out);
	buffer_append_char(out, '"');
}

void invite_write_body(const struct invite *invite, struct bytes topic, struct buffer *out)
{
	const struct batch *batch = &invite->batch;

	buffer_append_text(out, "{\"participants\":[");
	for (size_t i = 0; i < batch->n; i++) {
		const struct batch_item *item = &batch->items[i];

		if (i > 0)
			buffer_append_char(out, ',');
		participant_write(job_command(item->job), item->index, out);
	}
	buffer_append_text(out, "],\"clientContext\":");
	invite_write_context(invite, topic, out);
	buffer_append_char(out, '}');
}
