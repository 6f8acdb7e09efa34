/* Refusals of the login service: see token_refusal.h. */
#include "worker/io/token_refusal.h"

#include "worker/base/buffer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ERROR_SIZE 64
#define CODE_PREFIX    "AADSTS"

#define SECOND INT64_C(1000000)

/* What is decided: Microsoft warns that the numbers change, and that only `error` is to be relied
 * on. */
static const struct {
	const char *error;
	enum token_trouble trouble;
	const char *hint;
} errors[] = {
	{ "temporarily_unavailable", TOKEN_TROUBLE_PASSING, "" },
	{ "server_error", TOKEN_TROUBLE_PASSING, "" },
	{ "invalid_client", TOKEN_TROUBLE_LASTING, "check the credential of the application" },
	{ "unauthorized_client", TOKEN_TROUBLE_LASTING,
	  "check login.client_id, login.tenant_id and the state of the application" },
	{ "invalid_grant", TOKEN_TROUBLE_LASTING,
	  "check the credential and the policies of the tenant" },
	{ "invalid_scope", TOKEN_TROUBLE_LASTING, "check login.scope and graph.url" },
	{ "invalid_resource", TOKEN_TROUBLE_LASTING, "check login.scope and graph.url" },
	{ "invalid_request", TOKEN_TROUBLE_LASTING,
	  "check login.tenant_id, login.client_id, and whether the machine has the identity" },
	{ "unsupported_grant_type", TOKEN_TROUBLE_LASTING, "check login.url" },
	{ "interaction_required", TOKEN_TROUBLE_LASTING, "check the policies of the tenant" },
	{ "consent_required", TOKEN_TROUBLE_LASTING,
	  "an administrator must consent to the application's permissions" },
};

