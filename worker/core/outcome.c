/* The table of outcomes, and what is read from Graph's bodies: see outcome.h. */
#include "worker/core/outcome.h"

#include "worker/core/retry.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row of the table: the first that fits an answer judges it. */
struct rule {
	enum answer_progress progress;
	int from, to;           /* HTTP status, for ANSWER_COMPLETE */
	const char *graph_code; /* NULL: any */
	bool needs_retry_after;
	enum outcome_class class;
	enum reason reason;
	bool may_split;
	const char *consequence; /* What the worker does, for the documentation */
};

#define COMPLETE ANSWER_COMPLETE

static const struct rule rules[] = {
	{ ANSWER_NO_TOKEN, 0, 0, NULL, false, OUTCOME_UNAUTHORIZED, REASON_UNAUTHORIZED, false,
	  "no token: everything is held, with backoff, up to `retry.max_hold`" },
	{ ANSWER_NOT_SENT, 0, 0, NULL, false, OUTCOME_NOT_SENT, REASON_UNAVAILABLE, false,
	  "failed before the body: the call backs off and sends again, up to `retry.max_hold`" },
	{ ANSWER_BROKEN, 0, 0, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "reset or timeout after the body began: never repeated blindly" },
	{ COMPLETE, 200, 299, NULL, false, OUTCOME_ACCEPTED, REASON_UNKNOWN, false,
	  "the operation exists (`unknown` when neither the body nor Location names it)" },
	{ COMPLETE, 429, 429, NULL, false, OUTCOME_THROTTLED, REASON_THROTTLED, false,
	  "the call is held for Retry-After, or backs off; three calls in a row hold everything" },
	{ COMPLETE, 503, 503, NULL, true, OUTCOME_THROTTLED, REASON_THROTTLED, false,
	  "with Retry-After: as 429" },
	{ COMPLETE, 401, 401, NULL, false, OUTCOME_UNAUTHORIZED, REASON_UNAUTHORIZED, false,
	  "the token is dropped and fetched anew once; then everything is held, with backoff" },
	{ COMPLETE, 403, 403, "7503", false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "the application is not registered: everything is held, with backoff" },
	{ COMPLETE, 403, 403, "7504", false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "the tenant's permissions do not suffice: everything is held, with backoff" },
	{ COMPLETE, 403, 403, "7505", false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "tenant mismatch: a batch is sent again one by one, a single one has failed" },
	{ COMPLETE, 400, 400, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "a batch is sent again one by one, a single one has failed" },
	{ COMPLETE, 404, 404, NULL, false, OUTCOME_CALL_OVER, REASON_CALL_OVER, false,
	  "all that is queued for the call fails; a call never seen gets `retry.call_grace`" },
	{ COMPLETE, 408, 408, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "never repeated blindly" },
	{ COMPLETE, 300, 399, NULL, false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "`graph.url` is wrong, redirects are not followed: everything is held, with backoff" },
	{ COMPLETE, 400, 499, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, false,
	  "refused for good" },
	{ COMPLETE, INT_MIN, INT_MAX, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "500, 502, 503 without Retry-After, 504 and the rest: never repeated blindly" },
};
#undef COMPLETE

static const char *const class_texts[OUTCOME_CLASSES] = {
	"accepted",  "throttled",    "not-sent",      "refused",
	"call-over", "unauthorized", "misconfigured", "unknown",
};

const char *outcome_class_text(enum outcome_class class)
{
	return class_texts[class];
}

static bool fits(const struct rule *rule, const struct answer *answer, const char *graph_code,
                 bool has_retry_after)
{
	if (rule->progress != answer->progress)
		return false;
	if (answer->progress != ANSWER_COMPLETE)
		return true;
	return answer->http_status >= rule->from && answer->http_status <= rule->to &&
	       (!rule->graph_code || strcmp(rule->graph_code, graph_code) == 0) &&
	       (!rule->needs_retry_after || has_retry_after);
}

/* True for an error code that some row gives a meaning to. */
static bool is_understood(const char *code)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].graph_code && strcmp(rules[i].graph_code, code) == 0)
			return true;
	return false;
}

