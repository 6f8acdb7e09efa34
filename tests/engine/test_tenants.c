/* Several tenants: each has the application to itself. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	struct policy policy = world_policy_of_tenants();
	int result = world_setup(state);

	policy.batch_window = duration_ms(0);
	if (result == 0)
		world_reopen(*state, policy);
	return result;
}

#define TENANTS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

/* A command for that call of a tenant. */
static void send(struct world *w, int64_t offset, uint32_t tenant, const char *call)
{
	world_give(
	    w, (struct given){ .offset = offset, .call = call, .who = "ann", .tenant = tenant });
}

/* Commands for so many calls of a tenant, from 'offset' on. */
static void send_many(struct world *w, int64_t offset, uint32_t tenant, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		char call[16];

		snprintf(call, sizeof(call), "call-%d", (int)i);
		send(w, offset + i, tenant, call);
	}
}

/* Requests of a tenant so far. */
static size_t count_posts(const struct world *w, uint32_t tenant)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_posts; i++)
		n += w->posts[i].tenant == tenant;
	return n;
}

static void expect_tenant(struct world *w, int64_t offset, const char *tenant)
{
	const json_t *reply = world_find(w, 0, offset)->reply;

	assert_string_equal(json_string_value(json_object_get(reply, "tenantId")), tenant);
}

static void the_same_call_id_in_two_tenants_is_two_calls(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(20);
	send(w, 0, 0, "call-a");
	send(w, 1, 1, "call-a");
	send(w, 2, 2, "call-a");
	world_elapse(w, 20);
	assert_int_equal(w->n_posts, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(w->posts[i].tenant, i);
		world_accept(w);
	}
	expect_tenant(w, 0, "tenant-0");
	expect_tenant(w, 1, "tenant-1");
	expect_tenant(w, 2, "tenant-2");
	world_finish(w);
	expect_all_done(w);
}

static void commands_of_one_call_in_one_tenant_share_a_request(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(20);
	send(w, 0, 1, "call-a");
	send(w, 1, 0, "call-a");
	world_give(w, (struct given){ .offset = 2, .call = "call-a", .who = "bob", .tenant = 1 });
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "ann bob", "ann");
}

static void a_command_id_counts_once_in_each_tenant(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 4; i++)
		world_give(w, (struct given){ .offset = i,
		                              .call = "call-a",
		                              .who = "ann",
		                              .id = "the-id",
		                              .tenant = (uint32_t)i % 2,
		                              .repeats = i >= 2,
		                              .first = i - 2 });
	assert_int_equal(w->n_posts, 2);
	world_accept(w);
	world_accept(w);
	for (int64_t i = 0; i < 4; i++)
		expect_status(w, i, i < 2 ? "accepted" : "duplicate");
	expect_tenant(w, 3, "tenant-1");
}

static void a_tenant_in_which_the_application_may_not_send_holds_no_other(void **state)
{
	struct world *w = *state;

	send(w, 0, 1, "call-a");
	world_refuse(w, 403, "7504");
	send_many(w, 1, 1, 3);
	send_many(w, 4, 0, 3);
	send_many(w, 7, 2, 3);
	assert_int_equal(count_posts(w, 0), 3);
	assert_int_equal(count_posts(w, 1), 1);
	assert_int_equal(count_posts(w, 2), 3);
	assert_int_equal(w->metrics.values[METRIC_application_held], 1);
	while (world_open_posts(w) > 0)
		world_accept(w);
	world_elapse(w, 1000);
	assert_int_equal(count_posts(w, 1), 2);
	w->latency_us = 0;
	world_finish(w);
	assert_int_equal(w->metrics.values[METRIC_application_held], 0);
	expect_all_done(w);
}

static void what_one_tenant_is_accepted_does_not_lift_the_hold_of_another(void **state)
{
	struct world *w = *state;

	send(w, 0, 1, "call-a");
	world_fail(w, ANSWER_NO_TOKEN);
	world_elapse(w, 740);
	send(w, 1, 0, "call-a");
	world_accept(w);
	send(w, 2, 1, "call-b");
	assert_int_equal(count_posts(w, 1), 1);
	assert_int_equal(w->metrics.values[METRIC_application_held], 1);
}

static void throttled_calls_of_one_tenant_hold_only_its_application(void **state)
{
	struct world *w = *state;

	send_many(w, 0, 1, 3);
	for (unsigned i = 0; i < 3; i++)
		world_answer(w, 429, "10", NULL);
	send(w, 3, 1, "call-x");
	send(w, 4, 0, "call-x");
	assert_int_equal(count_posts(w, 1), 3);
	assert_int_equal(count_posts(w, 0), 1);
	world_elapse(w, 10000);
	assert_int_equal(count_posts(w, 1), 7);
}

static void throttled_calls_of_different_tenants_do_not_add_up(void **state)
{
	struct world *w = *state;

	for (uint32_t i = 0; i < 3; i++)
		send(w, i, i, "call-a");
	for (unsigned i = 0; i < 3; i++)
		world_answer(w, 429, "10", NULL);
	for (uint32_t i = 0; i < 3; i++)
		send(w, 3 + i, i, "call-b");
	assert_int_equal(w->n_posts, 6);
}

