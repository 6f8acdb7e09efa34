/* An application that Graph lets do nothing: told once, tried singly, and over when it may again.
 */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Longer than any pause of the backoff. */
#define LONG_MS 60000

static int setup(void **state)
{
	struct policy policy = world_policy_of_tenants();
	int result = world_setup(state);

	policy.batch_window = duration_ms(0);
	policy.max_attempts = 1000;
	policy.max_hold = duration_ms(24 * 3600 * 1000);
	if (result == 0)
		world_reopen(*state, policy);
	return result;
}

#define REFUSED_TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

/* One command for each of so many calls of a tenant, from 'offset' on. */
static void send_many(struct world *w, int64_t offset, uint32_t tenant, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		char call[32];

		snprintf(call, sizeof(call), "call-%d", (int)(offset + i));
		world_give(
		    w, (struct given){
		           .offset = offset + i, .call = call, .who = "ann", .tenant = tenant });
	}
}

static void expect_notices(const struct world *w, unsigned refused, unsigned allowed)
{
	assert_int_equal(w->n_notices[NOTICE_REFUSED], refused);
	assert_int_equal(w->n_notices[NOTICE_ALLOWED], allowed);
	assert_int_equal(w->metrics.values[METRIC_application_refused], refused > allowed);
}

static void it_is_told_once_until_graph_accepts_again(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 4);
	for (unsigned i = 0; i < 4; i++)
		world_refuse(w, 403, "7504");
	expect_notices(w, 1, 0);
	for (unsigned i = 0; i < 3; i++) {
		world_elapse(w, LONG_MS);
		world_refuse(w, 403, "7504");
		expect_notices(w, 1, 0);
	}
	world_elapse(w, LONG_MS);
	world_accept(w);
	expect_notices(w, 1, 1);
	w->latency_us = 0;
	world_finish(w);
	expect_all_done(w);
	expect_notices(w, 1, 1);
}

static void the_next_time_is_told_anew(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 2; i++) {
		send_many(w, i, 0, 1);
		world_refuse(w, 403, "7503");
		world_elapse(w, LONG_MS);
		world_accept(w);
	}
	expect_notices(w, 2, 2);
}

static void it_is_told_with_what_a_person_can_do(void **state)
{
	static const struct {
		int status;
		const char *code, *advice;
	} rows[] = {
		{ 403, "7503", "register a bot" },
		{ 403, "7504", "Calls.InitiateGroupCall.All" },
		{ 302, "", "graph.url" },
	};
	struct world *w = *state;

	for (uint32_t i = 0; i < 3; i++) {
		send_many(w, i, i, 1);
		world_refuse(w, rows[i].status, rows[i].code);
		assert_int_equal(w->notice.tenant, i);
		assert_int_equal(w->notice.http_status, rows[i].status);
		assert_string_equal(w->notice_code, rows[i].code);
		assert_non_null(strstr(w->notice.advice, rows[i].advice));
	}
}

static void another_reason_is_told_too(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 1);
	world_refuse(w, 403, "7503");
	world_elapse(w, LONG_MS);
	world_refuse(w, 403, "7504");
	expect_notices(w, 2, 0);
	world_elapse(w, LONG_MS);
	world_accept(w);
	assert_int_equal(w->n_notices[NOTICE_ALLOWED], 1);
	assert_int_equal(w->metrics.values[METRIC_application_refused], 0);
}

static void single_requests_try_whether_it_still_is_so(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 1);
	world_refuse(w, 403, "7504");
	send_many(w, 1, 0, 20);
	for (unsigned i = 2; i <= 4; i++) {
		world_elapse(w, LONG_MS);
		assert_int_equal(w->n_posts, i);
		world_elapse(w, LONG_MS);
		assert_int_equal(w->n_posts, i);
		world_refuse(w, 403, "7504");
	}
	world_elapse(w, LONG_MS);
	world_accept(w);
	assert_int_equal(world_open_posts(w), 20);
	w->latency_us = 0;
	world_finish(w);
	expect_all_done(w);
}

static void what_graph_judges_on_its_merits_ends_it_and_another_403_does_not(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 3);
	world_refuse(w, 403, "7504");
	world_refuse(w, 403, "7504");
	world_refuse(w, 403, "7504");
	world_elapse(w, LONG_MS);
	world_refuse(w, 403, "Forbidden");
	expect_notices(w, 1, 0);
	world_refuse(w, 400, "BadRequest");
	expect_notices(w, 1, 1);
}

static void a_call_that_is_over_ends_it_as_well(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 1);
	world_refuse(w, 403, "7504");
	world_elapse(w, LONG_MS);
	world_refuse(w, 404, "8522");
	expect_notices(w, 1, 1);
}

static void what_was_sent_before_says_nothing(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 0, 2);
	world_elapse(w, 10);
	world_refuse(w, 403, "7504");
	world_accept(w);
	expect_notices(w, 1, 0);
	world_elapse(w, LONG_MS);
	world_accept(w);
	expect_notices(w, 1, 1);
}

static void other_tenants_go_on_and_people_are_told_which_it_is(void **state)
{
	struct world *w = *state;
	struct buffer why;

	buffer_init(&why, 200);
	assert_false(engine_is_refused(w->engine, &why));
	send_many(w, 0, 1, 1);
	world_refuse(w, 403, "7504");
	assert_true(engine_is_refused(w->engine, &why));
	assert_string_equal(buffer_bytes(&why).data,
	                    "Graph lets the application do nothing in tenant tenant-1: HTTP 403");
	buffer_close(&why);
	send_many(w, 1, 0, 20);
	send_many(w, 21, 2, 20);
	assert_int_equal(world_open_posts(w), 40);
	world_accept(w);
	expect_notices(w, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REFUSED_TEST(it_is_told_once_until_graph_accepts_again),
		REFUSED_TEST(the_next_time_is_told_anew),
		REFUSED_TEST(it_is_told_with_what_a_person_can_do),
		REFUSED_TEST(another_reason_is_told_too),
		REFUSED_TEST(single_requests_try_whether_it_still_is_so),
		REFUSED_TEST(what_graph_judges_on_its_merits_ends_it_and_another_403_does_not),
		REFUSED_TEST(a_call_that_is_over_ends_it_as_well),
		REFUSED_TEST(what_was_sent_before_says_nothing),
		REFUSED_TEST(other_tenants_go_on_and_people_are_told_which_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
