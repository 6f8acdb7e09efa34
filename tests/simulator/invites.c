/* Checking and performing invites. */
#include "simulator/invites.h"

#include "simulator/answers.h"
#include "simulator/simulator.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARTICIPANTS_MAX 5
#define CONTEXT_MAX      256 /* Characters */
#define PARTICIPANT_TYPE "#microsoft.graph.invitationParticipantInfo"
#define TYPE_PREFIX      "#microsoft.graph."

/* The identities that an answer shows as null when they are not set: the first four, or all. */
static const char *const identity_names[] = {
	"user",  "application", "device",     "phone",
	"guest", "encrypted",   "onPremises", "applicationInstance",
};
#define N_NARROW 4
#define N_WIDE   (sizeof identity_names / sizeof identity_names[0])

/* Why the invite under inspection is refused; NULL while nothing is wrong. */
typedef const char *problem_t;

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* Find the first member of the identity set that is an identity. */
static void find_identity(json_t *set, struct invited *invited)
{
	const char *name;
	json_t *value;

	json_object_foreach(set, name, value)
	{
		if (!json_is_object(value))
			continue;
		invited->type = name;
		invited->id = text_of(value, "id");
		return;
	}
}

static struct invited describe(const json_t *participant)
{
	struct invited invited = { .kind = "plain" };
	bool replaces = text_of(participant, "replacesCallId") != NULL;

	find_identity(json_object_get(participant, "identity"), &invited);
	if (replaces && text_of(participant, "participantId"))
		invited.kind = "move";
	else if (replaces)
		invited.kind = "replace";
	else if (invited.type && strcmp(invited.type, "phone") == 0)
		invited.kind = "phone";
	return invited;
}

void invites_parse(struct exchange *exchange)
{
	struct bytes body = buffer_bytes(&exchange->body);
	json_error_t error;
	json_t *participants;
	size_t n;

	exchange->json = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, &error);
	exchange->client_context = text_of(exchange->json, "clientContext");
	participants = json_object_get(exchange->json, "participants");
	n = json_array_size(participants);
	n = n < EXCHANGE_MAX_INVITED ? n : EXCHANGE_MAX_INVITED;
	exchange->invited = calloc(n, sizeof(*exchange->invited));
	CHECK(exchange->invited || n == 0);
	for (size_t i = 0; i < n; i++)
		exchange->invited[i] = describe(json_array_get(participants, i));
	exchange->n_invited = n;
}

bool invites_read_one(const struct exchange *exchange)
{
	const char *kind = exchange->n_invited > 0 ? exchange->invited[0].kind : "";

	return strcmp(kind, "replace") == 0 || strcmp(kind, "move") == 0;
}

static bool is_e164(const char *id)
{
	size_t digits = strspn(id + (*id == '+'), "0123456789");

	return id[0] == '+' && id[1] != '0' && digits >= 2 && digits <= 15 && !id[digits + 1];
}

static bool is_type(const json_t *object)
{
	const char *type = text_of(object, "@odata.type");

	return type && strncmp(type, TYPE_PREFIX, strlen(TYPE_PREFIX)) == 0;
}

static problem_t check_identity(json_t *set)
{
	struct invited invited = { 0 };
	const char *type = text_of(set, "@odata.type");

	if (!json_is_object(set))
		return "A participant has no identity.";
	if (!type || (strcmp(type, "#microsoft.graph.identitySet") != 0 &&
	              strcmp(type, "#microsoft.graph.communicationsIdentitySet") != 0))
		return "The type of an identity set is missing or unknown.";
	find_identity(set, &invited);
	if (!invited.type || !invited.id || !invited.id[0])
		return "An identity set has no identity with an id.";
	if (json_object_get(json_object_get(set, invited.type), "@odata.type") &&
	    !is_type(json_object_get(set, invited.type)))
		return "The type of an identity is unknown.";
	if (strcmp(invited.type, "phone") == 0 && !is_e164(invited.id))
		return "A phone number is not in the E.164 format.";
	return NULL;
}

/* True for a member that is absent, null, or of that type. */
static bool is_optional(const json_t *object, const char *name, bool boolean)
{
	const json_t *value = json_object_get(object, name);

	if (!value || json_is_null(value))
		return true;
	return boolean ? json_is_boolean(value) : json_is_string(value);
}

static problem_t check_participant(const json_t *participant)
{
	const char *type = text_of(participant, "@odata.type");

	if (!json_is_object(participant))
		return "A participant is not an object.";
	if (!type || strcmp(type, PARTICIPANT_TYPE) != 0)
		return "The type of a participant is missing or unknown.";
	if (!is_optional(participant, "replacesCallId", false) ||
	    !is_optional(participant, "participantId", false))
		return "replacesCallId and participantId must be strings.";
	if (!is_optional(participant, "hidden", true) ||
	    !is_optional(participant, "removeFromDefaultAudioRoutingGroup", true))
		return "hidden and removeFromDefaultAudioRoutingGroup must be booleans.";
	return check_identity(json_object_get(participant, "identity"));
}

/* Characters of a text in UTF-8. */
static size_t count_characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xC0) != 0x80;
	return n;
}

static problem_t check_members(json_t *body)
{
	const char *name;
	json_t *value;

	json_object_foreach(body, name, value)
	{
		if (strcmp(name, "participants") != 0 && strcmp(name, "clientContext") != 0 &&
		    name[0] != '@')
			return "The payload has a member that is not a parameter of the action.";
	}
	if (!is_optional(body, "clientContext", false))
		return "clientContext must be a string.";
	value = json_object_get(body, "clientContext");
	if (json_is_string(value) && count_characters(json_string_value(value)) > CONTEXT_MAX)
		return "clientContext is longer than 256 characters.";
	return NULL;
}

