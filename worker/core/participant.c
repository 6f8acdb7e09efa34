/* Reading and writing participants: see participant.h. */
#include "worker/core/participant.h"

#include "worker/core/identity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARTICIPANT_TYPE  "#microsoft.graph.invitationParticipantInfo"
#define IDENTITY_SET_TYPE "#microsoft.graph.identitySet"
#define TYPE_MEMBER       "@odata.type"

/* The participant that is being read, for messages. */
struct reader {
	size_t index;
	struct fault *fault;
};

PRINTF_LIKE(2, 3)
static bool invalid(const struct reader *r, const char *format, ...)
{
	char *message = r->fault->message;
	size_t size = sizeof(r->fault->message);
	size_t used;
	va_list args;

	r->fault->reason = REASON_INVALID;
	snprintf(message, size, "$.participants[%zu]", r->index);
	used = strlen(message);
	va_start(args, format);
	vsnprintf(message + used, size - used, format, args);
	va_end(args);
	return false;
}

static int append_dumped(const char *data, size_t size, void *text)
{
	buffer_append(text, data, size);
	return 0;
}

static void append_json(struct buffer *text, const json_t *json)
{
	json_dump_callback(json, append_dumped, text, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* The object with its type first; 'nested' names a member that gets 'nested_type' in the same way.
 */
static void append_typed(struct buffer *text, const json_t *object, const char *type,
                         const char *nested, const char *nested_type)
{
	/* json_object_foreach() asks for a mutable object but does not change it. */
	json_t *members = (json_t *)(uintptr_t)object;
	const json_t *own = json_object_get(object, TYPE_MEMBER);
	const char *key;
	json_t *value;

	buffer_append_text(text, "{\"" TYPE_MEMBER "\":");
	buffer_append_json_text(text, json_is_string(own) ? json_string_value(own) : type);
	json_object_foreach(members, key, value)
	{
		if (strcmp(key, TYPE_MEMBER) == 0)
			continue;
		buffer_append_char(text, ',');
		buffer_append_json_text(text, key);
		buffer_append_char(text, ':');
		if (nested && strcmp(key, nested) == 0)
			append_typed(text, value, nested_type, NULL, NULL);
		else
			append_json(text, value);
	}
	buffer_append_char(text, '}');
}

static bool check_type_member(const struct reader *r, const json_t *object, const char *path,
                              const char *expected)
{
	const json_t *type = json_object_get(object, TYPE_MEMBER);

	if (!type || json_is_null(type))
		return true;
	if (!json_is_string(type) || !strstr(json_string_value(type), "microsoft.graph."))
		return invalid(r, "%s['" TYPE_MEMBER "']: expected \"%s\"", path, expected);
	return true;
}

/* Optional ids of other calls and participants. They travel in the body only, but are as bounded as
 * a callId. */
static bool check_id(const struct reader *r, const json_t *object, const char *member,
                     bool *ret_is_there)
{
	const json_t *id = json_object_get(object, member);

	*ret_is_there = id && !json_is_null(id);
	if (!*ret_is_there)
		return true;
	if (!json_is_string(id) ||
	    !identity_is_call_id((struct bytes){ json_string_value(id), json_string_length(id) }))
		return invalid(
		    r, ".%s: expected an id of 1 to 128 letters, digits, '.', '_', '~' or '-'",
		    member);
	return true;
}

static bool check_flag(const struct reader *r, const json_t *object, const char *member)
{
	const json_t *flag = json_object_get(object, member);

	if (flag && !json_is_boolean(flag) && !json_is_null(flag))
		return invalid(r, ".%s: expected true or false", member);
	return true;
}

/* The kind of identity that a participant is told apart by: the first of these that is there. */
static const char *const identity_kinds[] = { "user", "phone", "guest", "applicationInstance",
	                                      "application" };

static bool check_identity(const struct reader *r, const char *kind, const json_t *identity,
                           struct bytes *ret_id)
{
	const json_t *id = json_object_get(identity, "id");

	*ret_id = (struct bytes){ 0 };
	if (!json_is_object(identity))
		return invalid(r, ".identity.%.*s: expected an object", command_shown_size(kind),
		               kind);
	if (!id || json_is_null(id))
		return true;
	if (json_is_string(id))
		*ret_id = (struct bytes){ json_string_value(id), json_string_length(id) };
	if (ret_id->size == 0 || command_count_characters(*ret_id) > COMMAND_IDENTITY_MAX)
		return invalid(r, ".identity.%.*s.id: expected a string of 1 to %d characters",
		               command_shown_size(kind), kind, COMMAND_IDENTITY_MAX);
	if (strcmp(kind, "phone") == 0 && !identity_is_e164(*ret_id))
		return invalid(r, ".identity.phone.id: expected a phone number in E.164 form, "
		                  "'+' and 2 to 15 digits");
	return true;
}

/* True for a member of an identity set that holds an identity; others (annotations, endpointType)
 * are passed through. */
static bool is_identity(const char *key, const json_t *value)
{
	if (json_is_object(value))
		return true;
	for (size_t i = 0; i < sizeof(identity_kinds) / sizeof(identity_kinds[0]); i++)
		if (strcmp(key, identity_kinds[i]) == 0)
			return !json_is_null(value);
	return false;
}

/* Smaller comes first; kinds that are not in the list come last, in the order of the document. */
static size_t kind_rank(const char *kind)
{
	size_t rank = 0;

	while (rank < sizeof(identity_kinds) / sizeof(identity_kinds[0]) &&
	       strcmp(kind, identity_kinds[rank]) != 0)
		rank++;
	return rank;
}

struct chosen {
	const char *kind; /* NULL: none has an id */
	size_t rank;
	struct bytes id;
	bool has_phone;
};

static bool check_identity_set(const struct reader *r, const json_t *participant,
                               struct chosen *ret)
{
	json_t *set = json_object_get(participant, "identity");
	const char *key;
	json_t *value;

	*ret = (struct chosen){ 0 };
	if (!json_is_object(set))
		return invalid(r, ".identity: expected an object");
	if (!check_type_member(r, set, ".identity", IDENTITY_SET_TYPE))
		return false;
	json_object_foreach(set, key, value)
	{
		struct bytes id;

		if (!is_identity(key, value))
			continue;
		if (!check_identity(r, key, value, &id))
			return false;
		ret->has_phone = ret->has_phone || strcmp(key, "phone") == 0;
		if (id.size > 0 && (!ret->kind || kind_rank(key) < ret->rank))
			*ret = (struct chosen){ key, kind_rank(key), id, ret->has_phone };
	}
	if (!ret->kind)
		return invalid(r,
		               ".identity: expected an identity with an id, such as user or phone");
	return true;
}

static struct span append_identity(struct buffer *text, const struct chosen *chosen)
{
	struct span span = { .start = (uint32_t)text->size };

	buffer_append_text(text, chosen->kind);
	buffer_append_char(text, ':');
	for (size_t i = 0; i < chosen->id.size; i++) {
		char c = chosen->id.data[i];

		buffer_append_char(text, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
	}
	span.size = (uint32_t)text->size - span.start;
	return span;
}

bool participant_parse(const json_t *json, size_t index, struct buffer *text,
                       struct participant *ret, struct fault *ret_fault)
{
	struct reader r = { .index = index, .fault = ret_fault };
	struct chosen chosen;
	bool replaces, moves;

	if (!json_is_object(json))
		return invalid(&r, ": expected an object");
	if (!check_type_member(&r, json, "", PARTICIPANT_TYPE) ||
	    !check_identity_set(&r, json, &chosen) ||
	    !check_id(&r, json, "replacesCallId", &replaces) ||
	    !check_id(&r, json, "participantId", &moves) || !check_flag(&r, json, "hidden") ||
	    !check_flag(&r, json, "removeFromDefaultAudioRoutingGroup"))
		return false;
	if (moves && !replaces)
		return invalid(&r, ".participantId: expected together with replacesCallId, "
		                   "the call to move the participant from");
	ret->kind = moves              ? PARTICIPANT_MOVE
	            : replaces         ? PARTICIPANT_REPLACE
	            : chosen.has_phone ? PARTICIPANT_PHONE
	                               : PARTICIPANT_PLAIN;
	ret->identity = append_identity(text, &chosen);
	ret->json.start = (uint32_t)text->size;
	append_typed(text, json, PARTICIPANT_TYPE, "identity", IDENTITY_SET_TYPE);
	ret->json.size = (uint32_t)text->size - ret->json.start;
	return true;
}
