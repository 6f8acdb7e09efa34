/* Participants: what is checked, what is added, what is passed through. */
#include "core/parsing.h"
#include "worker/core/participant.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TYPE     "\"@odata.type\":\"#microsoft.graph.invitationParticipantInfo\""
#define SET_TYPE "\"@odata.type\":\"#microsoft.graph.identitySet\""
#define ID_TYPE  "\"@odata.type\":\"#microsoft.graph.identity\""
#define OLD_CALL "\"replacesCallId\":\"a7ebfb2d-871e-419c-87af-27290b22e8db\""

static struct command *parse(const char *participants, struct fault *ret_fault)
{
	struct command *command;
	char text[5000];

	snprintf(text, sizeof(text), "{\"callId\":\"call-a\",\"participants\":[%s]}", participants);
	ret_fault->message[0] = '\0';
	assert_int_not_equal(parse_bytes(bytes_of(text), &command, ret_fault), COMMAND_NO_MEMORY);
	return command;
}

/* 'expected' is "<kind>:<id>". */
static void assert_identity(const struct command *c, size_t index, const char *expected)
{
	struct identity identity = command_identity(c, index);
	char text[2000];

	snprintf(text, sizeof(text), "%.*s:%.*s", (int)identity.kind.size, identity.kind.data,
	         (int)identity.id.size, identity.id.data);
	assert_string_equal(text, expected);
}

static void assert_sent(const char *given, const char *sent, enum participant_kind kind,
                        const char *identity)
{
	struct fault fault;
	struct command *c = parse(given, &fault);
	struct buffer out;

	assert_string_equal(fault.message, "");
	assert_int_equal(c->n_participants, 1);
	buffer_init(&out, 5000);
	participant_write(c, 0, &out);
	assert_true(buffer_ok(&out));
	assert_string_equal(out.data, sent);
	buffer_close(&out);
	assert_int_equal(command_participant(c, 0)->kind, kind);
	assert_identity(c, 0, identity);
	free(c);
}

static void assert_refused(const char *given, const char *message)
{
	struct fault fault;
	struct command *c = parse(given, &fault);

	assert_int_equal(c->n_participants, 0);
	assert_int_equal(fault.reason, REASON_INVALID);
	if (strncmp(fault.message, message, strlen(message)) != 0)
		assert_string_equal(fault.message, message);
	free(c);
}

static void the_documented_cases_are_sent_as_they_are(void **state)
{
	static const char replace[] =
	    "{" TYPE "," OLD_CALL ",\"identity\":{" SET_TYPE ",\"user\":{" ID_TYPE
	    ",\"id\":\"278405a3-f568-4b3e-b684-009193463064\","
	    "\"displayName\":\"string\"}}}";
	static const char phone[] = "{" TYPE ",\"identity\":{" SET_TYPE ",\"phone\":{" ID_TYPE
	                            ",\"id\":\"+12345678901\"}}}";
	static const char move[] =
	    "{" TYPE "," OLD_CALL ",\"participantId\":\"7d501bf1-5ee4-4605-ba92-0ae4513c611c\","
	    "\"identity\":{" SET_TYPE ",\"user\":{" ID_TYPE
	    ",\"id\":\"682b6c37-0729-4fab-ace6-d730d5d9137e\","
	    "\"identityProvider\":\"AAD\"}}}";
	static const char plain[] = "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{" ID_TYPE
	                            ",\"id\":\"1e126418\",\"displayName\":\"string\"}}}";

	(void)state;
	assert_sent(replace, replace, PARTICIPANT_REPLACE,
	            "user:278405a3-f568-4b3e-b684-009193463064");
	assert_sent(plain, plain, PARTICIPANT_PLAIN, "user:1e126418");
	assert_sent(phone, phone, PARTICIPANT_PHONE, "phone:+12345678901");
	assert_sent(move, move, PARTICIPANT_MOVE, "user:682b6c37-0729-4fab-ace6-d730d5d9137e");
}

