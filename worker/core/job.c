/* Commands at work: see job.h. */
#include "worker/core/job.h"

#include <stddef.h>
#include <stdlib.h>

#define COPIED_VALUE_MAX 1024 /* Bytes of a header value; a longer one is not copied */
#define COPIED_KEY_MAX   1024 /* Of a key, likewise */

struct job *job_new(struct partition *partition, const struct command *command)
{
	uint8_t n = command->n_participants;
	size_t size = offsetof(struct job, results) + n * sizeof(struct result);
	struct job *job = malloc(size + command_size(command));

	if (!job)
		return NULL;
	memset(job, 0, sizeof(*job));
	job->partition = partition;
	job->n_results = n;
	job->n_places = n;
	job->sent = INSTANT_NEVER;
	job->answered = INSTANT_NEVER;
	for (size_t i = 0; i < n; i++)
		job->results[i] =
		    (struct result){ .operation = -1, .error = -1, .unknown_error = -1 };
	memcpy((char *)job + size, command, command_size(command));
	return job;
}

static void free_extra(struct extra *extra)
{
	if (!extra)
		return;
	if (extra->copied)
		buffer_close(&extra->copied->values);
	free(extra->copied);
	free(extra->record);
	free(extra);
}

void job_free(struct job *job)
{
	if (!job)
		return;
	response_free(job->response);
	free_extra(job->extra);
	free(job);
}

struct extra *job_extra(struct job *job)
{
	if (job->extra)
		return job->extra;
	job->extra = calloc(1, sizeof(*job->extra));
	if (job->extra)
		job->extra->duplicate_of = -1;
	return job->extra;
}

struct response *job_response(struct job *job)
{
	if (!job->response)
		job->response = response_new(job);
	return job->response;
}

int16_t job_add_operation(struct job *job, struct bytes json)
{
	struct response *response = job_response(job);

	return response ? fragments_add(&response->operations, json) : -1;
}

int16_t job_add_error(struct job *job, struct bytes json)
{
	struct response *response = job_response(job);

	return response ? fragments_add(&response->errors, json) : -1;
}

/* Room for what is copied; NULL when there is no memory. */
static struct copied *copied_of(struct job *job)
{
	struct extra *extra = job_extra(job);

	if (!extra)
		return NULL;
	if (extra->copied)
		return extra->copied;
	extra->copied = calloc(1, sizeof(*extra->copied));
	if (extra->copied)
		buffer_init(&extra->copied->values,
		            COPY_HEADERS_MAX * COPIED_VALUE_MAX + COPIED_KEY_MAX);
	return extra->copied;
}

static bool copy_value(struct copied *copied, struct bytes value, struct span *ret)
{
	*ret =
	    (struct span){ .start = (uint32_t)copied->values.size, .size = (uint32_t)value.size };
	buffer_append_bytes(&copied->values, value);
	return buffer_ok(&copied->values);
}

static bool copy_header(struct job *job, const char *name, struct bytes value)
{
	struct copied *copied;
	struct copied_header *header;

	if (value.size > COPIED_VALUE_MAX)
		return true;
	copied = copied_of(job);
	if (!copied || copied->n_headers == COPY_HEADERS_MAX)
		return copied;
	header = &copied->headers[copied->n_headers++];
	header->name = name;
	return copy_value(copied, value, &header->value);
}

bool job_copy_key(struct job *job, struct bytes key)
{
	struct copied *copied;

	if (key.size > COPIED_KEY_MAX)
		return true;
	copied = copied_of(job);
	if (!copied)
		return false;
	copied->has_key = true;
	return copy_value(copied, key, &copied->key);
}

static const char *find_text(const struct text_list *list, struct bytes text)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_equal_text(text, list->texts[i]))
			return list->texts[i];
	return NULL;
}

/* The reply's topic, when the policy knows it. */
static bool choose_topic(struct job *job, const struct policy *policy, struct bytes name)
{
	const char *topic = find_text(&policy->reply_topics, name);
	struct extra *extra;

	if (!topic)
		return true;
	extra = job_extra(job);
	if (!extra)
		return false;
	extra->reply_topic = topic;
	return true;
}

bool job_copy_headers(struct job *job, const struct policy *policy, const struct record *record)
{
	for (size_t i = 0; i < record->n_headers; i++) {
		const struct record_header *header = &record->headers[i];
		const char *name = find_text(&policy->copy_headers, header->name);

		if (name && !header->is_null && !copy_header(job, name, header->value))
			return false;
		if (bytes_equal_text(header->name, "reply-topic") &&
		    !choose_topic(job, policy, header->value))
			return false;
	}
	return true;
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

bool job_follow(struct job *job, struct job *first)
{
	struct extra *extra = job_extra(job);
	struct extra *of_first = job_extra(first);

	if (!extra || !of_first)
		return false;
	job->state = JOB_FOLLOWING;
	extra->next_follower = of_first->followers;
	of_first->followers = job;
	return true;
}

void job_decide_rest(struct job *job, enum status status, int16_t error)
{
	job->status = status;
	for (size_t i = job->first_new; i < job->n_results; i++)
		if (job->results[i].delivery != DELIVERY_DONE)
			job_decide(job, i, status, -1, error);
}

bool job_has_new(const struct job *job)
{
	for (size_t i = job->first_new; i < job->n_results; i++)
		if (job->results[i].delivery == DELIVERY_NEW)
			return true;
	return false;
}

bool job_is_started(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++)
		if (job->results[i].delivery != DELIVERY_NEW)
			return true;
	return false;
}

bool job_is_replied(const struct job *job, bool staged)
{
	const struct response *response = job->response;

	return response && (response->reply.is_stored || (staged && response->reply.is_staged));
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
