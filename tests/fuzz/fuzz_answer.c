/* Graph answers anything: it is judged, and what goes into the reply is JSON.
 *
 * Input: progress, two bytes of HTTP status, which headers are there, a line for each of them, the
 * body. */
#include "fuzz/fuzz.h"
#include "worker/core/outcome.h"

#include <jansson.h>
#include <stdlib.h>

/* As much as the engine allows: 8 times the largest body. */
#define OPERATION_MAX (8 * ANSWER_BODY_MAX)

/* Headers are C strings: NUL ends them. */
static char *take_header(struct input *in, bool is_there)
{
	struct bytes line = input_line(in);

	return is_there ? input_text(line) : NULL;
}

static void check_operation(const struct outcome *o, const struct buffer *operation)
{
	json_t *json;

	CHECK(buffer_ok(operation));
	if (o->class != OUTCOME_ACCEPTED)
		return;
	json = json_loadb(operation->data, operation->size, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json_object_size(json) == 8);
	CHECK(json_is_string(json_object_get(json, "id")));
	CHECK(json_is_string(json_object_get(json, "location")));
	json_decref(json);
}

static void check_error(const struct outcome *o)
{
	struct buffer error;
	json_t *json;

	buffer_init(&error, 65536);
	outcome_write_error(&error, o->reason, o->message, o->graph_code, o->http_status);
	CHECK(buffer_ok(&error));
	json = json_loadb(error.data, error.size, 0, NULL);
	CHECK(json_object_size(json) == 4);
	json_decref(json);
	buffer_close(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = input_of(data, size);
	enum answer_progress progress = (enum answer_progress)(input_byte(&in) % 4);
	unsigned status = input_byte(&in) << 8;
	unsigned there;
	char *headers[4];
	struct buffer operation;
	struct outcome outcome;
	struct answer answer = { .progress = progress };

	status |= input_byte(&in);
	there = input_byte(&in);
	for (unsigned i = 0; i < 4; i++)
		headers[i] = take_header(&in, there >> i & 1);
	if (progress == ANSWER_COMPLETE)
		answer.http_status = (int)(status % 1000);
	answer.location = headers[0];
	answer.retry_after = headers[1];
	answer.request_id = headers[2];
	answer.client_request_id = headers[3];
	answer.body = input_rest(&in);
	buffer_init(&operation, OPERATION_MAX);
	outcome_judge(&answer, "https://graph.example/v1.0", bytes_of("a-call"),
	              (wall_t){ INT64_C(1767225600000000) }, &operation, &outcome);
	CHECK(outcome.class < OUTCOME_CLASSES && outcome.reason < REASON_COUNT);
	CHECK(!outcome.has_retry_after || outcome.retry_after.us >= 0);
	check_operation(&outcome, &operation);
	check_error(&outcome);
	buffer_close(&operation);
	for (unsigned i = 0; i < 4; i++)
		free(headers[i]);
	return 0;
}
