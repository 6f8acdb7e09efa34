/* What the login service gives, and for how long it is good. */
#include "worker/io/token_grant.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_TOKEN_SIZE       (16 * 1024)
#define MAX_LIFETIME_SECONDS (24 * 3600)
#define MAX_CODES            4
#define MAX_ERROR_SIZE       64

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* Each pause is this at most, before its jitter of up to a quarter. */
#define MAX_PAUSE_SECONDS 48

/* A text of a service: only what cannot disturb a log line. */
static void append_word(struct buffer *out, const char *word)
{
	size_t n = 0;

	for (; *word && n < MAX_ERROR_SIZE; word++, n++) {
		bool plain = isalnum((unsigned char)*word) || strchr("_-.", *word);

		buffer_append_char(out, plain ? *word : '?');
	}
}

static void append_codes(struct buffer *out, const json_t *codes)
{
	size_t n = json_array_size(codes);

	for (size_t i = 0; i < n && i < MAX_CODES; i++) {
		const json_t *code = json_array_get(codes, i);

		if (!json_is_integer(code))
			continue;
		buffer_append_text(out, i ? "," : " codes=");
		buffer_append_int(out, json_integer_value(code));
	}
}

/* The first line only: the lines after it have ids of no use to operators. */
static void copy_description(const json_t *answer, char description[static TOKEN_DESCRIPTION_SIZE])
{
	const char *text = json_string_value(json_object_get(answer, "error_description"));
	size_t size = text ? strcspn(text, "\r\n") : 0;

	if (size >= TOKEN_DESCRIPTION_SIZE)
		size = TOKEN_DESCRIPTION_SIZE - 1;
	if (size)
		memcpy(description, text, size);
	description[size] = '\0';
}

static int parse_refusal(int status, const json_t *answer,
                         char description[static TOKEN_DESCRIPTION_SIZE], struct err *err)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	struct buffer text;

	copy_description(answer, description);
	buffer_init(&text, sizeof(err->msg) / 2);
	buffer_append_text(&text, " error=");
	append_word(&text, error ? error : "none");
	append_codes(&text, json_object_get(answer, "error_codes"));
	err_set(err, "the login service answered with status %d%s", status,
	        buffer_ok(&text) ? text.data : "");
	buffer_close(&text);
	return -1;
}

/* A number, or a text of digits as managed identities give it. */
static bool parse_seconds(const json_t *value, double *ret)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return true;
	}
	if (!text || !isdigit((unsigned char)*text))
		return false;
	*ret = (double)strtoll(text, &end, 10);
	return *end == '\0';
}

static int parse_lifetime(const json_t *answer, duration_t *ret, struct err *err)
{
	double seconds;

	if (!parse_seconds(json_object_get(answer, "expires_in"), &seconds))
		return err_set(err, "the login service's expires_in is not a number");
	if (!isfinite(seconds) || seconds < 1)
		return err_set(err, "the login service's expires_in is less than a second");
	if (seconds > MAX_LIFETIME_SECONDS)
		seconds = MAX_LIFETIME_SECONDS;
	*ret = (duration_t){ (int64_t)seconds * SECOND };
	return 0;
}

static int parse_bearer(const json_t *answer, char **ret, struct err *err)
{
	const char *type = json_string_value(json_object_get(answer, "token_type"));
	const json_t *access = json_object_get(answer, "access_token");
	const char *token = json_string_value(access);
	size_t size = json_string_length(access);

	if (!type || strcasecmp(type, "Bearer") != 0)
		return err_set(err, "the login service's token_type is not Bearer");
	if (size == 0 || size > MAX_TOKEN_SIZE)
		return err_set(err, "the login service's access_token is absent or too long");
	for (size_t i = 0; i < size; i++) {
		if (token[i] <= 0x20 || token[i] >= 0x7f)
			return err_set(err, "the login service's access_token is not plain ASCII");
	}
	if (asprintf(ret, "Bearer %s", token) < 0)
		return err_set(err, "out of memory");
	return 0;
}

int token_grant_parse(int status, struct bytes body, struct token_grant *ret,
                      char description[static TOKEN_DESCRIPTION_SIZE], struct err *err)
{
	json_t *answer = json_loadb(body.data, body.size, 0, NULL);
	int result = -1;

	description[0] = '\0';
	if (status != 200)
		parse_refusal(status, answer, description, err);
	else if (!json_is_object(answer))
		err_set(err, "the login service's answer is not a JSON object");
	else if (parse_lifetime(answer, &ret->lifetime, err) == 0)
		result = parse_bearer(answer, &ret->bearer, err);
	json_decref(answer);
	return result;
}

struct token_term token_term(instant_t asked_at, duration_t lifetime)
{
	duration_t until_renewal = { lifetime.us < 10 * MINUTE ? lifetime.us / 2
		                                               : lifetime.us - 5 * MINUTE };

	return (struct token_term){
		.renew_at = instant_add(asked_at, until_renewal),
		.expires_at = instant_add(asked_at, lifetime),
	};
}

duration_t token_pause(uint32_t failures, struct random *random)
{
	uint64_t seconds = failures > 6 ? MAX_PAUSE_SECONDS : UINT64_C(1) << (failures - 1);
	int64_t us;

	CHECK(failures > 0);
	if (seconds > MAX_PAUSE_SECONDS)
		seconds = MAX_PAUSE_SECONDS;
	us = (int64_t)seconds * SECOND;
	return (duration_t){ us + (int64_t)random_below(random, (uint64_t)us / 4) };
}

void token_form_append(struct buffer *form, const char *name, const char *value)
{
	if (form->size)
		buffer_append_char(form, '&');
	buffer_append_text(form, name);
	buffer_append_char(form, '=');
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (isalnum(c) || strchr("-._~", c))
			buffer_append_char(form, *value);
		else
			buffer_printf(form, "%%%02X", c);
	}
}
