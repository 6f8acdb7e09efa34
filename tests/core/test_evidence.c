/* What Graph's lists say of an invite whose answer was never seen. */
#include "core/failing_memory.h"
#include "worker/base/document.h"
#include "worker/core/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define URL     "https://graph.example/v1.0"
#define CALL_ID bytes_of("the-call")
#define TOPIC   bytes_of("invite-commands")

static const char operations_text[] =
    "{\"@odata.context\":\"…\",\"value\":["
    "null,7,{},{\"clientContext\":null,\"id\":\"none\"},"
    "{\"clientContext\":\"without-id\",\"status\":\"running\"},"
    "{\"id\":\"57DAB8B1894C409A\",\"status\":\"Running\",\"clientContext\":\"ours\","
    "\"resultInfo\":null,\"participants\":[]},"
    "{\"id\":\"op-2\",\"status\":\"completed\",\"clientContext\":\"iw:28ee4ca5:3:41,50:2\","
    "\"resultInfo\":{\"code\":200,\"subcode\":0}},"
    "{\"id\":\"op-3\",\"clientContext\":\"iw:28ee4ca5:3:60+5*5:1\"}]}";

static const char roster_text[] =
    "{\"value\":[null,{\"info\":null},{\"info\":{\"identity\":null}},{\"info\":{\"identity\":[]}},"
    "{\"info\":{\"identity\":{\"@odata.type\":\"#microsoft.graph.identitySet\","
    "\"application\":null,\"device\":null,\"phone\":null,"
    "\"user\":{\"id\":\"278405A3-f568-4b3e-b684-009193463064\",\"displayName\":null}}}},"
    "{\"info\":{\"identity\":{\"user\":null,\"phone\":{\"id\":\"+12345678901\"}}}},"
    "{\"info\":{\"identity\":{\"application\":{\"id\":\"\"},\"guest\":{\"id\":\"G1\"},"
    "\"applicationInstance\":{\"displayName\":\"no id\"},\"device\":{\"id\":5}}}}]}";

static struct answer answer_of(const char *body)
{
	return (struct answer){ .progress = ANSWER_COMPLETE,
		                .http_status = 200,
		                .body = bytes_of(body),
		                .location = "https://graph.example/not/of/the/operation",
		                .request_id = "request-1",
		                .client_request_id = "client-1" };
}

static struct evidence *read_answer(const struct answer *answer)
{
	struct evidence *e;

	assert_true(evidence_read(answer, &e));
	return e;
}

static struct evidence *read_body(const char *body)
{
	struct answer answer = answer_of(body);

	return read_answer(&answer);
}

static void answers_that_hold_nothing_are_no_evidence(void **state)
{
	static const char *const bodies[] = { "",
		                              "{",
		                              "[]",
		                              "null",
		                              "{}",
		                              "{\"value\":null}",
		                              "{\"value\":{}}",
		                              "{\"value\":[]} x",
		                              "{\"error\":{\"code\":\"8522\"}}" };
	struct answer answer = answer_of("{\"value\":[]}");

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		assert_null(read_body(bodies[i]));
	answer.http_status = 404;
	assert_null(read_answer(&answer));
	answer.http_status = 301;
	assert_null(read_answer(&answer));
	answer.http_status = 200;
	answer.progress = ANSWER_BROKEN;
	assert_null(read_answer(&answer));
	evidence_free(NULL);
}

static void an_operation_is_found_by_its_context(void **state)
{
	struct evidence *e = read_body(operations_text);
	struct buffer operation;

	(void)state;
	assert_non_null(e);
	buffer_init(&operation, 4096);
	assert_true(evidence_find_context(e, bytes_of("ours"), URL, CALL_ID, &operation));
	assert_string_equal(operation.data,
	                    "{\"id\":\"57DAB8B1894C409A\","
	                    "\"location\":\"https://graph.example/v1.0/communications/calls/"
	                    "the-call/operations/57DAB8B1894C409A\","
	                    "\"status\":\"running\",\"clientContext\":\"ours\","
	                    "\"httpStatus\":200,\"requestId\":\"request-1\","
	                    "\"clientRequestId\":\"client-1\",\"resultInfo\":null}");
	buffer_clear(&operation);
	assert_false(evidence_find_context(e, bytes_of("our"), URL, CALL_ID, &operation));
	assert_false(evidence_find_context(e, bytes_of("Ours"), URL, CALL_ID, &operation));
	assert_false(evidence_find_context(e, bytes_of(""), URL, CALL_ID, &operation));
	assert_false(evidence_find_context(e, bytes_of("without-id"), URL, CALL_ID, &operation));
	assert_int_equal(operation.size, 0);
	buffer_close(&operation);
	evidence_free(e);
}

static bool finds_own(const struct evidence *e, int64_t offset, size_t index,
                      struct buffer *operation)
{
	buffer_clear(operation);
	return evidence_find_own(e, TOPIC, 3, offset, index, URL, CALL_ID, operation);
}

