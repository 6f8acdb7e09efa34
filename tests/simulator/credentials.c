/* Checking credentials as Entra does, but for signatures: the journal has the assertions, so that
 * whoever has the certificate verifies them. */
#include "simulator/credentials.h"

#include "simulator/answers.h"
#include "simulator/simulator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSERTION_TYPE   "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define IDENTITY_VERSION "2018-02-01"
#define MAX_VALID_S      600 /* Longer than this an assertion may not be good */
#define CLOCK_SLACK_S    300

/* The parts of a JWT that can be read. */
struct jwt {
	json_t *header, *claims;
};

static void set(char text[static FIELD_SIZE], const json_t *value)
{
	snprintf(text, FIELD_SIZE, "%s", json_is_string(value) ? json_string_value(value) : "");
}

int credentials_read(struct credentials *credentials, const json_t *object, struct err *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		if (strcmp(name, "client_secret") == 0)
			set(credentials->client_secret, value);
		else if (strcmp(name, "federated_token") == 0)
			set(credentials->federated_token, value);
		else if (strcmp(name, "thumbprint") == 0)
			set(credentials->thumbprint, value);
		else
			return err_set(err, "%.100s: there is no such credential", name);
	}
	return json_is_object(object) ? 0 : err_set(err, "expected an object");
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode application/x-www-form-urlencoded in [from, to). False if it is malformed or too long. */
static bool decode(const char *from, const char *to, char *text)
{
	size_t size = 0;

	for (; from < to; from++) {
		char c = *from == '+' ? ' ' : *from;

		if (c == '%') {
			if (to - from < 3 || hex(from[1]) < 0 || hex(from[2]) < 0)
				return false;
			c = (char)(hex(from[1]) * 16 + hex(from[2]));
			from += 2;
		}
		if (size + 1 >= FIELD_SIZE || c == '\0')
			return false;
		text[size++] = c;
	}
	text[size] = '\0';
	return true;
}

bool credentials_field(struct bytes form, const char *name, char text[static FIELD_SIZE])
{
	const char *at = form.data, *end = form.data + form.size;
	size_t size = strlen(name);

	while (at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));

		if (!next)
			next = end;
		if ((size_t)(next - at) > size && memcmp(at, name, size) == 0 && at[size] == '=')
			return decode(at + size + 1, next, text) && text[0];
		at = next + 1;
	}
	return false;
}

static bool refuse(struct exchange *exchange, int number, const char *message)
{
	answers_refuse_token(exchange, 401, "invalid_client", number, message);
	return false;
}

