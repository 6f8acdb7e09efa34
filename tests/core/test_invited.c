/* What the last commands asked for. */
#include "worker/core/invited.h"
#include "worker/core/policy.h"
#include "core/failing_memory.h"
#include "core/parsing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Room for all that a test notes. */
static void init(struct invited *v, size_t offsets)
{
	invited_init(v, &(struct invited_bounds){ .offsets = offsets, .entries = 1000 });
}

/* A command for the call with one user, and a context unless that is NULL. */
static struct command *command_of(const char *call, const char *who, const char *context)
{
	struct policy policy = policy_default();
	const struct command *command;
	struct command *copy;
	struct buffer scratch;
	struct fault fault;
	char text[256];
	struct record record = { .topic = bytes_of("t"), .has_key = true, .key = bytes_of(call) };

	snprintf(text, sizeof(text),
	         "{\"callId\":\"%s\",%s%s%s\"participants\":[{\"identity\":{\"user\":{\"id\":"
	         "\"%s\"}}}]}",
	         call, context ? "\"clientContext\":\"" : "", context ? context : "",
	         context ? "\"," : "", who);
	record.value = bytes_of(text);
	buffer_init(&scratch, 4096);
	assert_int_equal(command_parse(&policy, &record, &scratch, &command, &fault),
	                 COMMAND_VALID);
	copy = parsing_copy(command);
	buffer_close(&scratch);
	return copy;
}

static void note(struct invited *v, const char *call, const char *who, const char *context,
                 int64_t offset, int64_t frontier)
{
	struct command *command = command_of(call, who, context);

	assert_true(invited_note(v, command, offset, frontier));
	free(command);
}

/* Offsets of the commands that invite the same to the same call; -1 behind the last. */
static void expect_offsets(const struct invited *v, const char *call, const char *who,
                           const int64_t *offsets)
{
	struct command *command = command_of(call, who, NULL);
	const struct invited_entry *entry;
	size_t at = 0;

	while ((entry = invited_identity(v, command, 0, &at)) != NULL)
		assert_int_equal(entry->offset, *offsets++);
	assert_int_equal(*offsets, -1);
	free(command);
}

static void all_commands_that_ask_for_the_same_are_found(void **state)
{
	struct invited v;

	(void)state;
	init(&v, 100);
	note(&v, "a", "ann", NULL, 0, 0);
	note(&v, "a", "bob", "ann", 1, 0);
	note(&v, "b", "ann", NULL, 2, 0);
	note(&v, "a", "ann", NULL, 3, 0);
	expect_offsets(&v, "a", "ann", (const int64_t[]){ 0, 3, -1 });
	expect_offsets(&v, "a", "bob", (const int64_t[]){ 1, -1 });
	expect_offsets(&v, "b", "bob", (const int64_t[]){ -1 });
	invited_close(&v);
}

static void an_identity_is_the_same_however_it_is_written(void **state)
{
	struct invited v;

	(void)state;
	init(&v, 100);
	note(&v, "a", "Ann-\xC3\x89", NULL, 0, 0);
	note(&v, "a", "\\u0061NN-\\u00c9", NULL, 1, 0);
	note(&v, "a", "ann-\xC3\xA9", NULL, 2, 0);
	expect_offsets(&v, "a", "ANN-\xC3\x89", (const int64_t[]){ 0, 1, -1 });
	expect_offsets(&v, "a", "ann-\\u00c9", (const int64_t[]){ 0, 1, -1 });
	invited_close(&v);
}

static void a_context_is_found_for_its_call_only(void **state)
{
	struct command *command = command_of("a", "carl", "mine");
	const struct invited_entry *entry;
	struct invited v;
	size_t at = 0;

	(void)state;
	init(&v, 100);
	note(&v, "a", "mine", NULL, 0, 0);
	note(&v, "b", "ann", "mine", 1, 0);
	note(&v, "a", "bob", "mine", 2, 0);
	entry = invited_context(&v, command, &at);
	assert_non_null(entry);
	assert_int_equal(entry->offset, 2);
	assert_null(invited_context(&v, command, &at));
	free(command);
	invited_close(&v);
}

static void what_lies_far_behind_the_frontier_is_forgotten(void **state)
{
	struct invited v;

	(void)state;
	init(&v, 10);
	note(&v, "a", "ann", NULL, 0, 0);
	note(&v, "a", "ann", NULL, 5, 0);
	note(&v, "a", "bob", NULL, 500, 10);
	expect_offsets(&v, "a", "ann", (const int64_t[]){ 0, 5, -1 });
	note(&v, "a", "bob", NULL, 501, 11);
	expect_offsets(&v, "a", "ann", (const int64_t[]){ 5, -1 });
	note(&v, "a", "bob", NULL, 502, 490);
	expect_offsets(&v, "a", "ann", (const int64_t[]){ -1 });
	expect_offsets(&v, "a", "bob", (const int64_t[]){ 500, 501, 502, -1 });
	invited_close(&v);
}

static void memory_is_bounded_by_the_limit(void **state)
{
	struct invited v;

	(void)state;
	init(&v, 10);
	for (int64_t i = 0; i < 10000; i++)
		note(&v, "a", "ann", NULL, i, i);
	assert_in_range(v.capacity, 1, 64);
	assert_true(invited_is_complete(&v, 9999));
	invited_close(&v);
}

static void memory_is_bounded_when_an_offset_stands(void **state)
{
	struct invited v;

	(void)state;
	invited_init(&v, &(struct invited_bounds){ .offsets = 10, .entries = 16 });
	for (int64_t i = 0; i < 10000; i++)
		note(&v, "a", "ann", NULL, i, 0);
	assert_in_range(v.capacity, 1, 64);
	expect_offsets(&v, "a", "ann",
	               (const int64_t[]){ 9984, 9985, 9986, 9987, 9988, 9989, 9990, 9991, 9992,
	                                  9993, 9994, 9995, 9996, 9997, 9998, 9999, -1 });
	invited_close(&v);
}

static void what_did_not_fit_is_missed_until_it_would_be_old(void **state)
{
	struct invited v;

	(void)state;
	invited_init(&v, &(struct invited_bounds){ .offsets = 10, .entries = 3 });
	for (int64_t i = 0; i < 3; i++)
		note(&v, "a", "ann", NULL, i, 0);
	assert_true(invited_is_complete(&v, 0));
	note(&v, "a", "bob", "mine", 3, 0);
	assert_false(invited_is_complete(&v, 0));
	assert_false(invited_is_complete(&v, 11));
	assert_true(invited_is_complete(&v, 12));
	invited_close(&v);
}

static void running_out_of_memory_is_said(void **state)
{
	struct command *command = command_of("a", "ann", NULL);
	struct invited v;

	(void)state;
	init(&v, 10);
	failing_memory_set(0);
	assert_false(invited_note(&v, command, 0, 0));
	failing_memory_set(-1);
	assert_true(invited_note(&v, command, 0, 0));
	free(command);
	invited_close(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_commands_that_ask_for_the_same_are_found),
		cmocka_unit_test(an_identity_is_the_same_however_it_is_written),
		cmocka_unit_test(a_context_is_found_for_its_call_only),
		cmocka_unit_test(what_lies_far_behind_the_frontier_is_forgotten),
		cmocka_unit_test(memory_is_bounded_by_the_limit),
		cmocka_unit_test(memory_is_bounded_when_an_offset_stands),
		cmocka_unit_test(what_did_not_fit_is_missed_until_it_would_be_old),
		cmocka_unit_test(running_out_of_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
