/* The table of outcomes, and what is read from Graph's bodies: see outcome.h. */
#include "worker/core/outcome.h"

#include "worker/base/document.h"
#include "worker/core/operation.h"
#include "worker/core/retry.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* One row of the table: the first that fits an answer judges it. An error code of Graph that has a
 * row of its own is also found when it is nested in others. */
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
	  "everything is held until there is one" },
	{ ANSWER_NOT_SENT, 0, 0, NULL, false, OUTCOME_NOT_SENT, REASON_UNAVAILABLE, false,
	  "the call is held" },
	{ ANSWER_BROKEN, 0, 0, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "reset, timeout, cut short or too large: evidence is looked for" },
	{ COMPLETE, 200, 299, NULL, false, OUTCOME_ACCEPTED, REASON_UNKNOWN, false,
	  "the operation exists; when neither the body nor Location names it: unknown" },
	{ COMPLETE, 429, 429, NULL, false, OUTCOME_THROTTLED, REASON_THROTTLED, false,
	  "the call is held; a row of such calls holds everything" },
	{ COMPLETE, 503, 503, NULL, true, OUTCOME_THROTTLED, REASON_THROTTLED, false, "as 429" },
	{ COMPLETE, 401, 401, NULL, false, OUTCOME_UNAUTHORIZED, REASON_UNAUTHORIZED, false,
	  "the token is dropped, fetched anew and tried at once; then everything is held" },
	{ COMPLETE, 403, 403, "7503", false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "the application is not registered: the tenant is held and tried singly, and the log "
	  "says `application.refused`" },
	{ COMPLETE, 403, 403, "7504", false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "the tenant's permissions do not suffice: as 403 / 7503" },
	{ COMPLETE, 403, 403, "7505", false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "tenant mismatch: a batch is sent again one by one" },
	{ COMPLETE, 403, 403, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "a batch is sent again one by one" },
	{ COMPLETE, 400, 400, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "a batch is sent again one by one" },
	{ COMPLETE, 404, 404, "8522", false, OUTCOME_CALL_OVER, REASON_CALL_OVER, false,
	  "all for the call fails, also what comes within `retry.call_over_memory`; a call "
	  "never seen gets its grace" },
	{ COMPLETE, 404, 404, NULL, false, OUTCOME_CALL_OVER, REASON_CALL_OVER, false,
	  "as 404 / 8522" },
	{ COMPLETE, 408, 408, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "evidence is looked for" },
	{ COMPLETE, 410, 410, NULL, false, OUTCOME_CALL_OVER, REASON_CALL_OVER, false,
	  "as 404 / 8522" },
	{ COMPLETE, 413, 413, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, true,
	  "a batch is sent again one by one" },
	{ COMPLETE, 300, 399, NULL, false, OUTCOME_MISCONFIGURED, REASON_MISCONFIGURED, false,
	  "`graph.url` is wrong, redirects are not followed: as 403 / 7503" },
	{ COMPLETE, 400, 499, NULL, false, OUTCOME_REFUSED, REASON_REFUSED, false, "nothing more" },
	{ COMPLETE, 500, 599, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "also 503 without Retry-After: evidence is looked for" },
	{ COMPLETE, INT_MIN, INT_MAX, NULL, false, OUTCOME_UNKNOWN, REASON_UNKNOWN, false,
	  "evidence is looked for" },
};
#undef COMPLETE

/* What all rows of a class have in common. */
static const struct class
{
	const char *text;
	bool had_no_effect; /* So that it is safe to send it again */
	const char *wait;
	const char *reply; /* With error.code behind it */
} classes[OUTCOME_CLASSES] = {
	[OUTCOME_ACCEPTED] = { "accepted", false, "none", "`accepted`" },
	[OUTCOME_THROTTLED] = { "throttled", true, "Retry-After; else backoff",
	                        "a later one's; `failed` when the tries end" },
	[OUTCOME_NOT_SENT] = { "not-sent", true, "backoff",
	                       "a later one's; `failed` when the tries end" },
	[OUTCOME_REFUSED] = { "refused", true, "none", "`failed`" },
	[OUTCOME_CALL_OVER] = { "call-over", true, "a quarter of `retry.call_grace`", "`failed`" },
	[OUTCOME_UNAUTHORIZED] = { "unauthorized", true, "backoff",
	                           "a later one's; `failed` when the tries end" },
	[OUTCOME_MISCONFIGURED] = { "misconfigured", true, "backoff",
	                            "a later one's; `failed` when the tries end" },
	[OUTCOME_UNKNOWN] = { "unknown", false, "`retry.settle`", "`reconciled`, or `unknown`" },
};

const char *outcome_class_text(enum outcome_class class)
{
	return classes[class].text;
}

