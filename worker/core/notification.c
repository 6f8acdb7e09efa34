/* Reading what the bot forwards: see notification.h. */
#include "worker/core/notification.h"

#include "worker/core/context.h"

#include <string.h>
#include <strings.h>

#define INVITE_TYPE "microsoft.graph.inviteParticipantsOperation"

static bool refuse(struct notification *n, const char *problem, const char **ret_problem)
{
	json_decref(n->root);
	n->root = NULL;
	*ret_problem = problem;
	return false;
}

static bool check_values(struct notification *n, const char **ret_problem)
{
	const json_t *values = json_object_get(n->root, "value");

	if (!json_is_array(values))
		return refuse(n, "no array `value`", ret_problem);
	if (json_array_size(values) > NOTIFICATION_COUNT_MAX)
		return refuse(n, "too many notifications", ret_problem);
	return true;
}

enum notification_result notification_open(const struct record *record, struct notification *ret,
                                           const char **ret_problem)
{
	struct bytes body = record->value;
	json_error_t error;

	*ret = (struct notification){ .record = record };
	if (body.size == 0 || body.size > NOTIFICATION_BYTES_MAX) {
		*ret_problem = body.size == 0 ? "empty" : "too long";
		return NOTIFICATION_JUNK;
	}
	ret->root = json_loadb(body.data, body.size, 0, &error);
	/* jansson mostly says nothing, sometimes something wrong, when it has no memory. */
	if (!ret->root && json_error_code(&error) == json_error_unknown)
		return NOTIFICATION_NO_MEMORY;
	if (!ret->root) {
		*ret_problem = "not JSON";
		return NOTIFICATION_JUNK;
	}
	return check_values(ret, ret_problem) ? NOTIFICATION_READ : NOTIFICATION_JUNK;
}

void notification_close(struct notification *n)
{
	json_decref(n->root);
	n->root = NULL;
}

/* Is it an invite? Its type says so; without one, any operation with a context may be. The worker's
 * own context says so whatever the type. */
static bool is_of_invite(const json_t *operation)
{
	const char *type = json_string_value(json_object_get(operation, "@odata.type"));
	const json_t *value = json_object_get(operation, "clientContext");
	struct bytes text = { json_string_value(value), json_string_length(value) };
	struct context context;

	if (text.size > 0 && context_read(text, &context))
		return true;
	if (!type)
		return text.size > 0;
	return strcasecmp(type[0] == '#' ? type + 1 : type, INVITE_TYPE) == 0;
}

/* The segment of a path that follows 'name', which has slashes around it; empty when there is none.
 */
static struct bytes segment_behind(const char *path, const char *name)
{
	const char *found = path ? strstr(path, name) : NULL;
	struct bytes segment = { "", 0 };

	if (!found)
		return segment;
	segment.data = found + strlen(name);
	segment.size = strcspn(segment.data, "/?#");
	return segment;
}

/* The documentation's own example has "participants" where the operation's id should stand. */
static struct bytes operation_in(const char *path)
{
	struct bytes id = segment_behind(path, "/operations/");

	if (!identity_is_call_id(id) || bytes_equal_text(id, "participants"))
		return (struct bytes){ "", 0 };
	return id;
}

/* The record's key when it is the same id: producers of commands have theirs from the bot too. */
static struct bytes call_id_of(struct notification *n, const char *path)
{
	struct bytes id = segment_behind(path, "/calls/");
	struct bytes key = n->record->has_key ? n->record->key : (struct bytes){ "", 0 };
	bool is_key_good = identity_is_call_id(key);
	char room[IDENTITY_GUID_SIZE];

	if (!identity_is_call_id(id))
		return is_key_good ? key : (struct bytes){ "", 0 };
	id = identity_plain(id, n->room);
	if (is_key_good && bytes_equal(identity_plain(key, room), id))
		return key;
	return id;
}

static const char *resource_of(const json_t *notification)
{
	const char *url = json_string_value(json_object_get(notification, "resourceUrl"));

	return url ? url : json_string_value(json_object_get(notification, "resource"));
}

/* True for the end of an invite. */
static bool read_one(struct notification *n, const json_t *notification, struct ending *ret)
{
	const json_t *operation = json_object_get(notification, "resourceData");
	const char *path = resource_of(notification);

	*ret = (struct ending){ .source = ENDING_NOTIFIED };
	if (!json_is_object(operation) || !is_of_invite(operation) || !ending_is_end(operation))
		return false;
	ret->operation_id = operation_in(path);
	ret->call_id = call_id_of(n, path);
	ending_read(operation, ret);
	if (ret->call_id.size > 0 && (ret->operation_id.size > 0 || ret->context.size > 0))
		return true;
	n->n_junk++;
	return false;
}

bool notification_next(struct notification *n, struct ending *ret)
{
	const json_t *values = json_object_get(n->root, "value");

	while (n->next < json_array_size(values))
		if (read_one(n, json_array_get(values, n->next++), ret))
			return true;
	return false;
}
