/* From the bytes of a record to a command, or to a fault that says what to mend: see command.h. */
#include "worker/core/command.h"

#include "worker/core/identity.h"
#include "worker/core/participant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is kept of a record is no longer than that, but for identities with escapes, kept twice. */
#define TEXT_MAX         (8 * COMMAND_BYTES_MAX)
#define SHOWN_NAME_MAX   40
#define PLACE_SIZE       64
#define SOURCE_NAME_SIZE 300 /* The name of a topic has at most 249 bytes */

_Static_assert(TEXT_MAX <= PIECE_START_MAX, "a piece may begin anywhere in the text");
_Static_assert(SOURCE_NAME_SIZE <= PIECE_SIZE_MAX, "a name by the source is a short text");

struct parser {
	const struct policy *policy;
	const struct record *record;
	struct buffer *text; /* Begins with room for the command */
	struct fault *fault;
	struct command *command; /* Copied there at the end */
	struct participant participants[COMMAND_PARTICIPANTS_MAX];
};

PRINTF_LIKE(3, 4)
static bool fail(struct parser *p, enum reason reason, const char *format, ...)
{
	va_list args;

	p->fault->reason = reason;
	va_start(args, format);
	vsnprintf(p->fault->message, sizeof(p->fault->message), format, args);
	va_end(args);
	return false;
}

static struct piece keep(struct parser *p, struct bytes bytes)
{
	struct piece piece = { .start = p->text->size & PIECE_START_MAX,
		               .size = bytes.size & PIECE_SIZE_MAX };

	CHECK(piece.start == p->text->size && piece.size == bytes.size);
	buffer_append_bytes(p->text, bytes);
	return piece;
}

size_t command_count_characters(struct bytes text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.size; i++)
		n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
	return n;
}

static bool take_text(struct parser *p, const struct value *json, const char *member, size_t max,
                      struct piece *ret)
{
	struct bytes text = value_text(json);

	if (!value_is(json, VALUE_STRING))
		return fail(p, REASON_INVALID, "$.%s: expected a string", member);
	/* No text has more characters than bytes. */
	if (text.size == 0 || (text.size > max && command_count_characters(text) > max))
		return fail(p, REASON_INVALID, "$.%s: expected 1 to %zu characters", member, max);
	*ret = keep(p, text);
	return true;
}

static bool take_command_id(struct parser *p, const struct value *json)
{
	p->command->has_id = true;
	return take_text(p, json, "commandId", COMMAND_ID_MAX, &p->command->id);
}

static bool take_target(struct parser *p, const struct value *json)
{
	return take_text(p, json, "cancel", COMMAND_ID_MAX, &p->command->target);
}

static bool take_call_id(struct parser *p, const struct value *json)
{
	if (!identity_is_call_id(value_text(json)))
		return fail(p, REASON_INVALID,
		            "$.callId: expected 1 to 128 letters, digits, '.', '_', '~' or '-', "
		            "and neither \".\" nor \"..\"");
	p->command->call_id = keep(p, value_text(json));
	return true;
}

/* The worker's own contexts are evidence of what it has sent: nobody else may make one. */
static bool take_context(struct parser *p, const struct value *json)
{
	static const char prefix[] = CONTEXT_PREFIX;
	struct bytes text = value_text(json);

	if (text.size >= sizeof(prefix) - 1 && memcmp(text.data, prefix, sizeof(prefix) - 1) == 0)
		return fail(p, REASON_INVALID,
		            "$.clientContext: expected one that does not begin with \"%s\"",
		            CONTEXT_PREFIX);
	p->command->has_context = true;
	return take_text(p, json, "clientContext", COMMAND_CONTEXT_MAX,
	                 &p->command->client_context);
}

/* Ids and domains do not differ by case. */
static bool same_name(struct bytes name, const char *tenant)
{
	return name.size == strlen(tenant) && strncasecmp(name.data, tenant, name.size) == 0;
}

