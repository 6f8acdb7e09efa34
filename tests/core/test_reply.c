/* Jobs and the text of their replies. */
#include "worker/core/reply.h"

#include "core/parsing.h"
#include "worker/core/partition.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define USER(id) "{\"identity\":{\"user\":{\"id\":\"" id "\"}}}"

static struct partition no_partition(void)
{
	return (struct partition){ .number = 2 };
}

static struct job *three_participants(struct partition *partition)
{
	struct command *command;
	struct fault fault;
	struct job *job;

	assert_int_equal(
	    parse_bytes(bytes_of("{\"callId\":\"call-a\",\"clientContext\":\"q\\\"\","
	                         "\"participants\":[" USER("a") "," USER("b") "," USER("c") "]}"),
	                &command, &fault),
	    COMMAND_VALID);
	job = job_new(partition, command);
	free(command);
	assert_non_null(job);
	job->entry.offset = 7;
	return job;
}

static json_t *reply_of(const struct job *job)
{
	struct reply_source source = { .topic = bytes_of("t"),
		                       .partition = 2,
		                       .tenant_id = "tenant-1",
		                       .now = { 5000000 },
		                       .date = { INT64_C(1769860800000000) } };
	struct buffer out;
	json_t *reply;

	buffer_init(&out, 100000);
	reply_write(&out, job, &source);
	assert_true(buffer_ok(&out));
	reply = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(reply);
	buffer_close(&out);
	return reply;
}

static const char *text(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value ? value : "(none)";
}

static void a_reply_has_every_member_of_the_contract(void **state)
{
	static const char *const names[] = {
		"commandId",   "callId",   "tenantId",   "status",       "clientContext",
		"duplicateOf", "cancel",   "operations", "participants", "error",
		"evidence",    "attempts", "batch",      "source",       "timing",
	};
	struct partition p = no_partition();
	struct job *job = three_participants(&p);
	json_t *reply;

	(void)state;
	job->arrived.us = 3000000;
	job->sent.us = 4500000;
	job->waited.ms[WAIT_HOLD] = 3000;
	job_decide_rest(job, STATUS_EXPIRED, job_add_error(job, bytes_of("{\"code\":1}")));
	reply = reply_of(job);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(json_object_get(reply, names[i]));
	assert_int_equal(json_object_size(reply), sizeof(names) / sizeof(names[0]));
	assert_string_equal(text(reply, "commandId"), "t-2-7");
	assert_string_equal(text(reply, "clientContext"), "q\"");
	assert_string_equal(text(reply, "status"), "expired");
	assert_string_equal(text(json_object_get(reply, "timing"), "receivedAt"),
	                    "2026-01-31T11:59:58.000Z");
	assert_string_equal(text(json_object_get(reply, "timing"), "sentAt"),
	                    "2026-01-31T11:59:59.500Z");
	assert_string_equal(text(json_object_get(reply, "timing"), "answeredAt"), "(none)");
	assert_int_equal(
	    json_integer_value(json_object_get(
	        json_object_get(json_object_get(reply, "timing"), "waitedFor"), "hold")),
	    3000);
	json_decref(reply);
	job_free(job);
}

static void participants_that_differ_make_it_partial(void **state)
{
	struct partition p = no_partition();
	struct job *job = three_participants(&p);
	const json_t *list;
	json_t *reply;

	(void)state;
	job_decide(job, 1, STATUS_FAILED, -1, job_add_error(job, bytes_of("{\"a\":1}")));
	assert_int_equal(job->first_new, 0);
	job_decide(job, 0, STATUS_ACCEPTED, job_add_operation(job, bytes_of("{}")), -1);
	assert_int_equal(job->first_new, 2);
	assert_false(job_is_decided(job));
	job_decide(job, 2, STATUS_ACCEPTED, 0, -1);
	assert_true(job_is_decided(job));
	reply = reply_of(job);
	list = json_object_get(reply, "participants");
	assert_string_equal(text(reply, "status"), "partial");
	assert_string_equal(text(json_array_get(list, 1), "status"), "failed");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "operation")),
	                 0);
	assert_true(json_equal(json_object_get(reply, "error"),
	                       json_object_get(json_array_get(list, 1), "error")));
	json_decref(reply);
	job_free(job);
}

static void an_unknown_outcome_never_becomes_a_failure(void **state)
{
	struct partition p = no_partition();
	struct job *job = three_participants(&p);

	(void)state;
	job->results[0].unknown_error = job_add_error(job, bytes_of("{}"));
	job->results[1].unknown_error = 0;
	job_decide(job, 0, STATUS_EXPIRED, -1, -1);
	job_decide(job, 1, STATUS_ACCEPTED, -1, -1);
	assert_int_equal(job->results[0].status, STATUS_UNKNOWN);
	assert_int_equal(job->results[0].error, 0);
	assert_int_equal(job->results[1].status, STATUS_ACCEPTED);
	job_free(job);
}

static void headers_are_copied_by_name_and_only_when_small(void **state)
{
	static const char *const copied[] = { "traceparent", "big" };
	static const char *const topics[] = { "mine" };
	static char big[2000];
	const struct record_header headers[] = {
		{ bytes_of("traceparent"), bytes_of("00-1"), false },
		{ bytes_of("other"), bytes_of("x"), false },
		{ bytes_of("big"), { big, sizeof(big) }, false },
		{ bytes_of("traceparent"), { NULL, 0 }, true },
		{ bytes_of("reply-topic"), bytes_of("mine"), false },
		{ bytes_of("reply-topic"), bytes_of("theirs"), false },
	};
	struct record record = { .headers = headers, .n_headers = 6 };
	struct policy policy = policy_default();
	struct partition p = no_partition();
	struct job *job = three_participants(&p);

	(void)state;
	policy.copy_headers = (struct text_list){ copied, 2 };
	policy.reply_topics = (struct text_list){ topics, 1 };
	assert_true(job_copy_headers(job, &policy, &record));
	assert_int_equal(job_copied(job)->n_headers, 1);
	assert_string_equal(job_copied(job)->headers[0].name, "traceparent");
	assert_int_equal(job_copied(job)->headers[0].value.size, 4);
	assert_string_equal(job->extra->reply_topic, "mine");
	job_free(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_has_every_member_of_the_contract),
		cmocka_unit_test(participants_that_differ_make_it_partial),
		cmocka_unit_test(an_unknown_outcome_never_becomes_a_failure),
		cmocka_unit_test(headers_are_copied_by_name_and_only_when_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
