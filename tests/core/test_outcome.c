/* What an answer means. */
#include "worker/core/outcome.h"

#include "core/failing_memory.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ERROR(code) "{\"error\":{\"code\":\"" code "\",\"message\":\"No.\"}}"

struct judged {
	struct outcome outcome;
	json_t *operation; /* NULL when there is none */
};

static struct judged judge(struct answer answer)
{
	struct judged j = { 0 };
	struct buffer operation;

	buffer_init(&operation, 1024 * 1024);
	outcome_judge(&answer, "https://graph/v1.0", bytes_of("call-a"), (wall_t){ 0 }, &operation,
	              &j.outcome);
	assert_true(buffer_ok(&operation));
	if (operation.size > 0) {
		j.operation =
		    json_loadb(operation.data, operation.size, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(j.operation);
	}
	buffer_close(&operation);
	return j;
}

static struct outcome judge_status(int status, const char *retry_after, const char *body)
{
	struct judged j = judge((struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = status,
	                                         .retry_after = retry_after,
	                                         .body = bytes_of(body) });

	json_decref(j.operation);
	return j.outcome;
}

static void every_status_has_its_class(void **state)
{
	static const struct {
		int status;
		const char *retry_after;
		const char *body;
		enum outcome_class class;
		enum reason reason;
		bool may_split;
	} rows[] = {
		{ 200, NULL, "{\"id\":\"1\"}", OUTCOME_ACCEPTED, REASON_UNKNOWN, false },
		{ 202, NULL, "{\"id\":\"1\"}", OUTCOME_ACCEPTED, REASON_UNKNOWN, false },
		{ 200, NULL, "", OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 204, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 429, "1", NULL, OUTCOME_THROTTLED, REASON_THROTTLED, false },
		{ 429, NULL, NULL, OUTCOME_THROTTLED, REASON_THROTTLED, false },
		{ 503, "1", NULL, OUTCOME_THROTTLED, REASON_THROTTLED, false },
		{ 503, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 503, "soon", NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 401, NULL, NULL, OUTCOME_UNAUTHORIZED, REASON_UNAUTHORIZED, false },
		{ 403, NULL, ERROR("7503"), OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false },
		{ 403, NULL, ERROR("7504"), OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false },
		{ 403, NULL, ERROR("7505"), OUTCOME_REFUSED, REASON_REFUSED, true },
		{ 403, NULL, ERROR("Forbidden"), OUTCOME_REFUSED, REASON_REFUSED, true },
		{ 403, NULL, NULL, OUTCOME_REFUSED, REASON_REFUSED, true },
		{ 400, NULL, ERROR("BadRequest"), OUTCOME_REFUSED, REASON_REFUSED, true },
		{ 404, NULL, ERROR("8522"), OUTCOME_CALL_OVER, REASON_CALL_OVER, false },
		{ 404, NULL, NULL, OUTCOME_CALL_OVER, REASON_CALL_OVER, false },
		{ 408, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 408, "1", NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 410, NULL, NULL, OUTCOME_CALL_OVER, REASON_CALL_OVER, false },
		{ 413, NULL, NULL, OUTCOME_REFUSED, REASON_REFUSED, true },
		{ 302, NULL, NULL, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false },
		{ 409, NULL, NULL, OUTCOME_REFUSED, REASON_REFUSED, false },
		{ 499, NULL, NULL, OUTCOME_REFUSED, REASON_REFUSED, false },
		{ 500, NULL, ERROR("9999"), OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 502, "1", NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 504, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 100, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 0, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ 1000, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
		{ -1, NULL, NULL, OUTCOME_UNKNOWN, REASON_UNKNOWN, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome o = judge_status(rows[i].status, rows[i].retry_after, rows[i].body);

		assert_int_equal(o.class, rows[i].class);
		assert_int_equal(o.reason, rows[i].reason);
		assert_int_equal(o.may_split, rows[i].may_split);
		assert_int_equal(o.http_status, rows[i].status);
	}
}

static void what_is_no_whole_answer_is_judged_by_how_far_it_got(void **state)
{
	static const enum outcome_class expected[] = { [ANSWER_NO_TOKEN] = OUTCOME_UNAUTHORIZED,
		                                       [ANSWER_NOT_SENT] = OUTCOME_NOT_SENT,
		                                       [ANSWER_BROKEN] = OUTCOME_UNKNOWN };

	(void)state;
	for (unsigned i = ANSWER_NO_TOKEN; i <= ANSWER_BROKEN; i++) {
		struct judged j = judge(
		    (struct answer){ .progress = (enum answer_progress)i, .problem = "reset" });

		assert_int_equal(j.outcome.class, expected[i]);
		assert_string_equal(j.outcome.message, "reset");
		assert_null(j.operation);
	}
}

static void retry_after_is_read(void **state)
{
	struct outcome o = judge_status(429, "2.128", NULL);

	(void)state;
	assert_true(o.has_retry_after);
	assert_int_equal(o.retry_after.us, 2128000);
	assert_false(judge_status(429, "soon", NULL).has_retry_after);
}

static void the_innermost_code_that_is_understood_is_taken(void **state)
{
	(void)state;
	assert_string_equal(
	    judge_status(403, NULL,
	                 "{\"error\":{\"code\":\"Forbidden\",\"message\":\"m\",\"innerError\":"
	                 "{\"code\":\"x\",\"innererror\":{\"code\":\"7505\"}}}}")
	        .graph_code,
	    "7505");
	assert_string_equal(judge_status(403, NULL,
	                                 "{\"error\":{\"code\":\"Forbidden\",\"innererror\":"
	                                 "{\"code\":\"Other\"}}}")
	                        .graph_code,
	                    "Forbidden");
}

static void an_error_wrapped_in_an_unknown_error_is_unwrapped(void **state)
{
	char body[2000];
	struct outcome o = judge_status(
	    403, NULL,
	    "{\"error\":{\"code\":\"UnknownError\",\"message\":\"{\\\"errorCode\\\":\\\"7503\\\","
	    "\\\"message\\\":\\\"Not registered.\\\",\\\"instanceAnnotations\\\":[]}\"}}");

	(void)state;
	assert_int_equal(o.class, OUTCOME_MISCONFIGURED);
	assert_string_equal(o.graph_code, "7503");
	assert_string_equal(o.message, "Not registered.");
	snprintf(body, sizeof(body),
	         "{\"error\":{\"code\":\"\",\"message\":\"{\\\"errorCode\\\":\\\"7504\\\","
	         "\\\"message\\\":\\\"%01000d\\\"}\"}}",
	         0);
	o = judge_status(403, NULL, body);
	assert_string_equal(o.graph_code, "7504");
	assert_int_equal(strlen(o.message), OUTCOME_MESSAGE_SIZE - 1);
}

static const char *member(const struct judged *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j->operation, name));

	return text ? text : "(none)";
}

static void the_operation_is_what_graph_answered(void **state)
{
	struct judged j = judge((struct answer){
	    .progress = ANSWER_COMPLETE,
	    .http_status = 200,
	    .body = bytes_of("{\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\","
	                     "\"id\":\"eec3\",\"status\":\"Running\",\"clientContext\":\"c\","
	                     "\"resultInfo\":{\"code\":200},\"participants\":[]}"),
	    .location = "https://graph/x/operations/eec3",
	    .request_id = "r",
	    .client_request_id = "cr" });

	(void)state;
	assert_string_equal(member(&j, "id"), "eec3");
	assert_string_equal(member(&j, "location"), "https://graph/x/operations/eec3");
	assert_string_equal(member(&j, "status"), "running");
	assert_string_equal(member(&j, "clientContext"), "c");
	assert_string_equal(member(&j, "requestId"), "r");
	assert_string_equal(member(&j, "clientRequestId"), "cr");
	assert_int_equal(json_integer_value(json_object_get(j.operation, "httpStatus")), 200);
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(j.operation, "resultInfo"), "code")),
	    200);
	assert_int_equal(json_object_size(j.operation), 8);
	json_decref(j.operation);
}

