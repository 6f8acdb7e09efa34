/* Giving out and checking tokens. */
#include "simulator/tokens.h"

#include "simulator/answers.h"
#include "simulator/simulator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#define TOKENS_MAX 10000 /* The oldest are forgotten */
#define FIELD_SIZE 4096

void tokens_init(struct tokens *tokens)
{
	*tokens = (struct tokens){ 0 };
}

static void forget(struct tokens *tokens, struct token *token)
{
	HASH_DELETE(hh, tokens->by_text, token);
	DL_DELETE(tokens->oldest, token);
	free(token);
}

void tokens_close(struct tokens *tokens)
{
	while (tokens->oldest)
		forget(tokens, tokens->oldest);
}

int64_t tokens_revoke(struct tokens *tokens, instant_t now)
{
	struct token *token;
	int64_t n = 0;

	DL_FOREACH (tokens->oldest, token) {
		n += !token->revoked && instant_before(now, token->expires);
		token->revoked = true;
	}
	return n;
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

/* The value of a field of the form. False if it is not there. */
static bool find_field(struct bytes form, const char *name, char text[static FIELD_SIZE])
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

/* Returns false, with an answer, when the client is not who it must be. */
static bool check_client(struct exchange *exchange)
{
	const struct options *options = exchange->simulator->options;
	struct bytes form = buffer_bytes(&exchange->body);
	char text[FIELD_SIZE];

	if (!find_field(form, "client_id", text)) {
		answers_refuse_token(exchange, 400, "invalid_request", 900144,
		                     "The request body must contain the parameter 'client_id'.");
		return false;
	}
	if (options->client_id && strcmp(text, options->client_id) != 0) {
		answers_refuse_token(exchange, 400, "unauthorized_client", 700016,
		                     "The application was not found in the directory.");
		return false;
	}
	snprintf(exchange->client, sizeof exchange->client, "%.*s",
	         (int)sizeof exchange->client - 1, text);
	if (!find_field(form, "client_secret", text)) {
		answers_refuse_token(exchange, 401, "invalid_client", 7000218,
		                     "The request body must contain 'client_assertion' or "
		                     "'client_secret'.");
		return false;
	}
	if (options->client_secret && strcmp(text, options->client_secret) != 0) {
		answers_refuse_token(exchange, 401, "invalid_client", 7000215,
		                     "Invalid client secret provided.");
		return false;
	}
	return true;
}

static bool check_form(struct exchange *exchange)
{
	struct bytes form = buffer_bytes(&exchange->body);
	const char *type = exchange_header(exchange, "Content-Type");
	char text[FIELD_SIZE];
	size_t size;

	if (!type || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0 ||
	    !find_field(form, "grant_type", text)) {
		answers_refuse_token(exchange, 400, "invalid_request", 900144,
		                     "The request body must contain the parameter 'grant_type'.");
		return false;
	}
	if (strcmp(text, "client_credentials") != 0) {
		answers_refuse_token(exchange, 400, "unsupported_grant_type", 70003,
		                     "The grant type is not supported.");
		return false;
	}
	if (!check_client(exchange))
		return false;
	if (!find_field(form, "scope", text)) {
		answers_refuse_token(exchange, 400, "invalid_request", 900144,
		                     "The request body must contain the parameter 'scope'.");
		return false;
	}
	size = strlen(text);
	if (size < 9 || strcmp(text + size - 9, "/.default") != 0 || strchr(text, ' ')) {
		answers_refuse_token(exchange, 400, "invalid_scope", 70011,
		                     "The value of the parameter 'scope' is not valid.");
		return false;
	}
	return true;
}

/* A new token, or NULL without memory. */
static struct token *issue(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	struct tokens *tokens = &simulator->tokens;
	struct token *token = calloc(1, sizeof *token);
	char half[2][RANDOM_UUID_SIZE];

	if (!token)
		return NULL;
	random_uuid(&simulator->random, half[0]);
	random_uuid(&simulator->random, half[1]);
	snprintf(token->text, sizeof token->text, "%.35s%.36s", half[0], half[1]);
	snprintf(token->client, sizeof token->client, "%s", exchange->client);
	snprintf(token->tenant, sizeof token->tenant, "%.*s", (int)exchange->tenant.size,
	         exchange->tenant.data);
	token->expires =
	    instant_add(simulator_now(), duration_ms(simulator->settings.token_lifetime_s * 1000));
	HASH_ADD_STR(tokens->by_text, text, token);
	DL_APPEND(tokens->oldest, token);
	tokens->issued++;
	if (HASH_COUNT(tokens->by_text) > TOKENS_MAX)
		forget(tokens, tokens->oldest);
	return token;
}

void tokens_handle(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	struct answer *answer = &exchange->answer;
	const char *tenant = simulator->options->tenant;
	struct token *token;

	if (strcmp(exchange->method, "POST") != 0) {
		answers_refuse_token(exchange, 405, "invalid_request", 900561,
		                     "The endpoint only accepts POST requests.");
		return;
	}
	if (tenant && !bytes_equal_text(exchange->tenant, tenant)) {
		answers_refuse_token(exchange, 400, "invalid_request", 90002,
		                     "The tenant was not found.");
		return;
	}
	if (!check_form(exchange))
		return;
	token = issue(exchange);
	if (!token) {
		answers_refuse_token(exchange, 503, "temporarily_unavailable", 90033,
		                     "A transient error has occurred.");
		return;
	}
	answer->status = 200;
	answer->content_type = "application/json; charset=utf-8";
	buffer_printf(&answer->body,
	              "{\"token_type\":\"Bearer\",\"expires_in\":%lld,\"ext_expires_in\":%lld,"
	              "\"access_token\":\"%s\"}",
	              (long long)simulator->settings.token_lifetime_s,
	              (long long)simulator->settings.token_lifetime_s, token->text);
}

static struct token *find_bearer(const struct exchange *exchange)
{
	const char *header = exchange_header(exchange, "Authorization");
	struct token *token = NULL;

	if (header && strncasecmp(header, "Bearer ", 7) == 0)
		HASH_FIND_STR(exchange->simulator->tokens.by_text, header + 7, token);
	return token;
}

void tokens_identify(struct exchange *exchange)
{
	const struct token *token = find_bearer(exchange);

	if (!token)
		return;
	memcpy(exchange->client, token->client, sizeof exchange->client);
	memcpy(exchange->token_tenant, token->tenant, sizeof exchange->token_tenant);
	exchange->tenant = bytes_of(exchange->token_tenant);
}

bool tokens_check(struct exchange *exchange)
{
	const char *header = exchange_header(exchange, "Authorization");
	const struct token *token = find_bearer(exchange);
	const char *problem = NULL;

	if (!header || strncasecmp(header, "Bearer ", 7) != 0)
		problem = "Access token is empty.";
	else if (!token)
		problem = "The access token is not known.";
	else if (token->revoked)
		problem = "The access token has been revoked.";
	else if (!instant_before(exchange->arrived, token->expires))
		problem = "The access token has expired or is not yet valid.";
	exchange->bearer_ok = !problem;
	if (problem)
		answers_refuse(exchange, 401, "InvalidAuthenticationToken", problem);
	return !problem;
}