static bool take_tenant(struct parser *p, const struct value *json)
{
	const struct text_list *tenants = &p->policy->tenants;

	if (!value_is(json, VALUE_STRING))
		return fail(p, REASON_INVALID, "$.tenantId: expected a string");
	for (size_t i = 0; i < tenants->count; i++) {
		if (same_name(value_text(json), tenants->texts[i])) {
			p->command->tenant = (uint16_t)i;
			return true;
		}
	}
	return fail(p, REASON_UNKNOWN_TENANT, "$.tenantId: expected a configured tenant");
}

static bool take_expiry(struct parser *p, const struct value *json)
{
	struct bytes text = value_text(json);

	p->command->has_expiry = true;
	if (text.size == 0 || !wall_parse_rfc3339(text.data, text.size, &p->command->expires_at))
		return fail(p, REASON_INVALID,
		            "$.expiresAt: expected a date and time of RFC 3339, "
		            "such as 2026-01-31T12:00:00Z");
	return true;
}

/* One of two words; '*ret' says whether it is the second. */
static bool take_choice(struct parser *p, const struct value *json, const char *member,
                        const char *first, const char *second, bool *ret)
{
	struct bytes text = value_text(json);

	*ret = bytes_equal_text(text, second);
	if (!*ret && !bytes_equal_text(text, first))
		return fail(p, REASON_INVALID, "$.%s: expected \"%s\" or \"%s\"", member, first,
		            second);
	return true;
}

static bool take_priority(struct parser *p, const struct value *json)
{
	bool is_high;
	bool valid = take_choice(p, json, "priority", "normal", "high", &is_high);

	p->command->high_priority = is_high;
	return valid;
}

static bool take_on_unknown(struct parser *p, const struct value *json)
{
	bool is_resend;
	bool valid = take_choice(p, json, "onUnknown", "report", "resend", &is_resend);

	p->command->resend_unknown = is_resend;
	return valid;
}

static bool take_participants(struct parser *p, const struct value *json)
{
	size_t n = value_count(json);
	size_t i = 0;
	const struct value *one;

	if (!value_is(json, VALUE_ARRAY) || n < 1 || n > COMMAND_PARTICIPANTS_MAX)
		return fail(p, REASON_INVALID,
		            "$.participants: expected an array of 1 to %d objects",
		            COMMAND_PARTICIPANTS_MAX);
	VALUE_EACH (json, one) {
		if (!participant_parse(one, i, p->text, &p->participants[i], p->fault))
			return false;
		i++;
	}
	p->command->n_participants = (uint8_t)n;
	return true;
}

/* What a member is to a command, or to a cancel. */
enum use { USE_NONE, USE_OPTIONAL, USE_REQUIRED };

#define NAME(text)                                                                                 \
	{                                                                                          \
		.data = (text), .size = sizeof(text) - 1                                           \
	}

/* All members, in the order in which they are checked: those that a reply names come first. */
static const struct member {
	struct bytes name;
	enum use in_command;
	enum use in_cancel;
	bool (*take)(struct parser *p, const struct value *json);
} members[] = {
	{ NAME("commandId"), USE_OPTIONAL, USE_OPTIONAL, take_command_id },
	{ NAME("cancel"), USE_NONE, USE_REQUIRED, take_target },
	{ NAME("callId"), USE_REQUIRED, USE_REQUIRED, take_call_id },
	{ NAME("clientContext"), USE_OPTIONAL, USE_NONE, take_context },
	{ NAME("tenantId"), USE_OPTIONAL, USE_OPTIONAL, take_tenant },
	{ NAME("expiresAt"), USE_OPTIONAL, USE_NONE, take_expiry },
	{ NAME("priority"), USE_OPTIONAL, USE_NONE, take_priority },
	{ NAME("onUnknown"), USE_OPTIONAL, USE_NONE, take_on_unknown },
	{ NAME("participants"), USE_REQUIRED, USE_NONE, take_participants },
};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

/* The values of the members; of one that is not there, or null, it is NULL. */
struct found {
	const struct value *values[N_MEMBERS];
	const struct value *unknown; /* The first name that is none of them */
};

