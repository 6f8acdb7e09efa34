/* From records to commands, and what is said about those that are none. */
#include "core/parsing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ANN "{\"identity\":{\"user\":{\"id\":\"ann\"}}}"

static struct fault rejected_bytes(struct bytes value)
{
	struct command *command;
	struct fault fault;

	assert_int_equal(parse_bytes(value, &command, &fault), COMMAND_REJECTED);
	assert_int_equal(command->n_participants, 0);
	assert_true(command->id.size > 0);
	free(command);
	return fault;
}

static void assert_rejected(const char *text, enum reason reason, const char *message)
{
	struct fault fault = rejected_bytes(bytes_of(text));

	assert_int_equal(fault.reason, reason);
	if (strncmp(fault.message, message, strlen(message)) != 0)
		assert_string_equal(fault.message, message);
}

static struct command *accepted(const char *text)
{
	struct command *command;
	struct fault fault;
	enum command_result result = parse_bytes(bytes_of(text), &command, &fault);

	if (result == COMMAND_REJECTED)
		fail_msg("%s", fault.message);
	assert_int_equal(result, COMMAND_VALID);
	return command;
}

/* A command whose members beside callId and participants are 'more'. */
static const char *with(const char *more)
{
	static char text[4000];

	snprintf(text, sizeof(text), "{\"callId\":\"call-a\",\"participants\":[" ANN "]%s%s}",
	         *more ? "," : "", more);
	return text;
}

static void assert_text(const struct command *command, struct piece piece, const char *expected)
{
	assert_true(bytes_equal_text(command_text(command, piece), expected));
}

static void a_command_is_read_with_all_its_members(void **state)
{
	struct command *c =
	    accepted(with("\"commandId\":\"c-1\",\"clientContext\":\"ctx\","
	                  "\"tenantId\":\"tenant-1\",\"expiresAt\":\"2026-01-31T12:00:00Z\","
	                  "\"priority\":\"high\",\"onUnknown\":\"resend\""));

	(void)state;
	assert_text(c, c->id, "c-1");
	assert_text(c, c->call_id, "call-a");
	assert_text(c, c->client_context, "ctx");
	assert_true(c->has_context && c->high_priority && c->resend_unknown && c->has_expiry);
	assert_true(c->expires_at.us == INT64_C(1769860800000000));
	assert_int_equal(c->n_participants, 1);
	free(c);
}

