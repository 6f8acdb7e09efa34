/* Replies as JSON: see reply.h. Written straight into the buffer: a tree in between would cost more
 * than all else of a command. */
#include "worker/core/reply.h"

static void append_piece(struct buffer *out, const struct command *command, struct piece piece)
{
	if (piece.size > 0)
		buffer_append_json(out, command_text(command, piece));
	else
		buffer_append_text(out, "null");
}

/* By the clock as it is set now: in one reply it never goes back. */
static void append_date(struct buffer *out, const struct reply_source *source, instant_t at)
{
	char text[WALL_TEXT_SIZE];

	if (instant_is_never(at)) {
		buffer_append_text(out, "null");
		return;
	}
	wall_format((wall_t){ source->date.us - instant_since(source->now, at).us }, text);
	buffer_append_json_text(out, text);
}

static void append_fragments(struct buffer *out, const struct fragments *f)
{
	const char *text = f ? f->texts : NULL;

	buffer_append_char(out, '[');
	for (int16_t i = 0; i < fragments_count(f); i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		buffer_append_text(out, text);
		text += strlen(text) + 1;
	}
	buffer_append_char(out, ']');
}

static void append_participants(struct buffer *out, const struct job *job)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < job->n_results; i++) {
		const struct result *result = &job->results[i];

		buffer_append_text(out, i > 0 ? ",{\"index\":" : "{\"index\":");
		buffer_append_int(out, (int64_t)i);
		buffer_append_text(out, ",\"status\":");
		buffer_append_json_text(out, status_text(result->status));
		buffer_append_text(out, ",\"operation\":");
		if (result->operation >= 0)
			buffer_append_int(out, result->operation);
		else
			buffer_append_text(out, "null");
		buffer_append_text(out, ",\"error\":");
		buffer_append_text(out, result->error >= 0
		                            ? fragments_text(job_errors(job), result->error)
		                            : "null");
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
}

/* The command's error is that of its first participant that has one. */
static void append_error(struct buffer *out, const struct job *job)
{
	const struct fragments *errors = job_errors(job);
	int16_t error = job->n_results == 0 && fragments_count(errors) > 0 ? 0 : -1;

	for (size_t i = 0; i < job->n_results && error < 0; i++)
		error = job->results[i].error;
	buffer_append_text(out, error >= 0 ? fragments_text(errors, error) : "null");
}

static void append_place(struct buffer *out, const struct reply_source *source, int64_t offset)
{
	buffer_append_text(out, "{\"topic\":");
	buffer_append_json(out, source->topic);
	buffer_append_text(out, ",\"partition\":");
	buffer_append_int(out, source->partition);
	buffer_append_text(out, ",\"offset\":");
	buffer_append_int(out, offset);
	buffer_append_char(out, '}');
}

/* Where the command came first. */
static void append_duplicate_of(struct buffer *out, const struct job *job,
                                const struct reply_source *source)
{
	int64_t first = job_duplicate_of(job);

	if (first < 0)
		buffer_append_text(out, "null");
	else
		append_place(out, source, first);
}

static void append_timing(struct buffer *out, const struct job *job,
                          const struct reply_source *source)
{
	static const char *const names[WAIT_COUNT] = {
#define WAIT(name, member, meaning) "\"" member "\":",
		WAIT_TABLE(WAIT)
#undef WAIT
	};

	buffer_append_text(out, ",\"timing\":{\"receivedAt\":");
	append_date(out, source, job->arrived);
	buffer_append_text(out, ",\"sentAt\":");
	append_date(out, source, job->sent);
	buffer_append_text(out, ",\"answeredAt\":");
	append_date(out, source, job->answered);
	buffer_append_text(out, ",\"waitedFor\":{");
	for (size_t i = 0; i < WAIT_COUNT; i++) {
		if (i > 0)
			buffer_append_char(out, ',');
		buffer_append_text(out, names[i]);
		buffer_append_int(out, job->waited.ms[i]);
	}
	buffer_append_text(out, "}}");
}

void reply_write(struct buffer *out, const struct job *job, const struct reply_source *source)
{
	static const char *const evidences[] = {
		[EVIDENCE_NONE] = NULL,
		[EVIDENCE_OPERATION] = "operation",
		[EVIDENCE_ROSTER] = "roster",
	};
	const struct command *command = job_command(job);

	buffer_append_text(out, "{\"commandId\":");
	append_piece(out, command, command->id);
	buffer_append_text(out, ",\"callId\":");
	append_piece(out, command, command->call_id);
	buffer_append_text(out, ",\"tenantId\":");
	buffer_append_json_text(out, source->tenant_id);
	buffer_append_text(out, ",\"status\":");
	buffer_append_json_text(out, status_text(job_status(job)));
	buffer_append_text(out, ",\"clientContext\":");
	append_piece(out, command, command->client_context);
	buffer_append_text(out, ",\"duplicateOf\":");
	append_duplicate_of(out, job, source);
	buffer_append_text(out, ",\"cancel\":");
	append_piece(out, command, command->target);
	buffer_append_text(out, ",\"operations\":");
	append_fragments(out, job_operations(job));
	buffer_append_text(out, ",\"participants\":");
	append_participants(out, job);
	buffer_append_text(out, ",\"error\":");
	append_error(out, job);
	buffer_append_text(out, ",\"evidence\":");
	buffer_append_json_text(out, evidences[job->evidence]);
	buffer_append_text(out, ",\"attempts\":");
	buffer_append_int(out, job->attempts);
	buffer_append_text(out, ",\"batch\":{\"commands\":");
	buffer_append_int(out, job->batch_commands);
	buffer_append_text(out, ",\"participants\":");
	buffer_append_int(out, job->batch_participants);
	buffer_append_char(out, '}');
	buffer_append_text(out, ",\"source\":");
	append_place(out, source, job->entry.offset);
	append_timing(out, job, source);
	buffer_append_char(out, '}');
}