static const char *string_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void keep_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* The calls API wraps its own error as JSON in the message of an UnknownError. */
static void unwrap_message(struct outcome *o, const char *wrapped)
{
	json_t *inner;

	if (o->graph_code[0] && strcmp(o->graph_code, "UnknownError") != 0)
		return;
	inner = json_loads(wrapped, 0, NULL);
	if (json_is_object(inner) && *string_member(inner, "errorCode")) {
		keep_text(o->graph_code, sizeof(o->graph_code), string_member(inner, "errorCode"));
		keep_text(o->message, sizeof(o->message), string_member(inner, "message"));
	}
	json_decref(inner);
}

/* Errors are nested; the innermost code that the table knows is the most telling one. */
static void read_error(const json_t *root, struct outcome *o)
{
	const json_t *error = json_object_get(root, "error");
	const json_t *inner = error;

	if (!json_is_object(error))
		return;
	keep_text(o->graph_code, sizeof(o->graph_code), string_member(error, "code"));
	keep_text(o->message, sizeof(o->message), string_member(error, "message"));
	unwrap_message(o, string_member(error, "message"));
	for (int depth = 0; depth < 8 && json_is_object(inner); depth++) {
		const char *code = string_member(inner, "code");
		const json_t *next = json_object_get(inner, "innerError");

		if (is_understood(code))
			keep_text(o->graph_code, sizeof(o->graph_code), code);
		inner = next ? next : json_object_get(inner, "innererror");
	}
}

/* The last segment of a Location: the operation's id. */
static struct bytes last_segment(const char *location)
{
	const char *slash = strrchr(location, '/');

	return bytes_of(slash ? slash + 1 : location);
}

static void write_location(struct buffer *out, const struct answer *answer, const char *graph_url,
                           struct bytes call_id, struct bytes id)
{
	char *location;

	if (answer->location) {
		buffer_append_json_text(out, answer->location);
		return;
	}
	location = NULL;
	if (asprintf(&location, "%s/communications/calls/%.*s/operations/%.*s", graph_url,
	             (int)call_id.size, call_id.data, (int)id.size, id.data) < 0) {
		out->failed = true;
		return;
	}
	buffer_append_json_text(out, location);
	free(location);
}

static void write_lower(struct buffer *out, const char *text)
{
	char lower[32];
	size_t n = 0;

	for (; text[n] && n < sizeof(lower) - 1; n++)
		lower[n] = text[n] >= 'A' && text[n] <= 'Z' ? (char)(text[n] - 'A' + 'a') : text[n];
	lower[n] = '\0';
	buffer_append_json_text(out, n > 0 ? lower : NULL);
}

static int append_dumped(const char *data, size_t size, void *out)
{
	buffer_append(out, data, size);
	return 0;
}

/* 'root' is the operation that Graph answered, or NULL when its body was empty or null. False when
 * nothing says which operation it is. */
static bool write_operation(struct buffer *out, const json_t *root, const struct answer *answer,
                            const char *graph_url, struct bytes call_id)
{
	const char *id_text = string_member(root, "id");
	struct bytes id = bytes_of(id_text);
	const json_t *info = json_object_get(root, "resultInfo");

	if (id.size == 0 && answer->location)
		id = last_segment(answer->location);
	if (id.size == 0)
		return false;
	buffer_append_text(out, "{\"id\":");
	buffer_append_json(out, id);
	buffer_append_text(out, ",\"location\":");
	write_location(out, answer, graph_url, call_id, id);
	buffer_append_text(out, ",\"status\":");
	write_lower(out, string_member(root, "status"));
	buffer_append_text(out, ",\"clientContext\":");
	buffer_append_json_text(out, json_string_value(json_object_get(root, "clientContext")));
	buffer_append_text(out, ",\"httpStatus\":");
	buffer_append_int(out, answer->http_status);
	buffer_append_text(out, ",\"requestId\":");
	buffer_append_json_text(out, answer->request_id);
	buffer_append_text(out, ",\"clientRequestId\":");
	buffer_append_json_text(out, answer->client_request_id);
	buffer_append_text(out, ",\"resultInfo\":");
	if (json_is_object(info))
		json_dump_callback(info, append_dumped, out, JSON_COMPACT);
	else
		buffer_append_text(out, "null");
	buffer_append_char(out, '}');
	return true;
}