static void find_members(const struct value *root, struct found *ret)
{
	const struct value *name;

	*ret = (struct found){ 0 };
	VALUE_EACH (root, name) {
		size_t i = 0;

		while (i < N_MEMBERS && !bytes_equal(name->text, members[i].name))
			i++;
		if (i < N_MEMBERS)
			ret->values[i] = value_is_absent(value_of(name)) ? NULL : value_of(name);
		else if (!ret->unknown)
			ret->unknown = name;
	}
}

int command_shown_size(struct bytes name)
{
	size_t size = name.size;

	if (size <= SHOWN_NAME_MAX)
		return (int)size;
	size = SHOWN_NAME_MAX;
	while (size > 0 && ((unsigned char)name.data[size] & 0xC0) == 0x80)
		size--;
	return (int)size;
}

static bool fail_unknown(struct parser *p, struct bytes name)
{
	if (p->command->is_cancel)
		return fail(p, REASON_INVALID,
		            "$.%.*s: not a member of a cancel; expected only cancel, callId, "
		            "commandId and tenantId",
		            command_shown_size(name), name.data);
	return fail(p, REASON_INVALID,
	            "$.%.*s: not a member of a command; expected only commandId, callId, "
	            "participants, clientContext, tenantId, expiresAt, priority and onUnknown, "
	            "or cancel",
	            command_shown_size(name), name.data);
}

static bool take_member(struct parser *p, const struct member *member, const struct value *value)
{
	enum use use = p->command->is_cancel ? member->in_cancel : member->in_command;

	if (value && use == USE_NONE)
		return fail_unknown(p, member->name);
	if (!value && use == USE_REQUIRED)
		return fail(p, REASON_INVALID, "$.%s: required, and not there", member->name.data);
	return !value || member->take(p, value);
}

static bool take_members(struct parser *p, const struct value *root)
{
	struct found found;

	if (!value_is(root, VALUE_OBJECT))
		return fail(p, REASON_MALFORMED, "$: expected a JSON object");
	find_members(root, &found);
	p->command->is_cancel = !value_is_absent(value_member(root, "cancel"));
	for (size_t i = 0; i < N_MEMBERS; i++)
		if (!take_member(p, &members[i], found.values[i]))
			return false;
	return !found.unknown || fail_unknown(p, found.unknown->text);
}

/* Names of members come from outside: nothing in a message may look like a line of its own. */
static void tidy(char *message)
{
	for (char *p = message; *p; p++)
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			*p = '?';
}

static bool check_size(struct parser *p, size_t size)
{
	if (size == 0)
		return fail(p, REASON_MALFORMED, "$: expected a JSON object, the record is empty");
	if (size > COMMAND_BYTES_MAX)
		return fail(p, REASON_MALFORMED, "$: expected at most %d bytes, the record has %zu",
		            COMMAND_BYTES_MAX, size);
	return true;
}

/* What can be said more clearly of what could not be read, however early the reader stopped. */
static bool scan(struct parser *p, struct bytes value)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < value.size; i++) {
		char c = value.data[i];

		if (c == '\0')
			return fail(p, REASON_MALFORMED, "$: expected no NUL, byte %zu is one", i);
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > COMMAND_NESTING_MAX)
			return fail(
			    p, REASON_MALFORMED,
			    "$: expected at most %d levels of nesting, byte %zu opens one more",
			    COMMAND_NESTING_MAX, i);
	}
	return true;
}