static void a_missing_location_is_built(void **state)
{
	struct judged j = judge((struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = 200,
	                                         .body = bytes_of("{\"id\":\"op\\\"1\"}") });

	(void)state;
	assert_string_equal(member(&j, "location"),
	                    "https://graph/v1.0/communications/calls/call-a/operations/op\"1");
	assert_true(json_is_null(json_object_get(j.operation, "status")));
	json_decref(j.operation);
}

static void an_empty_null_or_strange_body_is_accepted_with_a_location(void **state)
{
	static const char *const bodies[] = { NULL, "", "null", "[]", "7", "<html>", "{\"id\":7}" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct judged j =
		    judge((struct answer){ .progress = ANSWER_COMPLETE,
		                           .http_status = 200,
		                           .body = bytes_of(bodies[i]),
		                           .location = "https://graph/operations/op-1" });

		assert_int_equal(j.outcome.class, OUTCOME_ACCEPTED);
		assert_string_equal(member(&j, "id"), "op-1");
		json_decref(j.operation);
	}
}

static void a_location_that_names_no_operation_leaves_the_outcome_unknown(void **state)
{
	struct judged j = judge((struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = 200,
	                                         .location = "https://graph/operations/" });

	(void)state;
	assert_int_equal(j.outcome.class, OUTCOME_UNKNOWN);
	assert_null(j.operation);
}

