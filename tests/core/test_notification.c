/* What a bot forwards of Graph's notifications, and what the worker tells of it. */
#include "core/failing_memory.h"
#include "worker/core/notification.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOPIC bytes_of("invite-commands")

/* As in Graph's documentation of the invite. */
#define COMPLETED                                                                                  \
	"{\"@odata.type\":\"#microsoft.graph.commsNotifications\",\"value\":[{"                    \
	"\"@odata.type\":\"#microsoft.graph.commsNotification\",\"changeType\":\"deleted\","       \
	"\"resource\":\"/app/calls/ab6233a5-20b7-4c5e-bea2-ce56c9776429/operations/"               \
	"eec3812a-fdc3-4fb4-825c-a06c9f35414e\","                                                  \
	"\"resourceUrl\":\"/communications/calls/ab6233a5-20b7-4c5e-bea2-ce56c9776429/operations/" \
	"eec3812a-fdc3-4fb4-825c-a06c9f35414e\","                                                  \
	"\"resourceData\":{\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\","      \
	"\"participants\":[{\"identity\":{\"user\":{\"id\":\"u\",\"displayName\":\"A Name\"}}}],"  \
	"\"status\":\"completed\",\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\","     \
	"\"id\":\"eec3812a-fdc3-4fb4-825c-a06c9f35414e\"}}]}"

/* All that is told of the records of one test. */
struct told {
	char text[8192];
	size_t n, n_junk;
};

static struct record record_of(const char *key, const char *body)
{
	return (struct record){ .has_key = key, .key = bytes_of(key), .value = bytes_of(body) };
}

/* The records that follow from one, a line each. */
static struct told tell(const char *key, const char *body)
{
	struct record record = record_of(key, body);
	struct notification n;
	struct ending ending;
	struct told told = { .n = 0 };
	const char *problem;
	struct buffer out;

	assert_int_equal(notification_open(&record, &n, &problem), NOTIFICATION_READ);
	buffer_init(&out, sizeof(told.text) - 1);
	for (; notification_next(&n, &ending); told.n++) {
		ending_write(&ending, TOPIC, &out);
		buffer_append_char(&out, '\n');
	}
	assert_true(buffer_ok(&out));
	memcpy(told.text, buffer_bytes(&out).data, out.size);
	told.n_junk = n.n_junk;
	buffer_close(&out);
	notification_close(&n);
	return told;
}

/* What is told of one operation, given as the members of its resourceData. */
static struct told tell_operation(const char *resource, const char *members)
{
	char body[4096];

	snprintf(body, sizeof(body),
	         "{\"value\":[{\"changeType\":\"deleted\",\"resourceUrl\":\"%s\","
	         "\"resourceData\":{%s}}]}",
	         resource, members);
	return tell(NULL, body);
}

static void assert_tells(struct told told, const char *part)
{
	assert_int_equal(told.n, 1);
	if (!strstr(told.text, part))
		fail_msg("%s is not in %s", part, told.text);
}

static void a_documented_notification_tells_how_the_operation_ended(void **state)
{
	struct told told = tell(NULL, COMPLETED);

	(void)state;
	assert_string_equal(told.text, "{\"outcomeId\":\"ab6233a5-20b7-4c5e-bea2-ce56c9776429:"
	                               "eec3812a-fdc3-4fb4-825c-a06c9f35414e\","
	                               "\"callId\":\"ab6233a5-20b7-4c5e-bea2-ce56c9776429\","
	                               "\"operationId\":\"eec3812a-fdc3-4fb4-825c-a06c9f35414e\","
	                               "\"status\":\"completed\",\"resultInfo\":null,"
	                               "\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\","
	                               "\"commands\":null,\"source\":\"notification\"}\n");
}

/* As it was seen in the wild. */
static void a_failure_comes_with_its_reason(void **state)
{
	struct told told = tell_operation(
	    "/communications/calls/c/operations/o",
	    "\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\","
	    "\"status\":\"failed\",\"clientContext\":\"671f2c00\","
	    "\"resultInfo\":{\"@odata.type\":\"#microsoft.graph.resultInfo\",\"code\":412,"
	    "\"subcode\":9999,\"message\":\"addParticipants failed for participant 4:+6145. "
	    "\\\"x\\\"\"},"
	    "\"id\":\"8b9e3f46-e5c1-4e1c-813f-b934b811bcf6\"");

	(void)state;
	assert_tells(told, "\"status\":\"failed\",\"resultInfo\":{\"code\":412,\"subcode\":9999,"
	                   "\"message\":\"addParticipants failed for participant 4:+6145. "
	                   "\\\"x\\\"\"},");
}