static const struct rule *find_rule(const struct answer *answer, const struct outcome *o)
{
	const struct rule *rule = rules;

	while (!fits(rule, answer, o->graph_code, o->has_retry_after))
		rule++;
	return rule;
}

/* For people, when Graph's body does not say it. */
static void explain(const struct answer *answer, struct outcome *o)
{
	if (o->message[0])
		return;
	if (answer->progress == ANSWER_COMPLETE)
		snprintf(o->message, sizeof(o->message), "Graph answered HTTP %d",
		         answer->http_status);
	else
		keep_text(o->message, sizeof(o->message),
		          answer->problem ? answer->problem : "no answer");
}

void outcome_judge(const struct answer *answer, const char *graph_url, struct bytes call_id,
                   wall_t now, struct buffer *operation, struct outcome *ret)
{
	json_t *root = NULL;
	const struct rule *rule;

	*ret = (struct outcome){ .http_status = answer->http_status };
	buffer_clear(operation);
	if (answer->progress == ANSWER_COMPLETE && answer->body.size > 0)
		root = json_loadb(answer->body.data, answer->body.size, JSON_DECODE_ANY, NULL);
	if (answer->retry_after)
		ret->has_retry_after =
		    retry_after_parse(answer->retry_after, now, &ret->retry_after);
	read_error(root, ret);
	rule = find_rule(answer, ret);
	ret->class = rule->class;
	ret->reason = rule->reason;
	ret->may_split = rule->may_split;
	if (ret->class == OUTCOME_ACCEPTED &&
	    !write_operation(operation, root, answer, graph_url, call_id)) {
		ret->class = OUTCOME_UNKNOWN;
		keep_text(ret->message, sizeof(ret->message),
		          "Graph answered success without naming the operation");
	}
	explain(answer, ret);
	json_decref(root);
}

void outcome_write_error(struct buffer *out, enum reason reason, const char *message,
                         const char *graph_code, int http_status)
{
	buffer_append_text(out, "{\"code\":");
	buffer_append_json_text(out, reason_code(reason));
	buffer_append_text(out, ",\"message\":");
	buffer_append_json_text(out, message);
	buffer_append_text(out, ",\"graphCode\":");
	buffer_append_json_text(out, graph_code && *graph_code ? graph_code : NULL);
	buffer_append_text(out, ",\"httpStatus\":");
	if (http_status > 0)
		buffer_append_int(out, http_status);
	else
		buffer_append_text(out, "null");
	buffer_append_char(out, '}');
}

static void write_condition(struct buffer *out, const struct rule *rule)
{
	static const char *const progress[] = {
		[ANSWER_NO_TOKEN] = "no access token",
		[ANSWER_NOT_SENT] = "failed before the body was asked for",
		[ANSWER_BROKEN] = "no whole answer",
	};

	if (rule->progress != ANSWER_COMPLETE)
		buffer_append_text(out, progress[rule->progress]);
	else if (rule->from == INT_MIN)
		buffer_append_text(out, "any other status");
	else if (rule->from == rule->to)
		buffer_printf(out, "%d", rule->from);
	else
		buffer_printf(out, "%d to %d", rule->from, rule->to);
	if (rule->graph_code)
		buffer_printf(out, " / %s", rule->graph_code);
	if (rule->needs_retry_after)
		buffer_append_text(out, " with Retry-After");
}

void outcome_write_reference(struct buffer *out)
{
	buffer_append_text(out, "| what came back | class | error.code | what the worker does |\n"
	                        "|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];

		buffer_append_text(out, "| ");
		write_condition(out, rule);
		buffer_printf(out, " | %s | %s%s%s | %s |\n", class_texts[rule->class],
		              rule->class == OUTCOME_ACCEPTED ? "" : "`",
		              rule->class == OUTCOME_ACCEPTED ? "" : reason_code(rule->reason),
		              rule->class == OUTCOME_ACCEPTED ? "" : "`", rule->consequence);
	}
}
