/* Commands at work: see job.h. */
#include "worker/core/job.h"

#include "worker/base/slots.h"

#include <stdlib.h>

#define COPIED_VALUE_MAX 1024 /* Bytes of a header value; a longer one is not copied */

struct job *job_new(struct partition *partition, struct command *command)
{
	size_t n = command->n_participants;
	struct job *job = calloc(1, sizeof(*job) + n * sizeof(job->results[0]));

	if (!job)
		return NULL;
	job->partition = partition;
	job->command = command;
	job->n_results = n;
	job->duplicate_of = -1;
	job->reply.job = job;
	job->dead_letter.job = job;
	buffer_init(&job->headers, COPY_HEADERS_MAX * COPIED_VALUE_MAX);
	for (size_t i = 0; i < n; i++)
		job->results[i] =
		    (struct result){ .operation = -1, .error = -1, .unknown_error = -1 };
	return job;
}

static void fragments_free(struct fragments *f)
{
	for (int16_t i = 0; i < f->count; i++)
		free(f->texts[i]);
	free(f->texts);
}

void job_free(struct job *job)
{
	if (!job)
		return;
	fragments_free(&job->operations);
	fragments_free(&job->errors);
	buffer_close(&job->headers);
	free(job->copied);
	free(job->record);
	command_free(job->command);
	free(job);
}

static bool copy_header(struct job *job, const char *name, struct bytes value)
{
	struct copied_header *copied;

	if (value.size > COPIED_VALUE_MAX || job->n_copied == COPY_HEADERS_MAX)
		return true;
	if (!job->copied) {
		job->copied = calloc(COPY_HEADERS_MAX, sizeof(*job->copied));
		if (!job->copied)
			return false;
	}
	copied = &job->copied[job->n_copied++];
	copied->name = name;
	copied->value =
	    (struct span){ .start = (uint32_t)job->headers.size, .size = (uint32_t)value.size };
	buffer_append_bytes(&job->headers, value);
	return buffer_ok(&job->headers);
}

static const char *find_text(const struct text_list *list, struct bytes text)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_equal_text(text, list->texts[i]))
			return list->texts[i];
	return NULL;
}

bool job_copy_headers(struct job *job, const struct policy *policy, const struct record *record)
{
	job->reply_topic = policy->reply_topic;
	for (size_t i = 0; i < record->n_headers; i++) {
		const struct record_header *header = &record->headers[i];
		const char *name = find_text(&policy->copy_headers, header->name);

		if (name && !header->is_null && !copy_header(job, name, header->value))
			return false;
		if (bytes_equal_text(header->name, "reply-topic")) {
			const char *topic = find_text(&policy->reply_topics, header->value);

			if (topic)
				job->reply_topic = topic;
		}
	}
	return true;
}

int16_t fragments_add(struct fragments *f, struct bytes json)
{
	char **texts;
	char *copy;

	CHECK(f->count < INT16_MAX);
	texts = realloc(f->texts, ((size_t)f->count + 1) * sizeof(*texts));
	if (!texts)
		return -1;
	f->texts = texts;
	copy = malloc(json.size + 1);
	if (!copy)
		return -1;
	memcpy(copy, json.data, json.size);
	copy[json.size] = '\0';
	texts[f->count] = copy;
	return f->count++;
}

void job_reject(struct job *job)
{
	CHECK(job->n_done == 0);
	job->n_results = 0;
}

void job_decide(struct job *job, size_t index, enum status status, int16_t operation, int16_t error)
{
	struct result *result = &job->results[index];

	CHECK(result->delivery != DELIVERY_DONE);
	if (result->unknown_error >= 0 && status != STATUS_ACCEPTED &&
	    status != STATUS_RECONCILED && status != STATUS_UNKNOWN) {
		status = STATUS_UNKNOWN;
		error = result->unknown_error;
	}
	result->delivery = DELIVERY_DONE;
	result->status = status;
	result->operation = operation;
	result->error = error;
	job->n_done++;
	while (job->first_new < job->n_results &&
	       job->results[job->first_new].delivery == DELIVERY_DONE)
		job->first_new++;
}

void job_follow(struct job *job, struct job *first)
{
	job->state = JOB_FOLLOWING;
	job->first = first;
	job->next_follower = first->followers;
	first->followers = job;
}

void job_decide_rest(struct job *job, enum status status, int16_t error)
{
	job->status = status;
	for (size_t i = job->first_new; i < job->n_results; i++)
		if (job->results[i].delivery != DELIVERY_DONE)
			job_decide(job, i, status, -1, error);
}

bool job_is_started(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++)
		if (job->results[i].delivery != DELIVERY_NEW)
			return true;
	return false;
}

bool job_is_all_staged(const struct job *job)
{
	return (job->reply.id == SLOTS_NONE || job->reply.is_staged) &&
	       (job->dead_letter.id == SLOTS_NONE || job->dead_letter.is_staged);
}

bool job_has_doubt(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++)
		if (job->results[i].delivery == DELIVERY_DOUBT)
			return true;
	return false;
}

enum status job_status(const struct job *job)
{
	enum status status;

	if (job->n_results == 0)
		return job->status;
	status = job->results[0].status;
	for (size_t i = 1; i < job->n_results; i++)
		if (job->results[i].status != status)
			return STATUS_PARTIAL;
	return status;
}