/* Upper case and no dashes, as in Graph's own examples of other operations; a change type and a
 * status in capitals, as SDKs write them again; a whole URL. */
static void the_same_operation_written_otherwise_has_the_same_id(void **state)
{
	struct told told =
	    tell(NULL, "{\"value\":[{\"changeType\":\"Deleted\",\"resourceUrl\":"
	               "\"https://graph.microsoft.com/v1.0/communications/calls/"
	               "AB6233A520B74C5EBEA2CE56C9776429/operations/"
	               "EEC3812AFDC34FB4825CA06C9F35414E?a=b\",\"resourceData\":{"
	               "\"@odata.type\":\"#Microsoft.Graph.InviteParticipantsOperation\","
	               "\"status\":\"Completed\",\"more\":[{}],"
	               "\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\"}}]}");

	(void)state;
	assert_string_equal(told.text, tell(NULL, COMPLETED).text);
}

static void a_key_that_is_the_call_is_kept_as_it_is(void **state)
{
	(void)state;
	assert_tells(tell("AB6233A520B74C5EBEA2CE56C9776429", COMPLETED),
	             "\"callId\":\"AB6233A520B74C5EBEA2CE56C9776429\"");
	assert_tells(tell("ab6233a5-20b7-4c5e-bea2-ce56c9776429", COMPLETED),
	             "\"callId\":\"ab6233a5-20b7-4c5e-bea2-ce56c9776429\"");
	assert_tells(tell("another", COMPLETED),
	             "\"callId\":\"ab6233a5-20b7-4c5e-bea2-ce56c9776429\"");
	assert_tells(tell("not/an id", COMPLETED),
	             "\"callId\":\"ab6233a5-20b7-4c5e-bea2-ce56c9776429\"");
}

static void a_key_stands_in_for_a_call_that_the_resource_does_not_name(void **state)
{
	struct told told = tell("the-call", "{\"value\":[{\"resourceData\":{"
	                                    "\"status\":\"completed\",\"clientContext\":\"x\"}}]}");

	(void)state;
	assert_tells(told, "{\"outcomeId\":\"the-call:context:x\",\"callId\":\"the-call\","
	                   "\"operationId\":null,");
}

/* As in the documentation of an invite of several. */
static void an_operation_without_id_is_known_by_its_context(void **state)
{
	struct told told = tell_operation("/communications/calls/c/operations/participants",
	                                  "\"status\":\"completed\",\"id\":null,"
	                                  "\"clientContext\":\"say \\\"x\\\"\"");

	(void)state;
	assert_tells(told, "\"outcomeId\":\"c:context:say \\\"x\\\"\"");
	assert_tells(told, "\"operationId\":null");
	assert_tells(told, "\"clientContext\":\"say \\\"x\\\"\"");
}

static void the_workers_own_context_names_the_commands(void **state)
{
	static const char path[] = "/communications/calls/c/operations/o";

	(void)state;
	assert_tells(tell_operation(path, "\"status\":\"completed\","
	                                  "\"clientContext\":\"iw:28ee4ca5:3:41,50:2\""),
	             "\"commands\":[{\"topic\":\"invite-commands\",\"partition\":3,\"offset\":41,"
	             "\"participants\":null},{\"topic\":\"invite-commands\",\"partition\":3,"
	             "\"offset\":50,\"participants\":null}],");
	assert_tells(tell_operation(path, "\"status\":\"failed\","
	                                  "\"clientContext\":\"iw:28ee4ca5:0:7+0*1+2*2:1\""),
	             "\"commands\":[{\"topic\":\"invite-commands\",\"partition\":0,\"offset\":7,"
	             "\"participants\":[0,2,3]}],");
}

static void another_topics_context_names_no_commands(void **state)
{
	(void)state;
	assert_tells(tell_operation("/calls/c/operations/o",
	                            "\"status\":\"completed\","
	                            "\"clientContext\":\"iw:28ee4ca6:3:41:2\""),
	             "\"clientContext\":\"iw:28ee4ca6:3:41:2\",\"commands\":null");
}

