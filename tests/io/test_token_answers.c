/* What is made of a login service's answers: a token, or what follows from a refusal. */
#include "worker/io/token_grant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

/* Read a token answer and say what came of it: the bearer, or the error. */
static void expect_grant(const char *body, const char *expected, int64_t lifetime_s)
{
	struct token_grant grant = { .bearer = NULL };
	struct token_refusal refusal;
	struct err err = { "" };
	const struct token_answer answer = { .status = 200, .body = bytes_of(body) };
	int result = token_grant_parse(&answer, &grant, &refusal, &err);

	if (result < 0) {
		if (!strstr(err.msg, expected))
			fail_msg("\"%s\" is not in \"%s\"", expected, err.msg);
		return;
	}
	assert_string_equal(grant.bearer, expected);
	assert_int_equal(grant.lifetime.us, lifetime_s * SECOND);
	free(grant.bearer);
}

static void reads_every_form_of_an_answer(void **state)
{
	(void)state;
	expect_grant("{\"token_type\":\"bearer\",\"expires_in\":\"3599\",\"x\":[{}],"
	             "\"access_token\":\"e.y-J\"}",
	             "Bearer e.y-J", 3599);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":99999999,\"access_token\":\"a\"}",
	             "Bearer a", 86400);
	expect_grant("{\"token_type\":\"mac\",\"expires_in\":1,\"access_token\":\"a\"}",
	             "token_type", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":1}", "access_token", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":1,\"access_token\":\"a b\"}",
	             "plain ASCII", 0);
	expect_grant(
	    "{\"token_type\":\"Bearer\",\"expires_in\":1,\"access_token\":\"a\\r\\nX: y\"}",
	    "plain ASCII", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":0,\"access_token\":\"a\"}",
	             "expires_in", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":-5,\"access_token\":\"a\"}",
	             "expires_in", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"expires_in\":\"1h\",\"access_token\":\"a\"}",
	             "expires_in", 0);
	expect_grant("{\"token_type\":\"Bearer\",\"access_token\":\"a\"}", "expires_in", 0);
	expect_grant("[]", "not a JSON object", 0);
	expect_grant("", "not a JSON object", 0);
	expect_grant("<html>", "not a JSON object", 0);
}

static void renews_five_minutes_before_the_end_or_at_half_of_a_short_life(void **state)
{
	instant_t asked = { 7 * SECOND };
	struct token_term hour = token_term(asked, (duration_t){ 60 * MINUTE });
	struct token_term ten = token_term(asked, (duration_t){ 10 * MINUTE });
	struct token_term nine = token_term(asked, (duration_t){ 9 * MINUTE });

	(void)state;
	assert_int_equal(hour.renew_at.us, 7 * SECOND + 55 * MINUTE);
	assert_int_equal(hour.expires_at.us, 7 * SECOND + 60 * MINUTE);
	assert_int_equal(ten.renew_at.us, 7 * SECOND + 5 * MINUTE);
	assert_int_equal(nine.renew_at.us, 7 * SECOND + 9 * MINUTE / 2);
}

static void expect_pauses(enum token_trouble trouble, const int64_t seconds[static 8])
{
	struct random random;

	random_init(&random, 1);
	for (uint32_t i = 0; i < 8; i++)
		assert_in_range(token_pause(trouble, i + 1, &random).us, seconds[i] * SECOND,
		                seconds[i] * SECOND * 5 / 4);
	assert_in_range(token_pause(trouble, UINT32_MAX, &random).us, seconds[7] * SECOND,
	                seconds[7] * SECOND * 5 / 4);
}

static void pauses_grow_and_are_longer_when_a_person_is_needed(void **state)
{
	static const int64_t passing[] = { 1, 2, 4, 8, 16, 32, 48, 48 };
	static const int64_t lasting[] = { 10, 20, 40, 80, 160, 240, 240, 240 };

	(void)state;
	expect_pauses(TOKEN_TROUBLE_PASSING, passing);
	expect_pauses(TOKEN_TROUBLE_LASTING, lasting);
}

