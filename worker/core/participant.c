/* Reading and writing participants: see participant.h. */
#include "worker/core/participant.h"

#include "worker/core/identity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARTICIPANT_TYPE  "#microsoft.graph.invitationParticipantInfo"
#define IDENTITY_SET_TYPE "#microsoft.graph.identitySet"
#define IDENTITY_TYPE     "#microsoft.graph.identity"
#define TYPE_MEMBER       "@odata.type"
/* How objects begin, and those of a usual type. */
#define BEGIN          "{\"" TYPE_MEMBER "\":"
#define BEGIN_AS(type) BEGIN "\"" type "\""

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

static bool check_type_member(const struct reader *r, const struct value *object, const char *path,
                              const char *expected)
{
	static const char part[] = "microsoft.graph.";
	const struct value *type = value_member(object, TYPE_MEMBER);
	struct bytes text = value_text(type);

	if (value_is_absent(type))
		return true;
	if (text.size == 0 || !memmem(text.data, text.size, part, sizeof(part) - 1))
		return invalid(r, "%s['" TYPE_MEMBER "']: expected \"%s\"", path, expected);
	return true;
}

/* Optional ids of other calls and participants. They travel in the body only, but are as bounded as
 * a callId. */
static bool check_id(const struct reader *r, const struct value *object, const char *member,
                     bool *ret_is_there)
{
	const struct value *id = value_member(object, member);

	*ret_is_there = !value_is_absent(id);
	if (!*ret_is_there)
		return true;
	if (!identity_is_call_id(value_text(id)))
		return invalid(
		    r, ".%s: expected an id of 1 to 128 letters, digits, '.', '_', '~' or '-'",
		    member);
	return true;
}

static bool check_flag(const struct reader *r, const struct value *object, const char *member)
{
	const struct value *flag = value_member(object, member);

	if (!value_is_absent(flag) && !value_is(flag, VALUE_TRUE) && !value_is(flag, VALUE_FALSE))
		return invalid(r, ".%s: expected true or false", member);
	return true;
}

/* The kind of identity that a participant is told apart by: the first of these that is there. */
static const char *const identity_kinds[] = { "user", "phone", "guest", "applicationInstance",
	                                      "application" };

static bool check_identity(const struct reader *r, struct bytes kind, const struct value *identity,
                           const struct value **ret_id)
{
	const struct value *id = value_member(identity, "id");
	struct bytes text = value_text(id);

	*ret_id = NULL;
	if (!value_is(identity, VALUE_OBJECT))
		return invalid(r, ".identity.%.*s: expected an object", command_shown_size(kind),
		               kind.data);
	if (value_is_absent(id))
		return true;
	if (text.size == 0 || command_count_characters(text) > COMMAND_IDENTITY_MAX)
		return invalid(r, ".identity.%.*s.id: expected a string of 1 to %d characters",
		               command_shown_size(kind), kind.data, COMMAND_IDENTITY_MAX);
	if (bytes_equal_text(kind, "phone") && !identity_is_e164(text))
		return invalid(r, ".identity.phone.id: expected a phone number in E.164 form, "
		                  "'+' and 2 to 15 digits");
	*ret_id = id;
	return true;
}

/* True for a member of an identity set that holds an identity; others (annotations, endpointType)
 * are passed through. */
static bool is_identity(struct bytes key, const struct value *value)
{
	if (value_is(value, VALUE_OBJECT))
		return true;
	for (size_t i = 0; i < sizeof(identity_kinds) / sizeof(identity_kinds[0]); i++)
		if (bytes_equal_text(key, identity_kinds[i]))
			return !value_is_absent(value);
	return false;
}

/* Smaller comes first; kinds that are not in the list come last, in the order of the document. */
static size_t kind_rank(struct bytes kind)
{
	size_t rank = 0;

	while (rank < sizeof(identity_kinds) / sizeof(identity_kinds[0]) &&
	       !bytes_equal_text(kind, identity_kinds[rank]))
		rank++;
	return rank;
}

/* The identity that counts. */
struct chosen {
	const struct value *kind; /* The name of its member in the set */
	const struct value *id;   /* NULL: none has one */
	size_t rank;
	bool has_phone;
};

static bool check_identity_set(const struct reader *r, const struct value *participant,
                               struct chosen *ret)
{
	const struct value *set = value_member(participant, "identity");
	const struct value *name;

	*ret = (struct chosen){ 0 };
	if (!value_is(set, VALUE_OBJECT))
		return invalid(r, ".identity: expected an object");
	if (!check_type_member(r, set, ".identity", IDENTITY_SET_TYPE))
		return false;
	VALUE_EACH (set, name) {
		struct bytes kind = name->text;
		size_t rank = kind_rank(kind);
		const struct value *id;

		if (!is_identity(kind, value_of(name)))
			continue;
		if (!check_identity(r, kind, value_of(name), &id))
			return false;
		ret->has_phone = ret->has_phone || bytes_equal_text(kind, "phone");
		if (id && (!ret->id || rank < ret->rank))
			*ret = (struct chosen){ name, id, rank, ret->has_phone };
	}
	if (!ret->id)
		return invalid(r,
		               ".identity: expected an identity with an id, such as user or phone");
	return true;
}

/* Begin an object with its type, which Graph wants first. True when that is the usual one, and is
 * left out. */