static void a_location_that_ends_without_an_id_names_no_operation(void **state)
{
	struct judged j = judge((struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = 200,
	                                         .location = "https://graph/operations/" });

	(void)state;
	assert_int_equal(j.outcome.class, OUTCOME_UNKNOWN);
	assert_null(j.operation);
}

static void garbage_in_an_error_is_survived(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":7}",
		"{\"error\":{\"code\":7,\"message\":[]}}",
		"{\"error\":{\"code\":\"UnknownError\",\"message\":\"{\"}}",
		"{\"error\":{\"code\":\"UnknownError\",\"message\":\"{\\\"errorCode\\\":7}\"}}",
		"{\"error\":{\"code\":\"a\",\"innerError\":[]}}",
		"{\"error\":",
		"\xFF\xFE",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(judge_status(400, NULL, bodies[i]).class, OUTCOME_REFUSED);
	assert_string_equal(judge_status(400, NULL, bodies[0]).message, "Graph answered HTTP 400");
}

/* With escapes, for which texts take memory, in the error and in the error that it wraps. */
static void running_out_of_memory_is_told(void **state)
{
	const struct answer answer = {
		.progress = ANSWER_COMPLETE,
		.http_status = 403,
		.body = bytes_of("{\"error\":{\"code\":\"UnknownError\",\"message\":"
		                 "\"{\\\"errorCode\\\":\\\"75\\\\u00303\\\"}\"}}"),
	};
	struct buffer operation;
	int nth = -1;
	bool failed;

	(void)state;
	buffer_init(&operation, 4096);
	do {
		struct outcome o;

		failing_memory_set(++nth);
		outcome_judge(&answer, "https://graph/v1.0", bytes_of("call-a"), (wall_t){ 0 },
		              &operation, &o);
		failed = failing_memory_failed();
		failing_memory_set(-1);
		assert_int_equal(buffer_ok(&operation), !failed);
		assert_int_equal(strcmp(o.graph_code, "7503") == 0, !failed);
	} while (failed);
	assert_int_equal(nth, 2);
	buffer_close(&operation);
}

static void both_references_are_tables(void **state)
{
	struct buffer out;

	(void)state;
	buffer_init(&out, 100000);
	outcome_write_reference(&out);
	assert_non_null(strstr(out.data, "| 403 / 7505 | refused | yes | none |"));
	assert_non_null(strstr(out.data, "| any other status | unknown | no |"));
	reason_write_reference(&out);
	assert_non_null(strstr(out.data, "| `call-over` |"));
	assert_true(buffer_ok(&out));
	buffer_close(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_its_class),
		cmocka_unit_test(what_is_no_whole_answer_is_judged_by_how_far_it_got),
		cmocka_unit_test(retry_after_is_read),
		cmocka_unit_test(the_innermost_code_that_is_understood_is_taken),
		cmocka_unit_test(an_error_wrapped_in_an_unknown_error_is_unwrapped),
		cmocka_unit_test(the_operation_is_what_graph_answered),
		cmocka_unit_test(a_missing_location_is_built),
		cmocka_unit_test(an_empty_null_or_strange_body_is_accepted_with_a_location),
		cmocka_unit_test(a_location_that_names_no_operation_leaves_the_outcome_unknown),
		cmocka_unit_test(a_location_that_ends_without_an_id_names_no_operation),
		cmocka_unit_test(garbage_in_an_error_is_survived),
		cmocka_unit_test(running_out_of_memory_is_told),
		cmocka_unit_test(both_references_are_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