static problem_t check(const struct exchange *exchange)
{
	json_t *participants = json_object_get(exchange->json, "participants");
	problem_t problem;
	json_t *participant;
	size_t i;

	if (!json_is_object(exchange->json))
		return "The payload is not a JSON object.";
	problem = check_members(exchange->json);
	if (problem)
		return problem;
	if (!json_is_array(participants) || json_array_size(participants) == 0)
		return "There are no participants.";
	if (json_array_size(participants) > PARTICIPANTS_MAX)
		return "There are more than 5 participants.";
	json_array_foreach(participants, i, participant)
	{
		problem = check_participant(participant);
		if (problem || invites_read_one(exchange))
			return problem;
	}
	return NULL;
}

static void write_json(struct buffer *out, const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	buffer_append_text(out, text ? text : "null");
	free(text);
}

static bool is_named(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(identity_names[i], name) == 0)
			return true;
	return false;
}

/* The identity set of an answer: the usual members, with null for what is not there, and then
 * whatever else came. */
static void write_identity(struct buffer *out, json_t *set, size_t n_usual)
{
	const char *name;
	json_t *value;

	for (size_t i = 0; i < n_usual; i++) {
		buffer_append_char(out, i == 0 ? '{' : ',');
		buffer_append_json_text(out, identity_names[i]);
		buffer_append_char(out, ':');
		write_json(out, json_object_get(set, identity_names[i]));
	}
	json_object_foreach(set, name, value)
	{
		if (name[0] == '@' || is_named(name, n_usual))
			continue;
		buffer_append_char(out, ',');
		buffer_append_json_text(out, name);
		buffer_append_char(out, ':');
		write_json(out, value);
	}
	buffer_append_char(out, '}');
}

static void write_participant(struct buffer *out, const json_t *participant,
                              const struct invited *invited)
{
	bool wide = strcmp(invited->type, "user") != 0;
	bool move = strcmp(invited->kind, "move") == 0;

	buffer_append_text(out, "{\"endpointType\":null");
	if (wide || move)
		buffer_append_text(out, ",\"id\":null");
	buffer_append_text(out, ",\"replacesCallId\":");
	buffer_append_json_text(out, text_of(participant, "replacesCallId"));
	if (move) {
		buffer_append_text(out, ",\"participantId\":");
		buffer_append_json_text(out, text_of(participant, "participantId"));
	}
	if (json_object_get(participant, "hidden")) {
		buffer_append_text(out, ",\"hidden\":");
		write_json(out, json_object_get(participant, "hidden"));
	}
	buffer_append_text(out, ",\"identity\":");
	write_identity(out, json_object_get(participant, "identity"), wide ? N_WIDE : N_NARROW);
	buffer_append_char(out, '}');
}

static void write_participants(const struct exchange *exchange, struct buffer *out)
{
	const json_t *participants = json_object_get(exchange->json, "participants");
	size_t n = invites_read_one(exchange) ? 1 : exchange->n_invited;

	for (size_t i = 0; i < n; i++) {
		buffer_append_char(out, i == 0 ? '[' : ',');
		write_participant(out, json_array_get(participants, i), &exchange->invited[i]);
	}
	buffer_append_char(out, ']');
}

static void write_location(struct exchange *exchange)
{
	struct buffer *location = &exchange->answer.location;
	const char *host = exchange_header(exchange, "Host");

	buffer_append_text(location, exchange->tls ? "https://" : "http://");
	buffer_append_text(location, host ? host : "localhost");
	buffer_append_text(location, "/v1.0/communications/calls/");
	buffer_append_bytes(location, exchange->call_id);
	buffer_append_text(location, "/operations/");
	buffer_append_text(location, exchange->operation);
}

/* Make the operation and answer with it. */
static void take_effect(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	struct operation *operation = NULL;
	struct buffer participants, context;

	buffer_init(&participants, (size_t)8 * EXCHANGE_MAX_BODY);
	buffer_init(&context, EXCHANGE_MAX_BODY);
	write_participants(exchange, &participants);
	buffer_append_json_text(&context, exchange->client_context);
	random_uuid(&simulator->random, exchange->operation);
	if (exchange->call && buffer_ok(&participants) && buffer_ok(&context))
		operation = calls_add(&simulator->calls, exchange->call, exchange->operation,
		                      exchange->arrived, buffer_bytes(&participants),
		                      buffer_bytes(&context));
	buffer_close(&participants);
	buffer_close(&context);
	if (!operation) {
		exchange->operation[0] = '\0';
		answers_refuse(exchange, 500, NULL, NULL);
		return;
	}
	exchange->effect = true;
	simulator->effects++;
	exchange->answer.status = 200;
	calls_write_operation(operation, &simulator->settings, exchange->arrived,
	                      &exchange->answer.body);
	if (simulator->settings.location)
		write_location(exchange);
}

void invites_handle(struct exchange *exchange)
{
	const char *type = exchange_header(exchange, "Content-Type");
	problem_t problem;

	if (strcmp(exchange->method, "POST") != 0) {
		answers_refuse(exchange, 405, NULL, NULL);
		return;
	}
	if (!type || strncasecmp(type, "application/json", 16) != 0) {
		answers_refuse(exchange, 415, NULL, NULL);
		return;
	}
	problem = check(exchange);
	if (problem)
		answers_refuse(exchange, 400, "BadRequest", problem);
	else
		take_effect(exchange);
}