static bool append_type(struct buffer *text, const struct value *object, const char *usual)
{
	const struct value *own = value_member(object, TYPE_MEMBER);

	if (!value_is(own, VALUE_STRING) || bytes_equal_text(own->text, usual))
		return true;
	buffer_append_text(text, BEGIN);
	buffer_append_bytes(text, own->raw);
	return false;
}

static void append_name(struct buffer *text, const struct value *name)
{
	buffer_append_char(text, ',');
	buffer_append_bytes(text, name->raw);
	buffer_append_char(text, ':');
}

static struct bytes between(const char *begin, const char *end)
{
	return (struct bytes){ begin, (size_t)(end - begin) };
}

/* True when a string means what is written between its quotes. */
static bool is_plain(const struct value *string)
{
	return string->raw.size == string->text.size + 2;
}

/* True when the identity can be read where it is written. */
static bool has_no_escapes(const struct chosen *chosen)
{
	return is_plain(chosen->kind) && is_plain(chosen->id);
}

/* Append the chosen identity as it is, without a usual type that it begins with, and note where it
 * stands between its quotes: the text ends with the name of its member and a colon. */
static void append_identity(struct buffer *text, const struct chosen *chosen,
                            struct participant *ret)
{
	static const char usual[] = BEGIN_AS(IDENTITY_TYPE);
	struct bytes json = value_of(chosen->kind)->raw;
	size_t before_id;

	ret->has_usual_identity_type = has_no_escapes(chosen) && json.size > strlen(usual) &&
	                               memcmp(json.data, usual, strlen(usual)) == 0;
	if (ret->has_usual_identity_type)
		json = between(json.data + strlen(usual), json.data + json.size);
	before_id = (size_t)(chosen->id->raw.data - json.data);
	ret->identity_distance = (uint16_t)(text->size - chosen->kind->raw.size - ret->json_start);
	ret->id_distance = (uint16_t)(chosen->kind->raw.size + before_id + 1);
	buffer_append_bytes(text, json);
}

static void append_identity_set(struct buffer *text, const struct value *set,
                                const struct chosen *chosen, struct participant *ret)
{
	const struct value *name;

	ret->set_distance = (uint16_t)(text->size - ret->json_start);
	ret->has_usual_set_type = append_type(text, set, IDENTITY_SET_TYPE);
	VALUE_EACH (set, name) {
		if (bytes_equal_text(name->text, TYPE_MEMBER))
			continue;
		append_name(text, name);
		if (name == chosen->kind)
			append_identity(text, chosen, ret);
		else
			buffer_append_bytes(text, value_of(name)->raw);
	}
	buffer_append_char(text, '}');
}

/* No longer than the object was: the members' commas stand for its brace and what lay between. */
static void append_participant(struct buffer *text, const struct value *object,
                               const struct chosen *chosen, struct participant *ret)
{
	const struct value *name;

	ret->json_start = text->size & PIECE_START_MAX;
	ret->has_usual_type = append_type(text, object, PARTICIPANT_TYPE);
	VALUE_EACH (object, name) {
		if (bytes_equal_text(name->text, TYPE_MEMBER))
			continue;
		append_name(text, name);
		if (bytes_equal_text(name->text, "identity"))
			append_identity_set(text, value_of(name), chosen, ret);
		else
			buffer_append_bytes(text, value_of(name)->raw);
	}
	buffer_append_char(text, '}');
	ret->json_size = (uint16_t)(text->size - ret->json_start);
}

static void keep_participant(struct buffer *text, const struct value *json,
                             const struct chosen *chosen, struct participant *ret)
{
	struct bytes kind = chosen->kind->text;
	struct bytes id = chosen->id->text;

	append_participant(text, json, chosen, ret);
	ret->identity_kind_size = (uint16_t)kind.size;
	ret->id_size = id.size & PIECE_SIZE_MAX;
	if (has_no_escapes(chosen))
		return;
	ret->identity_distance = ret->json_size;
	ret->id_distance = ret->identity_kind_size;
	buffer_append_bytes(text, kind);
	buffer_append_bytes(text, id);
}

bool participant_parse(const struct value *json, size_t index, struct buffer *text,
                       struct participant *ret, struct fault *ret_fault)
{
	struct reader r = { .index = index, .fault = ret_fault };
	struct chosen chosen;
	bool replaces, moves;

	if (!value_is(json, VALUE_OBJECT))
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
	keep_participant(text, json, &chosen, ret);
	return true;
}

/* Where what is kept of its identity lies, when that has no escapes: behind the quote of its name
 * and a colon. */
static const char *find_identity(const struct command *command, size_t index)
{
	struct bytes kind = command_identity(command, index).kind;

	return kind.data + kind.size + 2;
}

void participant_write(const struct command *command, size_t index, struct buffer *out)
{
	const struct participant *p = command_participant(command, index);
	struct bytes json = participant_json(command, index);
	const char *end = json.data + json.size;
	const char *set = json.data + p->set_distance;
	const char *identity = p->has_usual_identity_type ? find_identity(command, index) : end;

	if (p->has_usual_type)
		buffer_append_text(out, BEGIN_AS(PARTICIPANT_TYPE));
	buffer_append_bytes(out, between(json.data, set));
	if (p->has_usual_set_type)
		buffer_append_text(out, BEGIN_AS(IDENTITY_SET_TYPE));
	buffer_append_bytes(out, between(set, identity));
	if (p->has_usual_identity_type)
		buffer_append_text(out, BEGIN_AS(IDENTITY_TYPE));
	buffer_append_bytes(out, between(identity, end));
}