static void what_is_no_end_of_an_invite_is_passed_over(void **state)
{
	static const char *const others[] = {
		"\"status\":\"running\",\"clientContext\":\"x\"",
		"\"clientContext\":\"x\"",
		"\"status\":7,\"clientContext\":\"x\"",
		"\"status\":\"completed\"",
		("\"@odata.type\":\"#microsoft.graph.playPromptOperation\","
		 "\"status\":\"completed\",\"clientContext\":\"x\""),
		"\"@odata.type\":\"#microsoft.graph.call\",\"state\":\"terminated\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct told told = tell_operation("/calls/c/operations/o", others[i]);

		assert_int_equal(told.n, 0);
		assert_int_equal(told.n_junk, 0);
	}
	assert_int_equal(tell(NULL, "{\"value\":[]}").n, 0);
	assert_int_equal(tell(NULL, "{\"value\":[null,7,[],{},{\"resourceData\":[{\"id\":null}]},"
	                            "{\"resourceData\":null}]}")
	                     .n,
	                 0);
}

static void a_context_of_the_worker_is_enough_whatever_the_type(void **state)
{
	(void)state;
	assert_tells(tell_operation("/calls/c/operations/o",
	                            "\"@odata.type\":\"#microsoft.graph.commsOperation\","
	                            "\"status\":\"completed\","
	                            "\"clientContext\":\"iw:28ee4ca5:3:41:2\""),
	             "\"offset\":41");
}

static void ends_that_do_not_say_of_what_are_counted(void **state)
{
	static const char type[] =
	    "\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\","
	    "\"status\":\"completed\"";
	char members[1024];
	char context[600];

	(void)state;
	assert_int_equal(tell_operation("/calls/c/operations/participants", type).n_junk, 1);
	assert_int_equal(tell_operation("/operations/o", type).n_junk, 1);
	assert_int_equal(tell_operation("/calls/../operations/o", type).n_junk, 1);
	assert_int_equal(tell_operation("/calls/a b/operations/o", type).n_junk, 1);
	memset(context, 'x', 257);
	context[257] = '\0';
	snprintf(members, sizeof(members), "\"status\":\"completed\",\"clientContext\":\"%s\"",
	         context);
	assert_int_equal(tell_operation("/calls/c", members).n_junk, 1);
}

static void several_ends_of_one_record_are_all_told(void **state)
{
	struct told told = tell(NULL, "{\"value\":["
	                              "{\"resourceUrl\":\"/calls/c/operations/1\",\"resourceData\":"
	                              "{\"status\":\"completed\",\"clientContext\":\"a\"}},"
	                              "{\"resourceUrl\":\"/calls/c/participants\","
	                              "\"resourceData\":[{\"id\":null}]},"
	                              "{\"resourceUrl\":\"/calls/c/operations/2\",\"resourceData\":"
	                              "{\"status\":\"failed\",\"clientContext\":\"b\"}}]}");

	(void)state;
	assert_int_equal(told.n, 2);
	assert_non_null(strstr(told.text, "\"outcomeId\":\"c:1\""));
	assert_non_null(strstr(told.text, "\"outcomeId\":\"c:2\""));
}

static const char *problem_of(struct bytes body)
{
	struct record record = { .value = body };
	struct notification n;
	const char *problem = NULL;

	assert_int_equal(notification_open(&record, &n, &problem), NOTIFICATION_JUNK);
	return problem;
}

static void what_is_nothing_of_graphs_is_junk(void **state)
{
	static const char *const bodies[] = { "{", "\xff\xfe", "{\"value\":[]} x",
		                              "{\"a\":\"\\u0000\"}" };

	(void)state;
	assert_string_equal(problem_of(bytes_of("")), "empty");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		assert_string_equal(problem_of(bytes_of(bodies[i])), "not JSON");
	assert_string_equal(problem_of(bytes_of("{}")), "no array `value`");
	assert_string_equal(problem_of(bytes_of("[]")), "no array `value`");
	assert_string_equal(problem_of(bytes_of("{\"value\":{}}")), "no array `value`");
	assert_string_equal(problem_of((struct bytes){ "{\"value\":\0[]}", 12 }), "not JSON");
}

static void sizes_have_an_end(void **state)
{
	size_t size = NOTIFICATION_BYTES_MAX + 1;
	char *body = malloc(size);
	struct buffer many;

	(void)state;
	assert_non_null(body);
	memset(body, ' ', size);
	memcpy(body, "{\"value\":[]}", 12);
	assert_string_equal(problem_of((struct bytes){ body, size }), "too long");
	memset(body, '[', size);
	assert_string_equal(problem_of((struct bytes){ body, size - 1 }), "not JSON");
	free(body);
	buffer_init(&many, 65536);
	buffer_append_text(&many, "{\"value\":[1");
	for (int i = 0; i < NOTIFICATION_COUNT_MAX; i++)
		buffer_append_text(&many, ",1");
	buffer_append_text(&many, "]}");
	assert_string_equal(problem_of(buffer_bytes(&many)), "too many notifications");
	buffer_close(&many);
}