/* "line 1 column 7", both counted from 1, columns in characters. */
static void write_place(struct bytes value, size_t at, char place[static PLACE_SIZE])
{
	size_t line = 1, start = 0;
	struct bytes before;

	for (size_t i = 0; i < at; i++) {
		if (value.data[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	before = (struct bytes){ value.data + start, at - start };
	snprintf(place, PLACE_SIZE, "line %zu column %zu", line,
	         command_count_characters(before) + 1);
}

static bool fail_reading(struct parser *p, const struct document *document)
{
	char place[PLACE_SIZE];

	if (!scan(p, p->record->value))
		return false;
	write_place(p->record->value, document->problem_at, place);
	if (document->problem == DOCUMENT_REPEATED)
		return fail(p, REASON_MALFORMED, "$: expected each member once, %s repeats one",
		            place);
	if (document->problem == DOCUMENT_UTF8)
		return fail(p, REASON_MALFORMED, "$: expected UTF-8, %s is not", place);
	if (document->problem == DOCUMENT_NO_MEMORY)
		p->text->failed = true;
	return fail(p, REASON_MALFORMED, "$: expected JSON, %s is not", place);
}

static bool check_key(struct parser *p)
{
	struct bytes call_id = { p->text->data + p->command->call_id.start,
		                 p->command->call_id.size };

	if (p->policy->require_key &&
	    (!p->record->has_key || !bytes_equal(p->record->key, call_id)))
		return fail(p, REASON_KEY_MISMATCH,
		            "$.callId: expected the record's key to be the callId, the record %s",
		            p->record->has_key ? "has another" : "has none");
	return true;
}

static void name_by_source(struct parser *p)
{
	char name[SOURCE_NAME_SIZE];
	int size =
	    snprintf(name, sizeof(name), "%.*s-%" PRId32 "-%" PRId64, (int)p->record->topic.size,
	             p->record->topic.data, p->record->partition, p->record->offset);

	CHECK(size > 0 && (size_t)size < sizeof(name));
	p->command->id = keep(p, (struct bytes){ name, (size_t)size });
}

/* Who names no expiry gets that of the policy, if it is known when the record was written. */
static void set_default_expiry(struct parser *p)
{
	int64_t after_us = p->policy->default_expiry.us;
	int64_t written_us = p->record->timestamp.us;

	if (p->command->has_expiry || p->command->is_cancel || after_us <= 0 || written_us <= 0 ||
	    written_us > INT64_MAX - after_us)
		return;
	p->command->has_expiry = true;
	p->command->expires_at.us = written_us + after_us;
}

/* Put the command together: itself, its texts, its participants. */
static const struct command *build(struct parser *p)
{
	static const char padding[_Alignof(struct participant)];
	size_t over = p->text->size % sizeof(padding);
	struct command *command;

	if (over > 0)
		buffer_append(p->text, padding, sizeof(padding) - over);
	p->command->participants_start = (uint32_t)p->text->size;
	buffer_append(p->text, p->participants,
	              p->command->n_participants * sizeof(p->participants[0]));
	if (!buffer_ok(p->text))
		return NULL;
	command = (void *)p->text->data;
	*command = *p->command;
	return command;
}

static bool parse(struct parser *p)
{
	struct document document;
	const struct value *root;
	bool valid;

	if (!check_size(p, p->record->value.size))
		return false;
	root = document_read(&document, p->record->value, COMMAND_NESTING_MAX);
	valid = root ? take_members(p, root) && buffer_ok(p->text) && check_key(p)
	             : fail_reading(p, &document);
	document_close(&document);
	return valid;
}

enum command_result command_parse(const struct policy *policy, const struct record *record,
                                  struct buffer *scratch, const struct command **ret,
                                  struct fault *ret_fault)
{
	struct command command = { 0 };
	struct parser p;
	bool valid;

	p.policy = policy;
	p.record = record;
	p.text = scratch;
	p.fault = ret_fault;
	p.command = &command;
	buffer_clear(scratch);
	scratch->limit = TEXT_MAX;
	buffer_append(scratch, &command, sizeof(command));
	valid = parse(&p);
	if (valid) {
		set_default_expiry(&p);
	} else {
		command.n_participants = 0;
		tidy(ret_fault->message);
	}
	if (command.id.size == 0)
		name_by_source(&p);
	*ret = build(&p);
	if (!*ret)
		return COMMAND_NO_MEMORY;
	return valid ? COMMAND_VALID : COMMAND_REJECTED;
}