static void a_tenant_is_named_in_any_case_and_the_first_is_the_default(void **state)
{
	static const struct {
		const char *more;
		uint32_t tenant;
	} rows[] = { { "", 0 },
		     { "\"tenantId\":null", 0 },
		     { "\"tenantId\":\"tenant-1\"", 0 },
		     { "\"tenantId\":\"tenant-2\"", 1 },
		     { "\"tenantId\":\"Tenant-2\"", 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct command *c = accepted(with(rows[i].more));

		assert_int_equal(c->tenant, rows[i].tenant);
		free(c);
	}
}

static void null_means_absent_and_a_missing_id_is_made(void **state)
{
	struct command *c =
	    accepted(with("\"commandId\":null,\"clientContext\":null,\"tenantId\":null,"
	                  "\"expiresAt\":null,\"priority\":null,\"onUnknown\":null"));

	(void)state;
	assert_text(c, c->id, "t-2-7");
	assert_false(c->has_context || c->high_priority || c->resend_unknown || c->has_expiry);
	free(c);
}

static void what_is_malformed_is_said_to_be(void **state)
{
	(void)state;
	assert_rejected("", REASON_MALFORMED, "$: expected a JSON object, the record is empty");
	assert_rejected("nonsense", REASON_MALFORMED, "$: expected JSON, line 1 column");
	assert_rejected("[]", REASON_MALFORMED, "$: expected a JSON object");
	assert_rejected("{} {}", REASON_MALFORMED, "$: expected JSON, line 1 column");
	assert_rejected("{\"callId\":\"a\",\"callId\":\"b\"}", REASON_MALFORMED,
	                "$: expected each member once, line 1 column");
	assert_rejected("{\"callId\":\"\xFF\"}", REASON_MALFORMED, "$: expected UTF-8, line 1");
	assert_rejected("{\"callId\":\"\\u0000\"}", REASON_MALFORMED, "$: expected JSON, line 1");
	assert_string_equal(rejected_bytes((struct bytes){ "{\0}", 3 }).message,
	                    "$: expected no NUL, byte 1 is one");
}

static void every_member_is_checked_and_named(void **state)
{
	static const struct {
		const char *more;
		const char *message;
	} rows[] = {
		{ "\"commandId\":7", "$.commandId: expected a string" },
		{ "\"commandId\":\"\"", "$.commandId: expected 1 to 128 characters" },
		{ "\"clientContext\":[]", "$.clientContext: expected a string" },
		{ "\"tenantId\":7", "$.tenantId: expected a string" },
		{ "\"expiresAt\":7", "$.expiresAt: expected a date and time of RFC 3339" },
		{ "\"expiresAt\":\"soon\"", "$.expiresAt: expected a date and time" },
		{ "\"priority\":\"urgent\"", "$.priority: expected \"normal\" or \"high\"" },
		{ "\"priority\":true", "$.priority: expected \"normal\" or \"high\"" },
		{ "\"onUnknown\":\"no\"", "$.onUnknown: expected \"report\" or \"resend\"" },
		{ "\"expiresat\":\"x\"", "$.expiresat: not a member of a command" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_rejected(with(rows[i].more), REASON_INVALID, rows[i].message);
	assert_rejected(with("\"tenantId\":\"tenant-\""), REASON_UNKNOWN_TENANT,
	                "$.tenantId: expected a configured tenant");
	assert_rejected(with("\"tenantId\":\"other\""), REASON_UNKNOWN_TENANT,
	                "$.tenantId: expected a configured tenant");
	assert_rejected("{}", REASON_INVALID, "$.callId: required, and not there");
	assert_rejected("{\"callId\":\"call-a\"}", REASON_INVALID, "$.participants: required");
	assert_rejected("{\"callId\":\"call-a\",\"participants\":{}}", REASON_INVALID,
	                "$.participants: expected an array of 1 to 100 objects");
	assert_rejected("{\"callId\":\"call-a\",\"participants\":[]}", REASON_INVALID,
	                "$.participants: expected an array of 1 to 100 objects");
	assert_rejected("{\"callId\":\"other\",\"participants\":[" ANN "]}", REASON_KEY_MISMATCH,
	                "$.callId: expected the record's key to be the callId");
}

static void a_call_id_cannot_leave_its_path_segment(void **state)
{
	static const char *const ids[] = { "",    ".",     "..",       "a/b",  "a\\\\b",   "a%2fb",
		                           "a?b", "a#b",   "a b",      "a;b",  "\xC3\xA9", "a\\nb",
		                           "a:b", "../..", "a\\u0085", "a\\tb" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		snprintf(text, sizeof(text), "{\"callId\":\"%s\",\"participants\":[" ANN "]}",
		         ids[i]);
		assert_rejected(text, REASON_INVALID, "$.callId: expected 1 to 128 letters");
	}
}

static void a_name_in_a_message_is_short_and_forges_no_line(void **state)
{
	struct fault fault = rejected_bytes(bytes_of(with("\"x\\n[    0] forged\":1")));

	(void)state;
	assert_string_equal(strtok_r(fault.message, ":", &(char *){ NULL }), "$.x?[    0] forged");
	fault = rejected_bytes(bytes_of(
	    with("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xC3\xA9zzzzzzzzzzzzzzzzzzzz\":1")));
	assert_string_equal(strtok_r(fault.message, ":", &(char *){ NULL }),
	                    "$.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void no_message_quotes_a_value(void **state)
{
	static const char *const secrets[] = {
		"{\"callId\":\"geheim /\"}",
		("{\"callId\":\"call-a\",\"participants\":[{\"identity\":{\"phone\":{\"id\":"
		 "\"geheim\"}}}]}"),
		"{\"callId\":\"call-a\" \"geheim\"}",
		"{\"geheim\":\"\\x\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		assert_null(strstr(rejected_bytes(bytes_of(secrets[i])).message, "geheim"));
}

/* Text of 'n' times 'piece'. The caller frees it. */
static char *repeat(const char *piece, size_t n)
{
	size_t size = strlen(piece);
	char *text = malloc(n * size + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * size, piece, size);
	text[n * size] = '\0';
	return text;
}

/* True when a member of 'n' times 'piece' is taken. */
static bool takes(const char *member, const char *piece, size_t n)
{
	char text[2000];
	char *value = repeat(piece, n);
	struct command *command;
	struct fault fault;
	enum command_result result;

	snprintf(text, sizeof(text), "\"%s\":\"%s\"", member, value);
	result = parse_bytes(bytes_of(with(text)), &command, &fault);
	free(command);
	free(value);
	return result == COMMAND_VALID;
}

static void limits_hold_at_the_boundary_and_not_one_past_it(void **state)
{
	(void)state;
	assert_true(takes("commandId", "x", 128));
	assert_false(takes("commandId", "x", 129));
	assert_true(takes("clientContext", "\xF0\x9F\x98\x80", 256));
	assert_false(takes("clientContext", "\xF0\x9F\x98\x80", 257));
}

static enum command_result parse_participants(size_t n)
{
	char *list = repeat(ANN ",", n);
	char *text = malloc(strlen(list) + 100);
	struct command *command;
	struct fault fault;
	enum command_result result;

	list[strlen(list) - 1] = '\0';
	snprintf(text, strlen(list) + 100, "{\"callId\":\"call-a\",\"participants\":[%s]}", list);
	result = parse_bytes(bytes_of(text), &command, &fault);
	free(command);
	free(list);
	free(text);
	return result;
}

static void a_hundred_participants_are_taken_and_no_more(void **state)
{
	(void)state;
	assert_int_equal(parse_participants(100), COMMAND_VALID);
	assert_int_equal(parse_participants(101), COMMAND_REJECTED);
}

static void records_up_to_64_kib_are_read(void **state)
{
	char *text = malloc(COMMAND_BYTES_MAX + 2);
	struct command *command;
	struct fault fault;
	int used = snprintf(text, 1000, "%s", with(""));

	(void)state;
	memset(text + used, ' ', (size_t)(COMMAND_BYTES_MAX + 1 - used));
	assert_int_equal(parse_bytes((struct bytes){ text, COMMAND_BYTES_MAX }, &command, &fault),
	                 COMMAND_VALID);
	free(command);
	assert_string_equal(rejected_bytes((struct bytes){ text, COMMAND_BYTES_MAX + 1 }).message,
	                    "$: expected at most 65536 bytes, the record has 65537");
	free(text);
}

/* A participant with an unknown member of 'depth' nested arrays: the member is at level 4. */
static bool takes_depth(size_t depth)
{
	char *open = repeat("[", depth), *close = repeat("]", depth);
	char text[500];
	struct command *command;
	struct fault fault;
	enum command_result result;

	snprintf(text, sizeof(text),
	         "{\"callId\":\"call-a\",\"participants\":[{\"x\":%s%s,\"y\":\"[[[[[[[[[[[[[[[[[\","
	         "\"identity\":{\"user\":{\"id\":\"ann\"}}}]}",
	         open, close);
	result = parse_bytes(bytes_of(text), &command, &fault);
	free(command);
	free(open);
	free(close);
	return result == COMMAND_VALID;
}

static void nesting_up_to_16_is_read(void **state)
{
	(void)state;
	assert_true(takes_depth(13));
	assert_false(takes_depth(14));
}

static void no_bytes_at_all_crash_it(void **state)
{
	const char *text = with("\"commandId\":\"c-1\"");
	size_t size = strlen(text);
	char copy[200];

	(void)state;
	assert_true(size < sizeof(copy));
	for (size_t i = 0; i < size; i++) {
		struct command *command;
		struct fault fault;

		assert_int_equal(parse_bytes((struct bytes){ text, i }, &command, &fault),
		                 COMMAND_REJECTED);
		free(command);
		memcpy(copy, text, size);
		copy[i] = (char)(copy[i] ^ 0x15);
		assert_int_not_equal(parse_bytes((struct bytes){ copy, size }, &command, &fault),
		                     COMMAND_NO_MEMORY);
		free(command);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_read_with_all_its_members),
		cmocka_unit_test(a_tenant_is_named_in_any_case_and_the_first_is_the_default),
		cmocka_unit_test(null_means_absent_and_a_missing_id_is_made),
		cmocka_unit_test(what_is_malformed_is_said_to_be),
		cmocka_unit_test(every_member_is_checked_and_named),
		cmocka_unit_test(a_call_id_cannot_leave_its_path_segment),
		cmocka_unit_test(a_name_in_a_message_is_short_and_forges_no_line),
		cmocka_unit_test(no_message_quotes_a_value),
		cmocka_unit_test(limits_hold_at_the_boundary_and_not_one_past_it),
		cmocka_unit_test(a_hundred_participants_are_taken_and_no_more),
		cmocka_unit_test(records_up_to_64_kib_are_read),
		cmocka_unit_test(nesting_up_to_16_is_read),
		cmocka_unit_test(no_bytes_at_all_crash_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
