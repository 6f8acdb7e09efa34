/* Calls, operations and rosters. */
#include "simulator/calls.h"

#include <jansson.h>
#include <stdlib.h>
#include <utlist.h>

#define LIST_MAX 1000 /* Most operations of one call that a list or roster shows: the newest */

void calls_init(struct calls *calls, size_t keep)
{
	*calls = (struct calls){ .keep = keep };
}

/* A blank stands in neither of them. The caller frees it; NULL without memory. */
static char *make_key(struct bytes tenant, struct bytes id)
{
	char *key;

	if (asprintf(&key, "%.*s %.*s", (int)tenant.size, tenant.data ? tenant.data : "",
	             (int)id.size, id.data) < 0)
		return NULL;
	return key;
}

struct call *calls_find(const struct calls *calls, struct bytes tenant, struct bytes id)
{
	char *key = make_key(tenant, id);
	struct call *call = NULL;

	if (key)
		HASH_FIND_STR(calls->by_key, key, call);
	free(key);
	return call;
}

struct call *calls_take(struct calls *calls, struct bytes tenant, struct bytes id)
{
	struct call *call = calls_find(calls, tenant, id);

	if (call)
		return call;
	call = calloc(1, sizeof *call);
	if (!call)
		return NULL;
	call->key = make_key(tenant, id);
	if (!call->key) {
		free(call);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, calls->by_key, call->key, strlen(call->key), call);
	return call;
}

void calls_put(struct calls *calls, struct call *call)
{
	if (call->in_flight > 0 || call->operations)
		return;
	HASH_DELETE(hh, calls->by_key, call);
	free(call->key);
	free(call);
}

/* Forget one operation, and its call if that leaves nothing of it. */
static void remove_operation(struct calls *calls, struct operation *operation)
{
	struct call *call = operation->call;

	HASH_DELETE(hh, calls->by_operation, operation);
	DL_DELETE(calls->oldest, operation);
	DL_DELETE2(call->operations, operation, call_prev, call_next);
	free(operation->participants);
	free(operation);
	calls_put(calls, call);
}

void calls_clear(struct calls *calls)
{
	while (calls->oldest)
		remove_operation(calls, calls->oldest);
}

void calls_close(struct calls *calls)
{
	calls_clear(calls);
}

struct operation *calls_find_operation(const struct calls *calls, const struct call *call,
                                       struct bytes id)
{
	struct operation *operation;

	HASH_FIND(hh, calls->by_operation, id.data, id.size, operation);
	return operation && operation->call == call ? operation : NULL;
}

struct operation *calls_add(struct calls *calls, struct call *call, const char *id, instant_t now,
                            struct bytes participants, struct bytes context)
{
	struct operation *operation = calloc(1, sizeof *operation);
	char *texts = malloc(participants.size + context.size + 2);

	if (!operation || !texts) {
		free(operation);
		free(texts);
		return NULL;
	}
	memcpy(texts, participants.data, participants.size);
	texts[participants.size] = '\0';
	operation->participants = texts;
	operation->context = texts + participants.size + 1;
	memcpy(operation->context, context.data, context.size);
	operation->context[context.size] = '\0';
	operation->call = call;
	operation->made = now;
	memcpy(operation->id, id, sizeof operation->id);
	HASH_ADD_STR(calls->by_operation, id, operation);
	DL_APPEND(calls->oldest, operation);
	DL_APPEND2(call->operations, operation, call_prev, call_next);
	if (HASH_COUNT(calls->by_operation) > calls->keep && calls->oldest != operation)
		remove_operation(calls, calls->oldest);
	return operation;
}

static bool is_over(const struct operation *operation, const struct settings *settings,
                    instant_t now)
{
	if (settings->complete_after_ms < 0)
		return false;
	return instant_since(now, operation->made).us >=
	       duration_ms(settings->complete_after_ms).us;
}

void calls_write_operation(const struct operation *operation, const struct settings *settings,
                           instant_t now, struct buffer *out)
{
	bool over = is_over(operation, settings, now);
	bool failed = over && settings->operations_fail;

	buffer_append_text(out, "{\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\","
	                        "\"id\":\"");
	buffer_append_text(out, operation->id);
	buffer_append_text(out, "\",\"status\":\"");
	buffer_append_text(out, failed ? "failed" : over ? "completed" : "Running");
	buffer_append_text(out, "\",\"clientContext\":");
	buffer_append_text(out, operation->context);
	buffer_append_text(out, ",\"resultInfo\":");
	buffer_append_text(out, failed ? "{\"@odata.type\":\"#microsoft.graph.resultInfo\","
	                                 "\"code\":412,\"subcode\":9999,"
	                                 "\"message\":\"addParticipants failed\"}"
	                               : "null");
	buffer_append_text(out, ",\"participants\":");
	buffer_append_text(out, operation->participants);
	buffer_append_char(out, '}');
}

/* The first of the newest LIST_MAX operations. */
static struct operation *list_start(const struct call *call)
{
	struct operation *operation = call->operations;

	if (!operation)
		return NULL;
	operation = operation->call_prev;
	for (int i = 1; i < LIST_MAX && operation != call->operations; i++)
		operation = operation->call_prev;
	return operation;
}

void calls_write_operations(const struct call *call, const struct settings *settings, instant_t now,
                            struct buffer *out)
{
	struct operation *operation = call && !settings->operations_gone ? list_start(call) : NULL;

	buffer_append_text(out, "{\"value\":[");
	for (bool first = true; operation; operation = operation->call_next, first = false) {
		if (!first)
			buffer_append_char(out, ',');
		calls_write_operation(operation, settings, now, out);
	}
	buffer_append_text(out, "]}");
}

/* One participant of the roster, whose id is made from the operation's and the place in it. */
static void write_participant(const struct operation *operation, size_t index,
                              const json_t *identity, struct buffer *out)
{
	char *text = json_dumps(identity, JSON_COMPACT);

	buffer_append_text(out,
	                   "{\"@odata.type\":\"#microsoft.graph.participant\",\"info\":{"
	                   "\"@odata.type\":\"#microsoft.graph.participantInfo\",\"identity\":");
	buffer_append_text(out, text ? text : "null");
	buffer_printf(out,
	              "},\"mediaStreams\":[],\"isMuted\":false,\"isInLobby\":false,"
	              "\"id\":\"%.34s%02zx\",\"metadata\":null}",
	              operation->id, index);
	free(text);
}

static void write_participants(const struct operation *operation, bool *first, struct buffer *out)
{
	json_t *participants = json_loads(operation->participants, 0, NULL);
	json_t *participant;
	size_t i;

	json_array_foreach(participants, i, participant)
	{
		if (json_is_true(json_object_get(participant, "hidden")))
			continue;
		if (!*first)
			buffer_append_char(out, ',');
		*first = false;
		write_participant(operation, i, json_object_get(participant, "identity"), out);
	}
	json_decref(participants);
}

void calls_write_roster(const struct call *call, const struct settings *settings, instant_t now,
                        struct buffer *out)
{
	struct operation *operation = call && !settings->roster_empty ? list_start(call) : NULL;
	bool first = true;

	buffer_append_text(out, "{\"value\":[");
	for (; operation; operation = operation->call_next) {
		duration_t age = instant_since(now, operation->made);

		if (age.us >= duration_ms(settings->roster_delay_ms).us)
			write_participants(operation, &first, out);
	}
	buffer_append_text(out, "]}");
}
