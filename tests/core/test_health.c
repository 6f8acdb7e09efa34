/* Which answers say that the service is ill. */
#include "worker/core/health.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum health judged(struct answer answer)
{
	struct buffer operation;
	struct outcome outcome;

	buffer_init(&operation, 4096);
	outcome_judge(&answer, "https://graph.example/v1.0", bytes_of("call"), (wall_t){ 0 },
	              &operation, &outcome);
	buffer_close(&operation);
	return health_of(&answer, &outcome);
}

static enum health of_status(int status, const char *retry_after)
{
	return judged((struct answer){
	    .progress = ANSWER_COMPLETE, .http_status = status, .retry_after = retry_after });
}

static void a_server_that_fails_is_ill(void **state)
{
	(void)state;
	assert_int_equal(of_status(500, NULL), HEALTH_ILL);
	assert_int_equal(of_status(502, NULL), HEALTH_ILL);
	assert_int_equal(of_status(503, NULL), HEALTH_ILL);
	assert_int_equal(of_status(504, NULL), HEALTH_ILL);
	assert_int_equal(of_status(408, NULL), HEALTH_ILL);
}

static void a_server_that_decides_is_well(void **state)
{
	static const int statuses[] = { 200, 202, 302, 400, 401, 403, 404, 409, 429 };

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		assert_int_equal(of_status(statuses[i], NULL), HEALTH_WELL);
	assert_int_equal(of_status(429, "3"), HEALTH_WELL);
	assert_int_equal(of_status(503, "3"), HEALTH_WELL);
}

static void a_connection_that_fails_is_ill(void **state)
{
	(void)state;
	assert_int_equal(judged((struct answer){ .progress = ANSWER_BROKEN }), HEALTH_ILL);
	assert_int_equal(judged((struct answer){ .progress = ANSWER_NOT_SENT }), HEALTH_ILL);
}

static void who_was_not_asked_is_neither(void **state)
{
	(void)state;
	assert_int_equal(judged((struct answer){ .progress = ANSWER_NO_TOKEN }), HEALTH_NONE);
	assert_int_equal(
	    judged((struct answer){ .progress = ANSWER_NOT_SENT, .is_withheld = true }),
	    HEALTH_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_fails_is_ill),
		cmocka_unit_test(a_server_that_decides_is_well),
		cmocka_unit_test(a_connection_that_fails_is_ill),
		cmocka_unit_test(who_was_not_asked_is_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