static void refusals_are_judged_by_their_error(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum token_trouble trouble;
		const char *problem, *hint;
	} cases[] = {
		{ 401, "{\"error\":\"invalid_client\",\"error_codes\":[7000222]}",
		  TOKEN_TROUBLE_LASTING, "status 401 error=invalid_client code=AADSTS7000222",
		  "has expired" },
		{ 400,
		  "{\"error\":\"unauthorized_client\",\"error_description\":\"AADSTS700016: x\"}",
		  TOKEN_TROUBLE_LASTING, "code=AADSTS700016", "login.client_id" },
		{ 400, "{\"error\":\"invalid_grant\",\"error_codes\":[53003]}",
		  TOKEN_TROUBLE_LASTING, "error=invalid_grant", "conditional access" },
		{ 400, "{\"error\":\"invalid_client\",\"error_codes\":[1]}", TOKEN_TROUBLE_LASTING,
		  "code=AADSTS1", "check the credential" },
		{ 401, "{\"error\":\"invalid_client\",\"error_codes\":[700027]}",
		  TOKEN_TROUBLE_LASTING, "AADSTS700027", "upload it" },
		{ 400, "{\"error\":\"something_new\"}", TOKEN_TROUBLE_LASTING,
		  "error=something_new", "" },
		{ 400, "{\"error\":\"temporarily_unavailable\",\"error_codes\":[90033]}",
		  TOKEN_TROUBLE_PASSING, "code=AADSTS90033", "" },
		{ 503, "{\"error\":\"invalid_client\",\"error_codes\":[7000215]}",
		  TOKEN_TROUBLE_PASSING, "status 503", "" },
		{ 429, "{}", TOKEN_TROUBLE_PASSING, "status 429 error=none", "" },
		{ 404, "{\"error\":\"not_found\"}", TOKEN_TROUBLE_PASSING, "status 404", "" },
		{ 410, "", TOKEN_TROUBLE_PASSING, "status 410", "" },
		{ 500, "<html>", TOKEN_TROUBLE_PASSING, "status 500 error=none", "" },
		{ 302, "", TOKEN_TROUBLE_PASSING, "status 302", "" },
		{ 400, "{\"error\":\"a b\\r\\nc\"}", TOKEN_TROUBLE_LASTING, "error=a?b??c", "" },
		{ 400, "{\"error\":7,\"error_codes\":[\"x\"],\"error_description\":[]}",
		  TOKEN_TROUBLE_LASTING, "error=none", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct token_answer answer = { .status = cases[i].status };
		json_t *json = json_loads(cases[i].body, 0, NULL);
		struct token_refusal refusal;
		struct err err;

		token_refusal_read(&answer, json, &refusal, &err);
		json_decref(json);
		assert_int_equal(refusal.trouble, cases[i].trouble);
		if (!strstr(err.msg, cases[i].problem))
			fail_msg("\"%s\" is not in \"%s\"", cases[i].problem, err.msg);
		if (*cases[i].hint ? !strstr(refusal.hint, cases[i].hint) : *refusal.hint)
			fail_msg("\"%s\" is not the hint \"%s\"", refusal.hint, cases[i].hint);
	}
}

static void only_the_first_line_of_a_description_is_kept(void **state)
{
	const struct token_answer answer = { .status = 400 };
	json_t *json = json_loads("{\"error_description\":\"AADSTS7: a b\\r\\nTrace\"}", 0, NULL);
	struct token_refusal refusal;
	struct err err;

	(void)state;
	token_refusal_read(&answer, json, &refusal, &err);
	assert_string_equal(refusal.description, "AADSTS7: a b");
	json_decref(json);
}

/* What is read of a refusal with these two texts, by who has signed in with "s3cr3t". */
static void read_echo(const char *error, const char *description, struct token_refusal *ret,
                      struct err *err)
{
	const struct credential_options options = { .secret = { .text = "s3cr3t" } };
	struct log log;
	struct token_answer answer = { .status = 400 };
	struct credential *credential;
	json_t *json = json_pack("{s:s, s:s}", "error", error, "error_description", description);

	log_init(&log, stderr, LOG_ERROR);
	credential = credential_new(&options, &log, err);
	assert_non_null(credential);
	answer.credential = credential;
	token_refusal_read(&answer, json, ret, err);
	json_decref(json);
	credential_free(credential);
}

/* Where a text is cut, only the beginning of the secret would be left. */
static void a_secret_that_is_echoed_is_dropped_wherever_it_stands(void **state)
{
	static const char no_error[] = "the login service answered with status 400 error=none";
	struct token_refusal refusal;
	char padded[512];
	struct err err;

	(void)state;
	snprintf(padded, sizeof(padded), "%*s", TOKEN_DESCRIPTION_SIZE + 2, "s3cr3t");
	read_echo("invalid_client", padded, &refusal, &err);
	assert_string_equal(refusal.description, "");
	assert_non_null(strstr(err.msg, "error=invalid_client"));
	read_echo("invalid_client", "first\r\ns3cr3t", &refusal, &err);
	assert_string_equal(refusal.description, "");
	read_echo("no_s3cr3t", "is right", &refusal, &err);
	assert_string_equal(err.msg, no_error);
	assert_string_equal(refusal.description, "is right");
	snprintf(padded, sizeof(padded), "%*s", 64 + 3, "s3cr3t");
	read_echo(padded, "", &refusal, &err);
	assert_string_equal(err.msg, no_error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form_of_an_answer),
		cmocka_unit_test(renews_five_minutes_before_the_end_or_at_half_of_a_short_life),
		cmocka_unit_test(pauses_grow_and_are_longer_when_a_person_is_needed),
		cmocka_unit_test(refusals_are_judged_by_their_error),
		cmocka_unit_test(only_the_first_line_of_a_description_is_kept),
		cmocka_unit_test(a_secret_that_is_echoed_is_dropped_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