static void a_long_message_is_cut_between_characters(void **state)
{
	json_t *operation, *info = json_object();
	struct ending ending = { .call_id = bytes_of("c") };
	char message[20001];
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < 20000; i += 4)
		memcpy(message + i, "x\xE2\x82\xAC", 4);
	message[20000] = '\0';
	json_object_set_new(info, "message", json_string(message));
	json_object_set_new(info, "code", json_string("no number"));
	operation = json_pack("{s:s, s:s, s:o}", "status", "failed", "id", "o", "resultInfo", info);
	assert_true(ending_is_end(operation));
	ending_read(operation, &ending);
	buffer_init(&out, ENDING_SIZE_MAX);
	ending_write(&ending, TOPIC, &out);
	assert_true(buffer_ok(&out));
	assert_in_range(out.size, 8000, 9000);
	assert_non_null(strstr(out.data, "{\"code\":null,\"subcode\":null,\"message\":\"x"));
	json_decref(operation);
	operation = json_loadb(out.data, out.size, 0, NULL);
	assert_non_null(operation);
	json_decref(operation);
	buffer_close(&out);
}

/* Every byte of a message may need six. */
static void the_longest_record_fits(void **state)
{
	char message[10001], context[256 * 4 + 1], id[129];
	json_t *info = json_object();
	struct ending ending = { .has_failed = true, .result_info = info };
	struct buffer out;

	(void)state;
	memset(message, 1, 10000);
	message[10000] = '\0';
	memset(context, 1, sizeof(context) - 1);
	context[sizeof(context) - 1] = '\0';
	memset(id, 'x', 128);
	id[128] = '\0';
	json_object_set_new(info, "message", json_string(message));
	ending.call_id = ending.operation_id = bytes_of(id);
	ending.context = bytes_of(context);
	buffer_init(&out, ENDING_SIZE_MAX);
	ending_write(&ending, TOPIC, &out);
	assert_true(buffer_ok(&out));
	json_decref(info);
	buffer_close(&out);
}

/* No text in it has more than 15 bytes, and no number: while jansson 2.14 grows its buffer for a
 * longer one, it overlooks that there is no memory. */
static void running_out_of_memory_reads_nothing(void **state)
{
	struct record record = record_of(NULL, "{\"value\":[{\"resourceData\":{\"id\":\"x\"}}]}");
	struct notification n;
	const char *problem;
	int nth = -1;
	bool failed;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	do {
		enum notification_result result;

		failing_memory_set(++nth);
		result = notification_open(&record, &n, &problem);
		failed = failing_memory_failed();
		failing_memory_set(-1);
		assert_int_equal(result == NOTIFICATION_READ, !failed);
		notification_close(&n);
	} while (failed);
	assert_in_range(nth, 5, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_documented_notification_tells_how_the_operation_ended),
		cmocka_unit_test(a_failure_comes_with_its_reason),
		cmocka_unit_test(the_same_operation_written_otherwise_has_the_same_id),
		cmocka_unit_test(a_key_that_is_the_call_is_kept_as_it_is),
		cmocka_unit_test(a_key_stands_in_for_a_call_that_the_resource_does_not_name),
		cmocka_unit_test(an_operation_without_id_is_known_by_its_context),
		cmocka_unit_test(the_workers_own_context_names_the_commands),
		cmocka_unit_test(another_topics_context_names_no_commands),
		cmocka_unit_test(what_is_no_end_of_an_invite_is_passed_over),
		cmocka_unit_test(a_context_of_the_worker_is_enough_whatever_the_type),
		cmocka_unit_test(ends_that_do_not_say_of_what_are_counted),
		cmocka_unit_test(several_ends_of_one_record_are_all_told),
		cmocka_unit_test(what_is_nothing_of_graphs_is_junk),
		cmocka_unit_test(sizes_have_an_end),
		cmocka_unit_test(a_long_message_is_cut_between_characters),
		cmocka_unit_test(the_longest_record_fits),
		cmocka_unit_test(running_out_of_memory_reads_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
