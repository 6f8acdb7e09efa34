/* Whether one call is throttled or the application. */
#include "worker/core/throttle.h"

#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct throttle make(void)
{
	struct throttle t;

	throttle_init(&t);
	return t;
}

static void pass(struct throttle *t, unsigned n)
{
	while (n-- > 0)
		throttle_pass(t);
}

/* One of 'n' answers is throttled, each of another call; where it stands is random. How many rows
 * were taken for the application's. */
static unsigned one_in(struct throttle *t, uint64_t n, unsigned answers)
{
	struct random random;
	unsigned held = 0;

	random_init(&random, 1);
	for (unsigned i = 0; i < answers; i++) {
		if (random_below(&random, n) == 0)
			held += throttle_hit(t, i);
		else
			throttle_pass(t);
	}
	return held;
}

/* Calls that are throttled one after the other until it is the application. */
static unsigned row_needed(struct throttle *t)
{
	unsigned calls = 1;

	while (!throttle_hit(t, 1000000 + calls))
		calls++;
	return calls;
}

static void three_calls_in_a_row_are_the_application_where_throttling_is_rare(void **state)
{
	struct throttle t = make();

	(void)state;
	assert_int_equal(row_needed(&t), 3);
	pass(&t, 1000);
	assert_int_equal(row_needed(&t), 3);
}

static void what_passes_between_ends_the_row(void **state)
{
	struct throttle t = make();

	(void)state;
	pass(&t, 1000);
	assert_false(throttle_hit(&t, 1));
	assert_false(throttle_hit(&t, 2));
	throttle_pass(&t);
	assert_false(throttle_hit(&t, 3));
	assert_false(throttle_hit(&t, 4));
}

static void one_or_two_calls_are_never_the_application(void **state)
{
	struct throttle t = make();

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		assert_false(throttle_hit(&t, 1));
		assert_false(throttle_hit(&t, 2));
		assert_false(throttle_hit(&t, 2));
	}
}

static void calls_that_are_throttled_often_do_not_hold_the_application(void **state)
{
	struct throttle t = make();

	(void)state;
	one_in(&t, 4, 1000);
	assert_int_equal(one_in(&t, 4, 100000), 0);
	assert_in_range(row_needed(&t), 8, 12);
}

static void the_applications_rows_do_not_count_as_calls_that_are_throttled_often(void **state)
{
	struct throttle t = make();

	(void)state;
	pass(&t, 1000);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(row_needed(&t), 3);
}

static void a_bad_time_is_forgotten(void **state)
{
	struct throttle t = make();

	(void)state;
	one_in(&t, 4, 1000);
	pass(&t, 1500);
	assert_int_equal(row_needed(&t), 3);
}

static void much_throttling_is_the_application_whatever_the_reason(void **state)
{
	struct throttle t = make();

	(void)state;
	assert_in_range(one_in(&t, 1, 1000), 50, 400);
	one_in(&t, 2, 1000);
	assert_in_range(row_needed(&t), 10, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_calls_in_a_row_are_the_application_where_throttling_is_rare),
		cmocka_unit_test(what_passes_between_ends_the_row),
		cmocka_unit_test(one_or_two_calls_are_never_the_application),
		cmocka_unit_test(calls_that_are_throttled_often_do_not_hold_the_application),
		cmocka_unit_test(
		    the_applications_rows_do_not_count_as_calls_that_are_throttled_often),
		cmocka_unit_test(a_bad_time_is_forgotten),
		cmocka_unit_test(much_throttling_is_the_application_whatever_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
