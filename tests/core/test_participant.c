/* Participants: what is checked, what is added, what is passed through. */
#include "core/parsing.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TYPE     "\"@odata.type\":\"#microsoft.graph.invitationParticipantInfo\""
#define SET_TYPE "\"@odata.type\":\"#microsoft.graph.identitySet\""
#define ID_TYPE  "\"@odata.type\":\"#microsoft.graph.identity\""
#define OLD_CALL "\"replacesCallId\":\"a7ebfb2d-871e-419c-87af-27290b22e8db\""

static struct command *parse(const char *participants, struct fault *ret_fault)
{
	struct command *command;
	char text[4000];

	snprintf(text, sizeof(text), "{\"callId\":\"call-a\",\"participants\":[%s]}", participants);
	ret_fault->message[0] = '\0';
	assert_int_not_equal(parse_bytes(bytes_of(text), &command, ret_fault), COMMAND_NO_MEMORY);
	return command;
}

static void assert_sent(const char *given, const char *sent, enum participant_kind kind,
                        const char *identity)
{
	struct fault fault;
	struct command *c = parse(given, &fault);
	struct bytes json;
	char text[2000];

	assert_string_equal(fault.message, "");
	assert_int_equal(c->n_participants, 1);
	json = command_text(c, c->participants[0].json);
	snprintf(text, sizeof(text), "%.*s", (int)json.size, json.data);
	assert_string_equal(text, sent);
	assert_int_equal(c->participants[0].kind, kind);
	assert_true(bytes_equal_text(command_text(c, c->participants[0].identity), identity));
	command_free(c);
}

static void assert_refused(const char *given, const char *message)
{
	struct fault fault;
	struct command *c = parse(given, &fault);

	assert_int_equal(c->n_participants, 0);
	assert_int_equal(fault.reason, REASON_INVALID);
	if (strncmp(fault.message, message, strlen(message)) != 0)
		assert_string_equal(fault.message, message);
	command_free(c);
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
	            PARTICIPANT_PLAIN, "user:ann");
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
		command_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_cases_are_sent_as_they_are),
		cmocka_unit_test(types_are_added_and_put_first),
		cmocka_unit_test(unknown_members_are_passed_through),
		cmocka_unit_test(what_is_wrong_is_named_by_its_path),
		cmocka_unit_test(phone_numbers_have_2_to_15_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
