/* Backoff and Retry-After. */
#include "worker/core/retry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOON INT64_C(1769860800000000) /* Sat, 31 Jan 2026 12:00:00 GMT */

static void backs_off_twice_as_long_each_time_up_to_the_cap(void **state)
{
	static const int64_t expected_ms[] = { 1000, 2000, 4000, 8000, 10000, 10000, 10000 };
	struct random r;

	(void)state;
	random_init(&r, 1);
	for (unsigned i = 0; i < 7; i++) {
		for (unsigned j = 0; j < 100; j++) {
			int64_t ms = duration_to_ms(
			    retry_backoff(duration_ms(1000), duration_ms(10000), i + 1, &r));

			assert_in_range(ms, expected_ms[i] * 3 / 4, expected_ms[i]);
		}
	}
	assert_in_range(retry_backoff(duration_ms(1), duration_ms(60000), 4000000000U, &r).us,
	                45000000, 60000000);
}

static void jitter_differs_from_one_to_the_next(void **state)
{
	struct random r;
	int64_t first;

	(void)state;
	random_init(&r, 1);
	first = retry_backoff(duration_ms(1000), duration_ms(10000), 1, &r).us;
	assert_true(first != retry_backoff(duration_ms(1000), duration_ms(10000), 1, &r).us);
}

static void reads_every_form_of_retry_after(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {
		{ "0", 0 },
		{ "10", 10000000 },
		{ "2.128", 2128000 },
		{ "2.", 2000000 },
		{ "0.0000001", 1 },
		{ "1.0000001", 1000001 },
		{ "1.00000011111", 1000001 },
		{ "1.9999999", 2000000 },
		{ "1.0000000", 1000000 },
		{ "99999999999999999999999", INT64_C(1000000000000000) },
		{ "Sat, 31 Jan 2026 12:00:07 GMT", 7000000 },
		{ "Saturday, 31-Jan-26 12:00:07 GMT", 7000000 },
		{ "Sat Jan 31 12:00:07 2026", 7000000 },
		{ "Sat, 31 Jan 2026 11:00:00 GMT", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		duration_t d = { -1 };

		assert_true(retry_after_parse(rows[i].text, (wall_t){ NOON }, &d));
		assert_int_equal(d.us, rows[i].us);
	}
}

static void refuses_what_is_no_retry_after(void **state)
{
	static const char *const texts[] = { "", "-1", ".5", "1s", "1e3", "soon", "1.2.3", "+1" };
	duration_t d;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(retry_after_parse(texts[i], (wall_t){ NOON }, &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backs_off_twice_as_long_each_time_up_to_the_cap),
		cmocka_unit_test(jitter_differs_from_one_to_the_next),
		cmocka_unit_test(reads_every_form_of_retry_after),
		cmocka_unit_test(refuses_what_is_no_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
