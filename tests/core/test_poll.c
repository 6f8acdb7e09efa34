/* Which operation is asked for, when, and what its answer leads to. */
#include "core/failing_memory.h"
#include "worker/core/poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <cmocka.h>

#define RUNNING "{\"id\":\"%s\",\"status\":\"Running\",\"clientContext\":\"iw:28ee4ca5:3:41:1\"}"

/* A poll that asks every 5 s, for a minute, at most 10 a second, for 100 operations. */
struct asker {
	struct poll *poll;
	instant_t now;
	struct poll_record record;
};

static const struct poll_policy usual = {
	.commands_topic = "invite-commands",
	.interval = { 5000000 },
	.patience = { 60000000 },
	.rate = 10,
	.most = 100,
};

static struct asker asker_of(struct poll_policy policy)
{
	struct asker a = { .now = { 1000000 } };

	a.poll = poll_new(&policy, a.now);
	assert_non_null(a.poll);
	return a;
}

static void elapse(struct asker *a, int64_t ms)
{
	a->now = instant_add(a->now, duration_ms(ms));
}

static enum poll_result follow_text(struct asker *a, const char *json)
{
	struct effect_follow follow = { .tenant = 7,
		                        .call_id = "the-call",
		                        .json = bytes_of(json) };

	return poll_follow(a->poll, &follow, a->now, &a->record);
}

static enum poll_result follow(struct asker *a, const char *operation)
{
	char json[200];

	snprintf(json, sizeof(json), RUNNING, operation);
	return follow_text(a, json);
}

static void assert_follows(struct asker *a, const char *operation)
{
	assert_int_equal(follow(a, operation), POLL_RUNNING);
}

/* The question that is asked now; its id. */
static uint64_t asked(struct asker *a, const char *operation)
{
	struct effect_look look;

	assert_true(poll_next(a->poll, a->now, &look));
	assert_int_equal(look.kind, LOOK_OPERATION);
	assert_int_equal(look.tenant, 7);
	assert_true(bytes_equal_text(look.call_id, "the-call"));
	assert_true(bytes_equal_text(look.operation_id, operation));
	return look.look_id;
}

static void assert_asks_nothing(struct asker *a)
{
	struct effect_look look;

	assert_false(poll_next(a->poll, a->now, &look));
}

static int64_t ms_until_next(const struct asker *a)
{
	return duration_to_ms(instant_since(poll_wake_at(a->poll), a->now));
}

static enum poll_result answer(struct asker *a, uint64_t id, struct answer answer)
{
	return poll_answered(a->poll, id, &answer, a->now, (wall_t){ 0 }, &a->record);
}

static enum poll_result answer_status(struct asker *a, uint64_t id, int status, const char *body)
{
	return answer(a, id,
	              (struct answer){ .progress = ANSWER_COMPLETE,
	                               .http_status = status,
	                               .body = bytes_of(body) });
}

static void an_operation_is_asked_for_at_each_interval_until_it_ends(void **state)
{
	struct asker a = asker_of(usual);
	uint64_t id;

	(void)state;
	assert_true(instant_is_never(poll_wake_at(a.poll)));
	assert_follows(&a, "op");
	assert_int_equal(ms_until_next(&a), 5000);
	elapse(&a, 4999);
	assert_asks_nothing(&a);
	elapse(&a, 1);
	id = asked(&a, "op");
	assert_true(instant_is_never(poll_wake_at(a.poll)));
	elapse(&a, 300);
	assert_int_equal(answer_status(&a, id, 200, "{\"status\":\"running\"}"), POLL_RUNNING);
	assert_int_equal(ms_until_next(&a), 5000);
	elapse(&a, 5000);
	id = asked(&a, "op");
	assert_int_equal(answer_status(&a, id, 200,
	                               "{\"id\":\"OP\",\"status\":\"Completed\","
	                               "\"clientContext\":\"iw:28ee4ca5:3:41:1\"}"),
	                 POLL_ENDED);
	assert_true(bytes_equal_text(a.record.key, "the-call"));
	assert_false(a.record.has_failed);
	assert_true(bytes_equal_text(
	    a.record.value,
	    "{\"outcomeId\":\"the-call:op\",\"callId\":\"the-call\",\"operationId\":\"op\","
	    "\"status\":\"completed\",\"resultInfo\":null,\"clientContext\":\"iw:28ee4ca5:3:41:1\","
	    "\"commands\":[{\"topic\":\"invite-commands\",\"partition\":3,\"offset\":41,"
	    "\"participants\":null}],\"source\":\"poll\"}"));
	assert_int_equal(poll_count(a.poll), 0);
	poll_free(a.poll);
}