static int digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* JSON in base64url; NULL if it is none. */
static json_t *decode_part(const char *from, size_t size)
{
	char text[FIELD_SIZE];
	unsigned bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		int d = digit(from[i]);

		if (d < 0 || n + 1 >= sizeof text)
			return NULL;
		bits = bits << 6 | (unsigned)d;
		if (i % 4 != 0)
			text[n++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	return json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
}

static bool jwt_open(struct jwt *jwt, const char *text)
{
	size_t first = strcspn(text, "."), second;

	*jwt = (struct jwt){ 0 };
	if (text[first] != '.')
		return false;
	second = strcspn(text + first + 1, ".");
	jwt->header = decode_part(text, first);
	jwt->claims = decode_part(text + first + 1, second);
	return jwt->header && jwt->claims && text[first + 1 + second] == '.';
}

static void jwt_close(struct jwt *jwt)
{
	json_decref(jwt->header);
	json_decref(jwt->claims);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* What names the certificate; NULL when the token was not made by one. */
static const char *thumbprint_of(const struct jwt *jwt)
{
	const char *name = strcmp(text_of(jwt->header, "alg"), "PS256") == 0   ? "x5t#S256"
	                   : strcmp(text_of(jwt->header, "alg"), "RS256") == 0 ? "x5t"
	                                                                       : "";
	const char *text = text_of(jwt->header, name);

	return *text ? text : NULL;
}

static bool is_audience(const struct exchange *exchange, const char *audience)
{
	const char *host = exchange_header(exchange, "Host");
	char expected[FIELD_SIZE];

	snprintf(expected, sizeof expected, "%s://%s%s", exchange->tls ? "https" : "http",
	         host ? host : "", exchange->path);
	return strcmp(audience, expected) == 0;
}

static bool is_in_time(const struct exchange *exchange, const json_t *claims)
{
	int64_t now = exchange->arrived_wall.us / 1000000;
	int64_t from = json_integer_value(json_object_get(claims, "nbf"));
	int64_t until = json_integer_value(json_object_get(claims, "exp"));

	return from <= now + CLOCK_SLACK_S && until > now - CLOCK_SLACK_S &&
	       until - from <= MAX_VALID_S;
}

static bool check_signed(struct exchange *exchange, const struct jwt *jwt)
{
	const char *wanted = exchange->simulator->credentials.thumbprint;
	const char *client = exchange->client;

	if (wanted[0] && strcmp(thumbprint_of(jwt), wanted) != 0)
		return refuse(exchange, 700027, "The certificate is not registered.");
	if (strcmp(text_of(jwt->claims, "iss"), client) != 0 ||
	    strcmp(text_of(jwt->claims, "sub"), client) != 0 || !*text_of(jwt->claims, "jti"))
		return refuse(exchange, 700021, "The issuer is not the application.");
	if (!is_audience(exchange, text_of(jwt->claims, "aud")))
		return refuse(exchange, 700023, "The audience is not this service.");
	if (!is_in_time(exchange, jwt->claims))
		return refuse(exchange, 700024,
		              "The assertion is not within its valid time range.");
	return true;
}

static bool check_assertion(struct exchange *exchange, const char *text)
{
	const char *wanted = exchange->simulator->credentials.federated_token;
	struct jwt jwt;
	bool is_good;

	exchange->assertion = strdup(text);
	if (jwt_open(&jwt, text) && thumbprint_of(&jwt)) {
		exchange->credential = "certificate";
		is_good = check_signed(exchange, &jwt);
	} else {
		exchange->credential = "federated-token";
		is_good = !wanted[0] || strcmp(text, wanted) == 0 ||
		          refuse(exchange, 70021, "No matching federated identity record found.");
	}
	jwt_close(&jwt);
	return is_good;
}

bool credentials_check(struct exchange *exchange)
{
	const char *wanted = exchange->simulator->credentials.client_secret;
	struct bytes form = buffer_bytes(&exchange->body);
	char text[FIELD_SIZE], type[FIELD_SIZE];

	if (credentials_field(form, "client_assertion", text)) {
		if (!credentials_field(form, "client_assertion_type", type) ||
		    strcmp(type, ASSERTION_TYPE) != 0)
			return refuse(exchange, 50027, "The type of the assertion is not known.");
		return check_assertion(exchange, text);
	}
	if (!credentials_field(form, "client_secret", text))
		return refuse(exchange, 7000218,
		              "The request body must contain 'client_assertion' or "
		              "'client_secret'.");
	exchange->credential = "client-secret";
	if (wanted[0] && strcmp(text, wanted) != 0)
		return refuse(exchange, 7000215, "Invalid client secret provided.");
	return true;
}

static bool refuse_identity(struct exchange *exchange, const char *message)
{
	struct buffer *body = &exchange->answer.body;

	exchange->answer.status = 400;
	buffer_append_text(body, "{\"error\":\"invalid_request\",\"error_description\":");
	buffer_append_json_text(body, message);
	buffer_append_char(body, '}');
	return false;
}

bool credentials_check_identity(struct exchange *exchange)
{
	const char *metadata = exchange_header(exchange, "Metadata");
	const char *query = strchr(exchange->path, '?');
	struct bytes fields = bytes_of(query ? query + 1 : "");
	char text[FIELD_SIZE];

	exchange->credential = "managed-identity";
	if (!metadata || strcmp(metadata, "true") != 0 ||
	    exchange_header(exchange, "X-Forwarded-For"))
		return refuse_identity(exchange, "Required metadata header not specified");
	if (!credentials_field(fields, "api-version", text) || strcmp(text, IDENTITY_VERSION) != 0)
		return refuse_identity(exchange, "The version of the API is not known");
	if (!credentials_field(fields, "resource", text) || strstr(text, "/.default"))
		return refuse_identity(exchange, "The resource is not known");
	if (!credentials_field(fields, "client_id", text))
		snprintf(text, sizeof text, "system");
	snprintf(exchange->client, sizeof exchange->client, "%.*s",
	         (int)sizeof exchange->client - 1, text);
	return true;
}
