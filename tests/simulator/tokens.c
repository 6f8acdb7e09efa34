/* Giving out and checking tokens. */
#include "simulator/tokens.h"

#include "simulator/answers.h"
#include "simulator/credentials.h"
#include "simulator/simulator.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#define TOKENS_MAX 10000 /* The oldest are forgotten */

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

/* Returns false, with an answer, when the client is not who it must be. */
static bool check_client(struct exchange *exchange)
{
	const struct options *options = exchange->simulator->options;
	struct bytes form = buffer_bytes(&exchange->body);
	char text[FIELD_SIZE];

	if (!credentials_field(form, "client_id", text)) {
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
	return credentials_check(exchange);
}

static bool check_form(struct exchange *exchange)
{
	struct bytes form = buffer_bytes(&exchange->body);
	const char *type = exchange_header(exchange, "Content-Type");
	char text[FIELD_SIZE];
	size_t size;

	if (!type || strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0 ||
	    !credentials_field(form, "grant_type", text)) {
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
	if (!credentials_field(form, "scope", text)) {
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

static struct token *issue_or_refuse(struct exchange *exchange)
{
	struct token *token = issue(exchange);

	if (!token)
		answers_refuse_token(exchange, 503, "temporarily_unavailable", 90033,
		                     "A transient error has occurred.");
	return token;
}

/* Its numbers are texts. */
static void handle_identity(struct exchange *exchange)
{
	long long lifetime = exchange->simulator->settings.token_lifetime_s;
	long long now = exchange->arrived_wall.us / 1000000;
	struct answer *answer = &exchange->answer;
	struct token *token;

	answer->content_type = "application/json; charset=utf-8";
	if (!credentials_check_identity(exchange))
		return;
	token = issue_or_refuse(exchange);
	if (!token)
		return;
	answer->status = 200;
	buffer_printf(&answer->body,
	              "{\"access_token\":\"%s\",\"refresh_token\":\"\",\"expires_in\":\"%lld\","
	              "\"expires_on\":\"%lld\",\"not_before\":\"%lld\",\"token_type\":\"Bearer\"}",
	              token->text, lifetime, now + lifetime, now);
}

void tokens_handle(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	struct answer *answer = &exchange->answer;
	const char *tenant = simulator->options->tenant;
	struct token *token;

	if (exchange->route_is_identity) {
		handle_identity(exchange);
		return;
	}
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
	token = issue_or_refuse(exchange);
	if (!token)
		return;
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
