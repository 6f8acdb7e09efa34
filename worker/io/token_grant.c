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

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

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

int token_grant_parse(const struct token_answer *answer, struct token_grant *ret,
                      struct token_refusal *refusal, struct err *err)
{
	json_t *json = json_loadb(answer->body.data, answer->body.size, 0, NULL);
	int result = -1;

	*refusal = (struct token_refusal){ .hint = "" };
	if (answer->status != 200)
		token_refusal_read(answer, json, refusal, err);
	else if (!json_is_object(json))
		err_set(err, "the login service's answer is not a JSON object");
	else if (parse_lifetime(json, &ret->lifetime, err) == 0)
		result = parse_bearer(json, &ret->bearer, err);
	json_decref(json);
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