static void what_waits_too_long_fails_in_its_own_tenant_alone(void **state)
{
	struct world *w = *state;

	w->policy.max_hold = duration_ms(1000);
	send(w, 0, 1, "call-a");
	for (unsigned i = 0; i < 2; i++)
		world_answer(w, 401, NULL, NULL);
	send(w, 1, 1, "call-x");
	send(w, 2, 2, "call-x");
	for (int64_t i = 0; i < 2; i++)
		expect_error(w, i, "unauthorized");
	world_accept(w);
	expect_status(w, 2, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static struct policy slow_policy(void)
{
	struct policy policy = world_policy_of_tenants();

	policy.batch_window = duration_ms(0);
	policy.application_rate = 10;
	policy.application_burst = 1;
	return policy;
}

static void each_tenant_has_the_applications_rate_for_itself(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_policy());
	w->latency_us = 1000;
	send_many(w, 0, 0, 30);
	send_many(w, 30, 1, 30);
	send_many(w, 60, 2, 5);
	world_elapse(w, 1999);
	assert_in_range(count_posts(w, 0), 20, 21);
	assert_in_range(count_posts(w, 1), 20, 21);
	assert_int_equal(count_posts(w, 2), 5);
	world_finish(w);
	expect_all_done(w);
}

static void a_share_of_the_partitions_is_a_share_of_the_rate_in_each_tenant(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_policy());
	w->latency_us = 0;
	world_assign(w, 1, 1, 4);
	send_many(w, 0, 0, 50);
	send_many(w, 50, 2, 50);
	world_elapse(w, 10000);
	assert_in_range(count_posts(w, 0), 25, 26);
	assert_in_range(count_posts(w, 2), 25, 26);
}

static void each_tenant_has_one_timer(void **state)
{
	struct world *w = *state;

	world_reopen(w, slow_policy());
	send_many(w, 0, 0, 10);
	send_many(w, 10, 2, 10);
	assert_int_equal(w->n_posts, 2);
	assert_int_equal(w->n_alarms, 2);
	assert_int_equal(slots_index(w->alarms[0].id), 0);
	assert_int_equal(slots_index(w->alarms[1].id), 2);
}

static void tenants_are_served_in_turn_when_requests_are_few(void **state)
{
	static const uint32_t turns[] = { 0, 1, 2, 0, 1, 0, 0 };
	struct world *w = *state;
	struct policy policy = w->policy;

	policy.max_in_flight = 1;
	world_reopen(w, policy);
	w->latency_us = 1000;
	send_many(w, 0, 0, 4);
	send_many(w, 4, 1, 2);
	send_many(w, 6, 2, 1);
	world_finish(w);
	assert_int_equal(w->n_posts, 7);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(w->posts[i].tenant, turns[i]);
	expect_all_done(w);
}

static void what_is_in_doubt_is_looked_for_in_its_own_tenant(void **state)
{
	struct world *w = *state;

	w->looks_by_hand = true;
	send(w, 0, 1, "call-a");
	world_break_after_effect(w);
	world_elapse(w, 20000);
	assert_int_equal(w->n_looks, 1);
	assert_int_equal(w->looks[0].tenant, 1);
	world_look(w);
	expect_status(w, 0, "reconciled");
	expect_tenant(w, 0, "tenant-1");
}

/* In its own call the identity stands on the roster for one command alone. */
static void an_invite_of_another_tenant_does_not_spoil_the_roster(void **state)
{
	struct world *w = *state;

	w->policy.look_at_operations = false;
	send(w, 0, 0, "call-a");
	world_accept(w);
	send(w, 1, 1, "call-a");
	world_break_after_effect(w);
	world_elapse(w, 20000);
	expect_status(w, 1, "reconciled");
	expect_evidence(w, 1, "roster");
}

static void the_next_owner_goes_on_in_the_tenant_of_each_command(void **state)
{
	struct world *w = *state;

	send(w, 0, 1, "call-a");
	world_break_after_effect(w);
	send(w, 1, 2, "call-a");
	world_accept(w);
	w->policy.max_in_flight = 1;
	world_restart(w);
	send(w, 2, 2, "call-a");
	w->latency_us = 0;
	world_finish(w);
	expect_status(w, 0, "reconciled");
	expect_tenant(w, 0, "tenant-1");
	expect_status(w, 2, "accepted");
	expect_tenant(w, 2, "tenant-2");
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TENANTS_TEST(the_same_call_id_in_two_tenants_is_two_calls),
		TENANTS_TEST(commands_of_one_call_in_one_tenant_share_a_request),
		TENANTS_TEST(a_command_id_counts_once_in_each_tenant),
		TENANTS_TEST(a_tenant_in_which_the_application_may_not_send_holds_no_other),
		TENANTS_TEST(what_one_tenant_is_accepted_does_not_lift_the_hold_of_another),
		TENANTS_TEST(throttled_calls_of_one_tenant_hold_only_its_application),
		TENANTS_TEST(throttled_calls_of_different_tenants_do_not_add_up),
		TENANTS_TEST(what_waits_too_long_fails_in_its_own_tenant_alone),
		TENANTS_TEST(each_tenant_has_the_applications_rate_for_itself),
		TENANTS_TEST(a_share_of_the_partitions_is_a_share_of_the_rate_in_each_tenant),
		TENANTS_TEST(each_tenant_has_one_timer),
		TENANTS_TEST(tenants_are_served_in_turn_when_requests_are_few),
		TENANTS_TEST(what_is_in_doubt_is_looked_for_in_its_own_tenant),
		TENANTS_TEST(an_invite_of_another_tenant_does_not_spoil_the_roster),
		TENANTS_TEST(the_next_owner_goes_on_in_the_tenant_of_each_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