const char *outcome_advice(int http_status, const char *graph_code)
{
	if (http_status < 400)
		return "redirects are not followed: let graph.url be the root of the service";
	if (strcmp(graph_code, "7503") == 0)
		return "register a bot for the application, and allow calls in its Teams channel";
	return "grant the application Calls.InitiateGroupCall.All, with an administrator's "
	       "consent in this tenant";
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
static bool is_understood(struct bytes code)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].graph_code && bytes_equal_text(code, rules[i].graph_code))
			return true;
	return false;
}

static struct bytes string_member(const struct value *object, const char *name)
{
	return value_text(value_member(object, name));
}

static void keep_text(char *to, size_t size, struct bytes from)
{
	size_t kept = from.size < size ? from.size : size - 1;

	if (kept > 0)
		memcpy(to, from.data, kept);
	to[kept] = '\0';
}

static void keep_code(struct outcome *o, struct bytes code)
{
	keep_text(o->graph_code, sizeof(o->graph_code), code);
}

static void keep_message(struct outcome *o, struct bytes message)
{
	keep_text(o->message, sizeof(o->message), message);
}

/* The calls API wraps its own error as JSON in the message of an UnknownError. False when there is
 * no memory to read it. */
static bool unwrap_message(struct outcome *o, struct bytes wrapped)
{
	struct document document;
	const struct value *inner;
	struct bytes code;
	bool has_memory;

	if (o->graph_code[0] && strcmp(o->graph_code, "UnknownError") != 0)
		return true;
	inner = document_read(&document, wrapped, ANSWER_DEPTH_MAX);
	code = string_member(inner, "errorCode");
	if (code.size > 0) {
		keep_code(o, code);
		keep_message(o, string_member(inner, "message"));
	}
	has_memory = document.problem != DOCUMENT_NO_MEMORY;
	document_close(&document);
	return has_memory;
}

/* Errors are nested; the innermost code that the table knows is the most telling one. False when
 * there is no memory. */
static bool read_error(const struct value *root, struct outcome *o)
{
	const struct value *error = value_member(root, "error");
	const struct value *inner = error;
	bool has_memory;

	if (!value_is(error, VALUE_OBJECT))
		return true;
	keep_code(o, string_member(error, "code"));
	keep_message(o, string_member(error, "message"));
	has_memory = unwrap_message(o, string_member(error, "message"));
	for (int depth = 0; depth < 8 && value_is(inner, VALUE_OBJECT); depth++) {
		struct bytes code = string_member(inner, "code");
		const struct value *next = value_member(inner, "innerError");

		if (is_understood(code))
			keep_code(o, code);
		inner = next ? next : value_member(inner, "innererror");
	}
	return has_memory;
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
	if (o->message[0] || o->class == OUTCOME_ACCEPTED)
		return;
	if (answer->progress == ANSWER_COMPLETE)
		snprintf(o->message, sizeof(o->message), "Graph answered HTTP %d",
		         answer->http_status);
	else
		keep_message(o, bytes_of(answer->problem ? answer->problem : "no answer"));
}

void outcome_judge(const struct answer *answer, const char *graph_url, struct bytes call_id,
                   wall_t now, struct buffer *operation, struct outcome *ret)
{
	bool has_body = answer->progress == ANSWER_COMPLETE;
	bool has_memory;
	struct document document;
	const struct value *root;
	const struct rule *rule;

	*ret = (struct outcome){ .http_status = answer->http_status };
	buffer_clear(operation);
	root = document_read(&document, has_body ? answer->body : (struct bytes){ 0 },
	                     ANSWER_DEPTH_MAX);
	has_memory = document.problem != DOCUMENT_NO_MEMORY && read_error(root, ret);
	if (answer->retry_after)
		ret->has_retry_after =
		    retry_after_parse(answer->retry_after, now, &ret->retry_after);
	rule = find_rule(answer, ret);
	ret->class = rule->class;
	ret->reason = rule->reason;
	ret->may_split = rule->may_split;
	if (ret->class == OUTCOME_ACCEPTED &&
	    !operation_write(root, answer, graph_url, call_id, operation)) {
		ret->class = OUTCOME_UNKNOWN;
		keep_message(ret, bytes_of("Graph answered success without naming the operation"));
	}
	explain(answer, ret);
	operation->failed = operation->failed || !has_memory;
	document_close(&document);
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
	buffer_append_text(
	    out,
	    "| what came back | class | retry is safe | wait | what the worker does | the reply |\n"
	    "|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];
		const struct class *class = &classes[rule->class];
		bool waits = rule->progress == ANSWER_NO_TOKEN;

		buffer_append_text(out, "| ");
		write_condition(out, rule);
		buffer_printf(out, " | %s | %s | %s | %s | %s", class->text,
		              class->had_no_effect ? "yes" : "no", class->wait, rule->consequence,
		              waits ? "a later one's, or `expired`" : class->reply);
		if (rule->class != OUTCOME_ACCEPTED && !waits)
			buffer_printf(out, ", `%s`", reason_code(rule->reason));
		buffer_append_text(out, " |\n");
	}
}