static void types_are_added_and_put_first(void **state)
{
	(void)state;
	assert_sent("{\"identity\":{\"user\":{\"id\":\"Ann\"}}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{\"id\":\"Ann\"}}}",
	            PARTICIPANT_PLAIN, "user:Ann");
	assert_sent("{\"identity\":{\"user\":{\"id\":\"a\"}," SET_TYPE "}," TYPE "}",
	            "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{\"id\":\"a\"}}}",
	            PARTICIPANT_PLAIN, "user:a");
	assert_sent("{\"@odata.type\":null,\"identity\":{\"user\":{\"id\":\"a\"}}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{\"id\":\"a\"}}}",
	            PARTICIPANT_PLAIN, "user:a");
	assert_sent("{\"@odata.type\":\"#microsoft.graph.other\",\"identity\":{\"user\":{\"id\":"
	            "\"a\"}}}",
	            "{\"@odata.type\":\"#microsoft.graph.other\",\"identity\":{" SET_TYPE
	            ",\"user\":{\"id\":\"a\"}}}",
	            PARTICIPANT_PLAIN, "user:a");
}

static void a_type_within_an_identity_is_sent_where_it_stood(void **state)
{
	static const char *const sets[] = {
		"\"user\":{" ID_TYPE ",\"id\":\"Ann\"}",
		"\"user\":{" ID_TYPE " , \"displayName\":\"A\",\"id\":\"Ann\"}",
		"\"user\":{\"id\":\"Ann\"," ID_TYPE "}",
		"\"user\":{ " ID_TYPE ",\"id\":\"Ann\"}",
		"\"user\":{\"@odata.type\":\"#microsoft.graph.identityX\",\"id\":\"Ann\"}",
		"\"phone\":{" ID_TYPE ",\"id\":\"+4930\"},\"user\":{" ID_TYPE
		",\"id\":\"Ann\"},\"guest\":{" ID_TYPE ",\"id\":\"g\"}",
		"\"user\":{" ID_TYPE ",\"id\":\"\\u0041nn\"}",
		"\"us\\u0065r\":{" ID_TYPE ",\"id\":\"Ann\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		char given[400], sent[600];

		snprintf(given, sizeof(given), "{\"identity\":{%s},\"x\":[1]}", sets[i]);
		snprintf(sent, sizeof(sent), "{" TYPE ",\"identity\":{" SET_TYPE ",%s},\"x\":[1]}",
		         sets[i]);
		assert_sent(given, sent, i == 5 ? PARTICIPANT_PHONE : PARTICIPANT_PLAIN,
		            "user:Ann");
	}
}

static void unknown_members_are_passed_through(void **state)
{
	(void)state;
	assert_sent("{\"hidden\":true,\"removeFromDefaultAudioRoutingGroup\":false,\"identity\":{"
	            "\"guest\":{\"id\":\"g\",\"email\":null},\"endpointType\":\"default\"},"
	            "\"new\":{\"a\":[1,2.5,\"\\u00e9\",null,true]}}",
	            "{" TYPE ",\"hidden\":true,\"removeFromDefaultAudioRoutingGroup\":false,"
	            "\"identity\":{" SET_TYPE ",\"guest\":{\"id\":\"g\",\"email\":null},"
	            "\"endpointType\":\"default\"},\"new\":{\"a\":[1,2.5,\"\\u00e9\",null,true]}}",
	            PARTICIPANT_PLAIN, "guest:g");
	assert_sent("{\"identity\":{\"azureCommunicationServicesUser\":{\"id\":\"8:acs\"},"
	            "\"user\":null}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE
	            ",\"azureCommunicationServicesUser\":{\"id\":\"8:acs\"},\"user\":null}}",
	            PARTICIPANT_PLAIN, "azureCommunicationServicesUser:8:acs");
}

/* True when the piece of text lies in what is sent, which has it only once then. */
static bool is_sent(const struct command *c, size_t index, struct bytes piece)
{
	struct bytes json = participant_json(c, index);

	return piece.data >= json.data && piece.data + piece.size <= json.data + json.size;
}

