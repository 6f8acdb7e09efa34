/* Wording of answers. */
#include "simulator/answers.h"

#include "simulator/simulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct wording {
	int status;
	const char *code;
	const char *message;
};

/* The first row with a status gives its usual code, the first with a code its usual message. */
static const struct wording wordings[] = {
	{ 400, "BadRequest", "The request is not valid." },
	{ 401, "InvalidAuthenticationToken", "The access token is not valid." },
	{ 403, "7505", "Request authorization tenant mismatch." },
	{ 403, "7503", "Application is not registered in our store." },
	{ 403, "7504", "Insufficient enterprise tenant permissions, cannot access this API." },
	{ 404, "8522", "Call not found." },
	{ 405, "MethodNotAllowed", "The method is not allowed for this resource." },
	{ 409, "Conflict", "The current state conflicts with what the request expects." },
	{ 413, "RequestEntityTooLarge", "The request is too large." },
	{ 415, "UnsupportedMediaType", "The content type is not supported." },
	{ 429, "TooManyRequests", "Please retry again later." },
	{ 500, "9999", "Unknown internal server error." },
	{ 502, "BadGateway", "Bad gateway." },
	{ 503, "serviceNotAvailable", "The service is not available." },
	{ 504, "UnknownError", "" },
};
#define N_WORDINGS (sizeof wordings / sizeof wordings[0])

static const char *usual_code(int status)
{
	for (size_t i = 0; i < N_WORDINGS; i++)
		if (wordings[i].status == status)
			return wordings[i].code;
	return "generalException";
}

static const char *usual_message(const char *code)
{
	for (size_t i = 0; i < N_WORDINGS; i++)
		if (strcmp(wordings[i].code, code) == 0)
			return wordings[i].message;
	return "The request was refused.";
}

static void write_inner(struct exchange *exchange, const char *name)
{
	struct buffer *body = &exchange->answer.body;
	char date[WALL_TEXT_SIZE];

	wall_format(exchange->arrived_wall, date);
	buffer_printf(body, ",\"%s\":{\"date\":\"%.19s\",\"request-id\":\"%s\"", name, date,
	              exchange->answer.request_id);
	if (exchange->client_request_id) {
		buffer_append_text(body, ",\"client-request-id\":");
		buffer_append_json_text(body, exchange->client_request_id);
	}
	buffer_append_char(body, '}');
}

/* {"errorCode":…} as a text, which takes the place of the message. */
static void write_wrapped(struct buffer *body, const char *code, const char *message)
{
	struct buffer text;

	buffer_init(&text, EXCHANGE_MAX_BODY);
	buffer_append_text(&text, "{\"errorCode\":");
	buffer_append_json_text(&text, code);
	buffer_append_text(&text, ",\"message\":");
	buffer_append_json_text(&text, message);
	buffer_append_text(&text, ",\"instanceAnnotations\":[]}");
	buffer_append_text(body, "{\"error\":{\"code\":\"UnknownError\",\"message\":");
	buffer_append_json(body, buffer_bytes(&text));
	buffer_close(&text);
}

static void refuse(struct exchange *exchange, int status, const char *code, const char *message,
                   enum rule_form form)
{
	struct buffer *body = &exchange->answer.body;

	if (!code)
		code = usual_code(status);
	if (!message)
		message = usual_message(code);
	exchange->answer.status = status;
	exchange->answer.content_type = "application/json";
	exchange->answer.challenge = status == 401;
	buffer_clear(&exchange->answer.location);
	buffer_clear(body);
	if (form == FORM_WRAPPED) {
		write_wrapped(body, code, message);
	} else {
		buffer_append_text(body, "{\"error\":{\"code\":");
		buffer_append_json_text(body, code);
		buffer_append_text(body, ",\"message\":");
		buffer_append_json_text(body, message);
	}
	if (form != FORM_BARE)
		write_inner(exchange, form == FORM_INNERERROR ? "innererror" : "innerError");
	buffer_append_text(body, "}}");
}

void answers_refuse(struct exchange *exchange, int status, const char *code, const char *message)
{
	refuse(exchange, status, code, message, FORM_INNER_ERROR);
}

void answers_refuse_token(struct exchange *exchange, int status, const char *error, int number,
                          const char *message)
{
	struct buffer *body = &exchange->answer.body;
	struct buffer text;
	char date[WALL_TEXT_SIZE];

	wall_format(exchange->arrived_wall, date);
	buffer_init(&text, EXCHANGE_MAX_BODY);
	buffer_printf(&text, "AADSTS%d: %s\r\nTrace ID: %s\r\nTimestamp: %.10s %.8sZ", number,
	              message, exchange->answer.request_id, date, date + 11);
	exchange->answer.status = status;
	exchange->answer.content_type = "application/json; charset=utf-8";
	buffer_clear(body);
	buffer_append_text(body, "{\"error\":");
	buffer_append_json_text(body, error);
	buffer_append_text(body, ",\"error_description\":");
	buffer_append_json(body, buffer_bytes(&text));
	buffer_printf(body,
	              ",\"error_codes\":[%d],\"timestamp\":\"%.10s %.8sZ\",\"trace_id\":\"%s\","
	              "\"correlation_id\":\"%s\"}",
	              number, date, date + 11, exchange->answer.request_id,
	              exchange->answer.request_id);
	buffer_close(&text);
}

void answers_by_rule(struct exchange *exchange)
{
	const struct rule *rule = exchange->rule;
	int status = (int)rule->status;

	if (status < 300) {
		exchange->answer.status = status;
		return;
	}
	if (exchange->route != ROUTE_TOKEN) {
		refuse(exchange, status, rule->code, rule->message, rule->error_form);
		return;
	}
	bool later = status == 429 || status >= 500;

	answers_refuse_token(exchange, status,
	                     rule->code ? rule->code
	                     : later    ? "temporarily_unavailable"
	                                : "invalid_client",
	                     later ? 90033 : 7000215,
	                     rule->message ? rule->message : "The request was refused.");
}

/* An HTTP-date (RFC 9110 section 5.6.7). */
static void write_date(wall_t wall, char *text, size_t size)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t seconds = (time_t)(wall.us / 1000000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(text, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
	         months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void answers_adorn(struct exchange *exchange)
{
	const struct rule *rule = exchange->rule;
	struct answer *answer = &exchange->answer;

	if (!rule)
		return;
	if (rule->body) {
		buffer_clear(&answer->body);
		buffer_append_text(&answer->body, rule->body);
	}
	if (rule->content_type)
		answer->content_type = rule->content_type;
	if (!rule->location)
		buffer_clear(&answer->location);
	if (rule->retry_after)
		snprintf(answer->retry_after, sizeof answer->retry_after, "%s", rule->retry_after);
	if (rule->retry_after_date_s >= 0) {
		wall_t until = simulator_wall();

		until.us += rule->retry_after_date_s * 1000000;
		write_date(until, answer->retry_after, sizeof answer->retry_after);
	}
}

void answers_json(struct exchange *exchange, int status, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	json_decref(value);
	exchange->answer.status = text ? status : 500;
	exchange->answer.content_type = "application/json";
	buffer_clear(&exchange->answer.body);
	buffer_append_text(&exchange->answer.body, text ? text : "null");
	free(text);
}