static void what_has_failed_says_why_and_keeps_the_context_that_was_sent(void **state)
{
	struct asker a = asker_of(usual);

	(void)state;
	assert_follows(&a, "op");
	elapse(&a, 5000);
	assert_int_equal(answer_status(&a, asked(&a, "op"), 200,
	                               "{\"status\":\"failed\",\"resultInfo\":{\"code\":412}}"),
	                 POLL_ENDED);
	assert_true(a.record.has_failed);
	assert_non_null(strstr(a.record.value.data, "\"code\":412"));
	assert_non_null(strstr(a.record.value.data, "\"offset\":41"));
	poll_free(a.poll);
}

static void what_has_ended_at_once_is_told_at_once(void **state)
{
	struct asker a = asker_of(usual);

	(void)state;
	assert_int_equal(follow_text(&a, "{\"id\":\"op\",\"status\":\"completed\","
	                                 "\"clientContext\":\"x\",\"resultInfo\":null}"),
	                 POLL_ENDED);
	assert_non_null(strstr(a.record.value.data, "\"outcomeId\":\"the-call:op\""));
	assert_int_equal(poll_count(a.poll), 0);
	poll_free(a.poll);
}

/* The rate is for all: one question each 100 ms, in the order in which they are due. */
static void many_operations_take_turns_at_the_rate(void **state)
{
	struct asker a = asker_of(usual);
	char name[16];
	uint64_t id;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_follows(&a, name);
	}
	elapse(&a, 5000);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%d", i);
		id = asked(&a, name);
		assert_asks_nothing(&a);
		assert_int_equal(answer_status(&a, id, 200, "{}"), POLL_RUNNING);
		assert_in_range(ms_until_next(&a), 95, 100);
		elapse(&a, 100);
	}
	asked(&a, "0");
	poll_free(a.poll);
}

static void few_questions_are_open_at_a_time(void **state)
{
	struct asker a = asker_of(usual);
	uint64_t id = 0;

	(void)state;
	for (int i = 0; i < POLL_ASKED_MAX + 1; i++)
		assert_follows(&a, "op");
	elapse(&a, 5000);
	for (int i = 0; i < POLL_ASKED_MAX; i++) {
		id = asked(&a, "op");
		elapse(&a, 1000);
	}
	assert_asks_nothing(&a);
	assert_true(instant_is_never(poll_wake_at(a.poll)));
	assert_int_equal(answer_status(&a, id, 404, ""), POLL_GONE);
	asked(&a, "op");
	poll_free(a.poll);
}

static void more_operations_than_there_is_room_for_are_left(void **state)
{
	struct poll_policy policy = usual;
	struct asker a;

	(void)state;
	policy.most = 2;
	a = asker_of(policy);
	assert_follows(&a, "1");
	assert_follows(&a, "2");
	assert_int_equal(follow(&a, "3"), POLL_LEFT);
	elapse(&a, 5000);
	assert_int_equal(answer_status(&a, asked(&a, "1"), 404, ""), POLL_GONE);
	assert_follows(&a, "3");
	assert_int_equal(poll_count(a.poll), 2);
	poll_free(a.poll);
}

static void what_runs_for_too_long_is_left_after_one_more_question(void **state)
{
	struct asker a = asker_of(usual);

	(void)state;
	assert_follows(&a, "op");
	elapse(&a, 3600000);
	assert_int_equal(answer_status(&a, asked(&a, "op"), 200, "{\"status\":\"running\"}"),
	                 POLL_LEFT);
	assert_int_equal(poll_count(a.poll), 0);
	assert_follows(&a, "op");
	elapse(&a, 3600000);
	assert_int_equal(answer_status(&a, asked(&a, "op"), 200, "{\"status\":\"completed\"}"),
	                 POLL_ENDED);
	poll_free(a.poll);
}