static void an_identity_is_read_where_it_is_sent(void **state)
{
	static const struct {
		const char *given;
		const char *identity;
	} rows[] = {
		{ "{\"identity\":{\"user\":{\"id\":\"Ann\"}}}", "user:Ann" },
		{ "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{" ID_TYPE ",\"id\":\"Ann\"}}}",
		  "user:Ann" },
		{ "{\"identity\":{\"user\":{\"id\":\"Ann\"," ID_TYPE "}," SET_TYPE "}," TYPE "}",
		  "user:Ann" },
		{ " {\t\"identity\" :\n{ \"user\" : { \"x\" : [ ] , \"id\" : \"Ann\" } } } ",
		  "user:Ann" },
		{ "{\"a\":{\"id\":\"no\"},\"identity\":{\"x\":\"user\",\"user\":{\"user\":\"Ann\","
		  "\"x\":{\"id\":\"no\"},\"id\":\"Ann\",\"y\":\"Ann\"}},\"z\":\"Ann\"}",
		  "user:Ann" },
		{ "{\"identity\":{\"application\":{\"id\":\"app\"},\"user\":{\"id\":\"Ann\"},"
		  "\"phone\":{\"id\":\"+4930\"}}}",
		  "user:Ann" },
		{ "{\"identity\":{\"device\":{\"id\":\"d\"},\"user\":{\"displayName\":\"A\"},"
		  "\"application\":{\"id\":\"app\"},\"guest\":{\"id\":\"g\"}}}",
		  "guest:g" },
		{ "{\"identity\":{\"x\":{},\"Device\":{\"id\":\"d:1\"},\"other\":{\"id\":\"o\"}}}",
		  "Device:d:1" },
		{ "{\"identity\":{\"\":{\"id\":\" \"}}}", ": " },
		{ "{\"identit\\u0079\":{\"user\":{\"displayName\":\"\\\"\",\"i\\u0064\":\"Ann\"}}}",
		  "user:Ann" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fault fault;
		struct command *c = parse(rows[i].given, &fault);

		assert_string_equal(fault.message, "");
		assert_identity(c, 0, rows[i].identity);
		assert_true(is_sent(c, 0, command_identity(c, 0).kind));
		assert_true(is_sent(c, 0, command_identity(c, 0).id));
		free(c);
	}
}

static void an_identity_with_escapes_is_what_they_mean(void **state)
{
	(void)state;
	assert_sent("{\"identity\":{\"user\":{\"id\":\"\\u0041nn\\\"\"}}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE ",\"user\":{\"id\":\"\\u0041nn\\\"\"}}}",
	            PARTICIPANT_PLAIN, "user:Ann\"");
	assert_sent("{\"identity\":{\"guest\":{\"id\":\"g\"},\"us\\u0065r\":{\"id\":\"Ann\"}}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE
	            ",\"guest\":{\"id\":\"g\"},\"us\\u0065r\":{\"id\":\"Ann\"}}}",
	            PARTICIPANT_PLAIN, "user:Ann");
	assert_sent("{\"identity\":{\"a\\/b\":{\"id\":\"\\ud83d\\ude00\"}}}",
	            "{" TYPE ",\"identity\":{" SET_TYPE ",\"a\\/b\":{\"id\":\"\\ud83d\\ude00\"}}}",
	            PARTICIPANT_PLAIN, "a/b:\xF0\x9F\x98\x80");
}

static void every_participant_has_its_own_identity(void **state)
{
	static const char *const identities[] = { "user:Ann", "user:Bob", "device:\t",
		                                  "phone:+4930" };
	struct fault fault;
	struct command *c = parse("{\"identity\":{\"user\":{\"id\":\"Ann\"}}},"
	                          "{\"identity\":{\"user\":{\"id\":\"\\u0042ob\"}}},"
	                          "{\"identity\":{\"device\":{\"id\":\"\\t\"}}},"
	                          "{\"identity\":{\"phone\":{\"id\":\"+4930\"}},\"x\":\"\\t\"}",
	                          &fault);

	(void)state;
	assert_int_equal(c->n_participants, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_identity(c, i, identities[i]);
		assert_int_equal(is_sent(c, i, command_identity(c, i).id), i == 0 || i == 3);
	}
	assert_true(bytes_equal_text(command_text(c, c->call_id), "call-a"));
	free(c);
}

/* A record that is as long as one may be, in which 'head' and 'tail' stand around as many 'x' as
 * fit. The caller frees the command. */
static struct command *parse_longest(const char *head, const char *tail)
{
	char *text = malloc(COMMAND_BYTES_MAX + 1);
	int n =
	    snprintf(text, COMMAND_BYTES_MAX, "{\"callId\":\"call-a\",\"participants\":[%s", head);
	size_t room = COMMAND_BYTES_MAX - (size_t)n - strlen(tail);
	struct command *command;
	struct fault fault;

	memset(text + n, 'x', room);
	memcpy(text + (size_t)n + room, tail, strlen(tail));
	assert_int_equal(parse_bytes((struct bytes){ text, COMMAND_BYTES_MAX }, &command, &fault),
	                 COMMAND_VALID);
	free(text);
	return command;
}

static void a_type_within_an_identity_is_sent_in_the_longest_record(void **state)
{
	static const char *const ends[] = { "\",\"identity\":{\"user\":{" ID_TYPE
		                            ",\"id\":\"Ann\"}}}]}",
		                            "\"}}}]}" };
	static const char *const begins[] = { "{\"x\":\"", "{\"identity\":{\"user\":{" ID_TYPE
		                                           ",\"id\":\"Ann\",\"displayName\":\"" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct command *c = parse_longest(begins[i], ends[i]);
		struct buffer out;

		buffer_init(&out, 2 * COMMAND_BYTES_MAX);
		participant_write(c, 0, &out);
		assert_true(buffer_ok(&out));
		assert_identity(c, 0, "user:Ann");
		assert_true(out.size > COMMAND_BYTES_MAX);
		assert_non_null(strstr(out.data, "\"identity\":{" SET_TYPE ",\"user\":{" ID_TYPE
		                                 ",\"id\":\"Ann\""));
		buffer_close(&out);
		free(c);
	}
}

static void an_identity_may_lie_anywhere_in_the_longest_record(void **state)
{
	struct command *c = parse_longest("{\"identity\":{\"", "\":{\"id\":\"Ann\"}}}]}");
	struct identity identity = command_identity(c, 0);

	(void)state;
	assert_true(identity.kind.size > COMMAND_BYTES_MAX - 100);
	for (size_t i = 0; i < identity.kind.size; i++)
		assert_int_equal(identity.kind.data[i], 'x');
	assert_true(bytes_equal_text(identity.id, "Ann"));
	free(c);
	c = parse_longest("{\"identity\":{\"\\t", "\":{\"id\":\"Ann\"}}}]}");
	identity = command_identity(c, 0);
	assert_true(identity.kind.size > COMMAND_BYTES_MAX - 100);
	assert_int_equal(identity.kind.data[0], '\t');
	assert_true(bytes_equal_text(identity.id, "Ann"));
	free(c);
	c = parse_longest("{\"identity\":{\"user\":{\"displayName\":\"", "\",\"id\":\"Ann\"}}}]}");
	assert_identity(c, 0, "user:Ann");
	free(c);
	c = parse_longest("{\"identity\":{\"user\":{\"id\":\"Ann\"}},\"a\":\"",
	                  "\"},{\"identity\":{\"user\":{\"id\":\"\\u0042ob\"}}}]}");
	assert_identity(c, 0, "user:Ann");
	assert_identity(c, 1, "user:Bob");
	free(c);
}

static void the_longest_ids_are_read_in_every_form(void **state)
{
	static const char *const forms[] = { "\xF0\x9F\x98\x80", "\\ud83d\\ude00" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char given[4000] = "{\"identity\":{\"user\":{\"id\":\"";
		struct fault fault;
		struct command *c;
		struct bytes id;

		for (size_t k = 0; k < COMMAND_IDENTITY_MAX; k++)
			memcpy(given + strlen(given), forms[i], strlen(forms[i]) + 1);
		memcpy(given + strlen(given), "\"}}}", sizeof("\"}}}"));
		c = parse(given, &fault);
		assert_string_equal(fault.message, "");
		id = command_identity(c, 0).id;
		assert_int_equal(id.size, IDENTITY_ID_SIZE);
		for (size_t k = 0; k < id.size; k += 4)
			assert_memory_equal(id.data + k, forms[0], 4);
		free(c);
	}
}

#define USER "\"identity\":{\"user\":{\"id\":\"a\"}}"
#define P0   "$.participants[0]"

static void what_is_wrong_is_named_by_its_path(void **state)
{
	static const struct {
		const char *given;
		const char *message;
	} rows[] = {
		{ "7", P0 ": expected an object" },
		{ "{}", P0 ".identity: expected an object" },
		{ "{\"identity\":[]}", P0 ".identity: expected an object" },
		{ "{\"identity\":{}}", P0 ".identity: expected an identity with an id" },
		{ "{\"identity\":{\"user\":{}}}", P0 ".identity: expected an identity with an id" },
		{ "{\"identity\":{\"user\":null}}", P0 ".identity: expected an identity with" },
		{ "{\"identity\":{\"user\":\"ann\"}}", P0 ".identity.user: expected an object" },
		{ "{\"identity\":{\"user\":{\"id\":7}}}",
		  P0 ".identity.user.id: expected a string of 1 to 256" },
		{ "{\"identity\":{\"user\":{\"id\":\"\"}}}",
		  P0 ".identity.user.id: expected a string of 1 to 256" },
		{ "{\"identity\":{\"phone\":{\"id\":\"4930\"}}}",
		  P0 ".identity.phone.id: expected a phone number in E.164 form" },
		{ "{\"identity\":{\"phone\":{\"id\":\"+0493\"}}}", P0 ".identity.phone.id: exp" },
		{ "{\"identity\":{\"phone\":{\"id\":\"+4\"}}}", P0 ".identity.phone.id: exp" },
		{ "{\"identity\":{\"phone\":{\"id\":\"+1234567890123456\"}}}",
		  P0 ".identity.phone.id: exp" },
		{ "{\"identity\":{\"phone\":{\"id\":\"+49 30\"}}}", P0 ".identity.phone.id: exp" },
		{ "{" USER ",\"hidden\":\"yes\"}", P0 ".hidden: expected true or false" },
		{ "{" USER ",\"removeFromDefaultAudioRoutingGroup\":1}",
		  P0 ".removeFromDefaultAudioRoutingGroup: expected true or false" },
		{ "{" USER ",\"replacesCallId\":7}", P0 ".replacesCallId: expected an id" },
		{ "{" USER ",\"replacesCallId\":\"a/b\"}", P0 ".replacesCallId: expected an id" },
		{ "{" USER ",\"participantId\":\"p\"}",
		  P0 ".participantId: expected together with replacesCallId" },
		{ "{" USER "," OLD_CALL ",\"participantId\":\"\"}", P0 ".participantId: expected" },
		{ "{" USER ",\"@odata.type\":7}", P0 "['@odata.type']: expected \"#micro" },
		{ "{" USER ",\"@odata.type\":\"x\"}", P0 "['@odata.type']: expected \"#micro" },
		{ "{\"identity\":{\"@odata.type\":\"x\",\"user\":{\"id\":\"a\"}}}",
		  P0 ".identity['@odata.type']: expected \"#microsoft.graph.identitySet\"" },
		{ "{" USER "},{" USER "},null", "$.participants[2]: expected an object" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_refused(rows[i].given, rows[i].message);
}

static void phone_numbers_have_2_to_15_digits(void **state)
{
	static const char *const numbers[] = { "+49", "+123456789012345" };
	char given[100];
	struct fault fault;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct command *c;

		snprintf(given, sizeof(given), "{\"identity\":{\"phone\":{\"id\":\"%s\"}}}",
		         numbers[i]);
		c = parse(given, &fault);
		assert_int_equal(c->n_participants, 1);
		free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_cases_are_sent_as_they_are),
		cmocka_unit_test(types_are_added_and_put_first),
		cmocka_unit_test(a_type_within_an_identity_is_sent_where_it_stood),
		cmocka_unit_test(unknown_members_are_passed_through),
		cmocka_unit_test(an_identity_is_read_where_it_is_sent),
		cmocka_unit_test(an_identity_with_escapes_is_what_they_mean),
		cmocka_unit_test(every_participant_has_its_own_identity),
		cmocka_unit_test(a_type_within_an_identity_is_sent_in_the_longest_record),
		cmocka_unit_test(an_identity_may_lie_anywhere_in_the_longest_record),
		cmocka_unit_test(the_longest_ids_are_read_in_every_form),
		cmocka_unit_test(what_is_wrong_is_named_by_its_path),
		cmocka_unit_test(phone_numbers_have_2_to_15_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