/* What is said to people, where the number tells more than the `error`. */
static const struct {
	long long code;
	const char *hint;
} hints[] = {
	{ 7000215, "the client secret is wrong: use its value, not its id" },
	{ 7000222, "the client secret has expired: make a new one" },
	{ 7000216, "the application must sign in with an assertion or a secret" },
	{ 7000218, "the application must sign in with an assertion or a secret" },
	{ 700016, "this tenant does not have the application: check login.client_id and "
	          "login.tenant_id" },
	{ 7000229, "the application has no service principal in this tenant: an administrator "
	           "must consent" },
	{ 7000112, "the application is disabled in this tenant" },
	{ 90002, "this tenant does not exist: check login.tenant_id and graph.cloud" },
	{ 700027, "this certificate is not among those of the application: upload it, or it has "
	          "expired" },
	{ 50012, "this certificate is not among those of the application: upload it" },
	{ 700024, "the assertion's time is over or not yet there: check this machine's clock" },
	{ 500133, "the assertion's time is over or not yet there: check this machine's clock" },
	{ 50013, "the assertion is not accepted: check the certificate and this machine's clock" },
	{ 70011, "the scope is wrong: check login.scope and graph.url" },
	{ 500011, "this tenant has no such Graph: check graph.cloud, graph.url and login.scope" },
	{ 70021, "no federated credential of the application fits the token: compare issuer, "
	         "subject and audience" },
	{ 700211, "no federated credential of the application has the token's issuer" },
	{ 700212, "no federated credential of the application has the token's audience" },
	{ 700213, "no federated credential of the application has the token's subject" },
	{ 900382, "the application belongs to another cloud: check graph.cloud" },
	{ 900432, "the application belongs to another cloud: check graph.cloud" },
	{ 90038, "the tenant belongs to another cloud: check graph.cloud" },
	{ 53003, "a policy of conditional access forbids it" },
	{ 530032, "a policy of conditional access forbids it" },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A text of a service: only what cannot disturb a log line. */
static void append_word(struct buffer *out, const char *word)
{
	size_t n = 0;

	for (; *word && n < MAX_ERROR_SIZE; word++, n++) {
		bool plain = isalnum((unsigned char)*word) || strchr("_-.", *word);

		buffer_append_char(out, plain ? *word : '?');
	}
}

/* Looked for in the whole text: a part of a secret is not found once the text was cut. */
static bool tells_secret(const struct token_answer *answer, const char *text)
{
	return answer->credential && credential_is_in(answer->credential, text);
}

/* The first line only: the lines after it have ids of no use to operators. */
static void copy_description(const char *text, char description[static TOKEN_DESCRIPTION_SIZE])
{
	size_t size = strcspn(text, "\r\n");

	if (size >= TOKEN_DESCRIPTION_SIZE)
		size = TOKEN_DESCRIPTION_SIZE - 1;
	memcpy(description, text, size);
	description[size] = '\0';
}

/* The number of Entra's own code, from `error_codes` or the description's "AADSTS7000215: …"; 0:
 * none. */
static long long read_code(const json_t *json, const char *description)
{
	const json_t *code = json_array_get(json_object_get(json, "error_codes"), 0);
	size_t size = strlen(CODE_PREFIX);

	if (json_is_integer(code) && json_integer_value(code) > 0)
		return json_integer_value(code);
	if (strncmp(description, CODE_PREFIX, size) == 0 &&
	    isdigit((unsigned char)description[size]))
		return strtoll(description + size, NULL, 10);
	return 0;
}

/* An unknown `error` is judged by the status: a managed identity's service is not there yet (404),
 * or being updated (410), for a while. */
static void judge(int status, const char *error, struct token_refusal *ret)
{
	bool may_pass =
	    status == 404 || status == 408 || status == 410 || status == 429 || status >= 500;

	ret->trouble = status >= 400 && !may_pass ? TOKEN_TROUBLE_LASTING : TOKEN_TROUBLE_PASSING;
	for (size_t i = 0; i < COUNT(errors); i++) {
		if (strcmp(errors[i].error, error) != 0)
			continue;
		ret->hint = errors[i].hint;
		if (status != 429 && status < 500)
			ret->trouble = errors[i].trouble;
	}
}

void token_refusal_read(const struct token_answer *answer, const json_t *json,
                        struct token_refusal *ret, struct err *err)
{
	const char *error = json_string_value(json_object_get(json, "error"));
	const char *description = json_string_value(json_object_get(json, "error_description"));
	struct buffer text;
	long long code;

	*ret = (struct token_refusal){ .hint = "" };
	if (description && !tells_secret(answer, description))
		copy_description(description, ret->description);
	code = read_code(json, ret->description);
	judge(answer->status, error ? error : "", ret);
	if (error && tells_secret(answer, error))
		error = NULL;
	for (size_t i = 0; i < COUNT(hints); i++) {
		if (hints[i].code == code)
			ret->hint = hints[i].hint;
	}
	if (ret->trouble == TOKEN_TROUBLE_PASSING)
		ret->hint = "";
	buffer_init(&text, sizeof(err->msg) / 2);
	buffer_append_text(&text, " error=");
	append_word(&text, error ? error : "none");
	if (code)
		buffer_printf(&text, " code=" CODE_PREFIX "%lld", code);
	err_set(err, "the login service answered with status %d%s", answer->status,
	        buffer_ok(&text) ? text.data : "");
	buffer_close(&text);
}

duration_t token_pause(enum token_trouble trouble, uint32_t failures, struct random *random)
{
	bool lasts = trouble == TOKEN_TROUBLE_LASTING;
	uint64_t least = lasts ? 10 : 1, most = lasts ? 240 : 48;
	uint64_t seconds;
	int64_t us;

	CHECK(failures > 0);
	seconds = failures > 8 ? most : least << (failures - 1);
	if (seconds > most)
		seconds = most;
	us = (int64_t)seconds * SECOND;
	return (duration_t){ us + (int64_t)random_below(random, (uint64_t)us / 4) };
}