static void a_refusal_ends_the_asking_and_a_failure_does_not(void **state)
{
	static const int refusals[] = { 400, 403, 404, 405, 410 };
	static const int failures[] = { 401, 408, 500, 502, 504, 301 };
	struct asker a = asker_of(usual);

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		assert_follows(&a, "op");
		elapse(&a, 5000);
		assert_int_equal(answer_status(&a, asked(&a, "op"), refusals[i], "{}"), POLL_GONE);
	}
	assert_follows(&a, "op");
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		elapse(&a, 5000);
		assert_int_equal(answer_status(&a, asked(&a, "op"), failures[i], "{}"),
		                 POLL_RUNNING);
	}
	for (enum answer_progress p = ANSWER_NO_TOKEN; p < ANSWER_COMPLETE; p++) {
		elapse(&a, 5000);
		assert_int_equal(answer(&a, asked(&a, "op"), (struct answer){ .progress = p }),
		                 POLL_RUNNING);
	}
	poll_free(a.poll);
}

static void bodies_that_cannot_be_read_are_taken_for_running(void **state)
{
	static const char *const bodies[] = {
		"", "{", "null", "[]", "7", "{\"status\":7}", "{}", "{\"status\":\"notStarted\"}"
	};
	struct asker a = asker_of(usual);

	(void)state;
	assert_follows(&a, "op");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		elapse(&a, 5000);
		assert_int_equal(answer_status(&a, asked(&a, "op"), 200, bodies[i]), POLL_RUNNING);
	}
	poll_free(a.poll);
}

static void throttling_holds_all_questions(void **state)
{
	struct asker a = asker_of(usual);
	uint64_t id;

	(void)state;
	assert_follows(&a, "1");
	assert_follows(&a, "2");
	elapse(&a, 5000);
	id = asked(&a, "1");
	assert_int_equal(answer(&a, id,
	                        (struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = 429,
	                                         .retry_after = "12.5" }),
	                 POLL_RUNNING);
	assert_int_equal(ms_until_next(&a), 12500);
	elapse(&a, 12499);
	assert_asks_nothing(&a);
	elapse(&a, 1);
	id = asked(&a, "2");
	assert_int_equal(answer(&a, id,
	                        (struct answer){ .progress = ANSWER_COMPLETE,
	                                         .http_status = 503,
	                                         .retry_after = "999999" }),
	                 POLL_RUNNING);
	assert_int_equal(ms_until_next(&a), 60000);
	poll_free(a.poll);
}

static void what_names_no_operation_is_left(void **state)
{
	static const char *const texts[] = { "",
		                             "{",
		                             "null",
		                             "{\"clientContext\":\"x\"}",
		                             "{\"id\":\"a/b\",\"clientContext\":\"x\"}",
		                             "{\"id\":\"..\"}",
		                             "{\"id\":7}" };
	struct asker a = asker_of(usual);

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(follow_text(&a, texts[i]), POLL_LEFT);
	assert_int_equal(poll_count(a.poll), 0);
	poll_free(a.poll);
}

static void running_out_of_memory_leaves_the_operation(void **state)
{
	int nth = -1;
	bool failed;

	(void)state;
	json_set_alloc_funcs(malloc, free);
	do {
		struct asker a = asker_of(usual);
		enum poll_result result;

		failing_memory_set(++nth);
		result = follow_text(&a, "{\"id\":\"op\",\"clientContext\":\"x\"}");
		failed = failing_memory_failed();
		failing_memory_set(-1);
		assert_int_equal(result, failed ? POLL_LEFT : POLL_RUNNING);
		poll_free(a.poll);
	} while (failed);
	assert_in_range(nth, 3, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_is_asked_for_at_each_interval_until_it_ends),
		cmocka_unit_test(what_has_failed_says_why_and_keeps_the_context_that_was_sent),
		cmocka_unit_test(what_has_ended_at_once_is_told_at_once),
		cmocka_unit_test(many_operations_take_turns_at_the_rate),
		cmocka_unit_test(few_questions_are_open_at_a_time),
		cmocka_unit_test(more_operations_than_there_is_room_for_are_left),
		cmocka_unit_test(what_runs_for_too_long_is_left_after_one_more_question),
		cmocka_unit_test(a_refusal_ends_the_asking_and_a_failure_does_not),
		cmocka_unit_test(bodies_that_cannot_be_read_are_taken_for_running),
		cmocka_unit_test(throttling_holds_all_questions),
		cmocka_unit_test(what_names_no_operation_is_left),
		cmocka_unit_test(running_out_of_memory_leaves_the_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