static void an_operation_is_found_by_what_the_worker_wrote(void **state)
{
	struct evidence *e = read_body(operations_text);
	struct buffer operation;

	(void)state;
	assert_non_null(e);
	buffer_init(&operation, 4096);
	assert_true(finds_own(e, 50, 1, &operation));
	assert_non_null(strstr(operation.data, "\"id\":\"op-2\""));
	assert_non_null(strstr(operation.data, "\"resultInfo\":{\"code\":200,\"subcode\":0}}"));
	assert_true(finds_own(e, 60, 9, &operation));
	assert_non_null(strstr(operation.data, "\"id\":\"op-3\""));
	assert_non_null(strstr(operation.data, "\"status\":null"));
	assert_false(finds_own(e, 60, 4, &operation));
	assert_false(finds_own(e, 60, 10, &operation));
	assert_false(finds_own(e, 51, 0, &operation));
	assert_int_equal(operation.size, 0);
	assert_false(evidence_find_own(e, TOPIC, 4, 50, 0, URL, CALL_ID, &operation));
	assert_false(evidence_find_own(e, bytes_of("other"), 3, 50, 0, URL, CALL_ID, &operation));
	buffer_close(&operation);
	evidence_free(e);
}

/* "<kind>:<id>"; without a colon there is no id. */
static bool has(const struct evidence *e, const char *text)
{
	size_t n = strcspn(text, ":");

	return evidence_has_identity(
	    e, (struct identity){ { text, n }, bytes_of(text + n + (text[n] == ':')) });
}

static void identities_are_found_on_the_roster_in_any_case(void **state)
{
	struct evidence *e = read_body(roster_text);

	(void)state;
	assert_non_null(e);
	assert_true(has(e, "user:278405a3-f568-4b3e-b684-009193463064"));
	assert_true(has(e, "user:278405a3-F568-4b3e-B684-009193463064"));
	assert_true(has(e, "phone:+12345678901"));
	assert_true(has(e, "guest:g1"));
	assert_true(has(e, "guest:G1"));
	evidence_free(e);
}

static void other_identities_are_not_found(void **state)
{
	static const char *const others[] = { "user:278405a3-f568-4b3e-b684-00919346306",
		                              "phone:278405a3-f568-4b3e-b684-009193463064",
		                              "user-278405a3-f568-4b3e-b684-009193463064",
		                              "phone:+1234567890",
		                              "phone:+123456789012",
		                              "application:",
		                              "device:5",
		                              "guest",
		                              "guest:",
		                              "Guest:g1",
		                              "g",
		                              "" };
	struct evidence *e = read_body(roster_text);

	(void)state;
	assert_non_null(e);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (has(e, others[i]))
			fail_msg("\"%s\" was found", others[i]);
	evidence_free(e);
}

static void one_list_is_not_taken_for_the_other(void **state)
{
	struct evidence *operations = read_body(operations_text);
	struct evidence *roster = read_body(roster_text);
	struct buffer operation;

	(void)state;
	buffer_init(&operation, 4096);
	assert_false(finds_own(roster, 41, 0, &operation));
	assert_false(has(operations, "user:op-2"));
	evidence_free(operations);
	evidence_free(roster);
	buffer_close(&operation);
}

static void headers_that_are_missing_are_null(void **state)
{
	struct answer answer = answer_of(operations_text);
	struct buffer operation;
	struct evidence *e;

	(void)state;
	buffer_init(&operation, 4096);
	answer.request_id = NULL;
	answer.client_request_id = NULL;
	e = read_answer(&answer);
	assert_true(finds_own(e, 41, 0, &operation));
	assert_non_null(strstr(operation.data, "\"requestId\":null,\"clientRequestId\":null"));
	evidence_free(e);
	buffer_close(&operation);
}

/* With an escape, for which a text takes memory, and more values than a document has room for. */
static void running_out_of_memory_is_told(void **state)
{
	int nth = -1;
	bool failed;
	struct buffer body;
	struct answer answer;

	(void)state;
	buffer_init(&body, 4096);
	buffer_append_text(&body, "{\"value\":[{\"id\":\"x\",\"clientContext\":\"our\\u0073\"}");
	for (int i = 0; i < DOCUMENT_ROOM; i++)
		buffer_append_text(&body, ",{}");
	buffer_append_text(&body, "]}");
	answer = answer_of(body.data);
	do {
		struct evidence *e;
		bool has_read;

		failing_memory_set(++nth);
		has_read = evidence_read(&answer, &e);
		failed = failing_memory_failed();
		failing_memory_set(-1);
		assert_int_equal(has_read, !failed);
		assert_int_equal(e == NULL, failed);
		evidence_free(e);
	} while (failed);
	assert_int_equal(nth, 3);
	buffer_close(&body);
}

static void an_operation_that_does_not_fit_marks_the_buffer(void **state)
{
	struct evidence *e = read_body(operations_text);
	struct buffer operation;

	(void)state;
	assert_non_null(e);
	buffer_init(&operation, 4096);
	failing_memory_set(0);
	assert_true(finds_own(e, 41, 0, &operation));
	failing_memory_set(-1);
	assert_false(buffer_ok(&operation));
	buffer_close(&operation);
	evidence_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_that_hold_nothing_are_no_evidence),
		cmocka_unit_test(an_operation_is_found_by_its_context),
		cmocka_unit_test(an_operation_is_found_by_what_the_worker_wrote),
		cmocka_unit_test(identities_are_found_on_the_roster_in_any_case),
		cmocka_unit_test(other_identities_are_not_found),
		cmocka_unit_test(one_list_is_not_taken_for_the_other),
		cmocka_unit_test(headers_that_are_missing_are_null),
		cmocka_unit_test(running_out_of_memory_is_told),
		cmocka_unit_test(an_operation_that_does_not_fit_marks_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
