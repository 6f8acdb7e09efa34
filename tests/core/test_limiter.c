/* Token buckets. */
#include "worker/core/limiter.h"

#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void never_lets_more_go_than_burst_and_rate_allow(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct random r;
		struct limiter_rate rate;
		struct limiter l;
		instant_t start = { 12345 }, now = start;
		double per_second, most;
		uint32_t burst;
		unsigned taken = 0;

		random_init(&r, seed);
		per_second = 0.1 + (double)random_below(&r, 3000) / 10;
		burst = 1 + (uint32_t)random_below(&r, 20);
		rate = limiter_rate_of(per_second, burst);
		limiter_init(&l, &rate, burst, now);
		for (unsigned i = 0; i < 300; i++) {
			now.us += (int64_t)random_below(&r, (uint64_t)(2e6 / per_second));
			taken += limiter_take(&l, &rate, now);
			most = burst + per_second * ((double)(now.us - start.us) / 1e6 + 0.005);
			assert_true(taken <= most + 1e-9);
		}
	}
}

static void is_ready_exactly_when_it_says(void **state)
{
	struct random r;
	struct limiter_rate rate;
	struct limiter l;
	instant_t now = { 0 };

	(void)state;
	random_init(&r, 1);
	rate = limiter_rate_of(7, 3);
	limiter_init(&l, &rate, 0, now);
	for (unsigned i = 0; i < 1000; i++) {
		instant_t at = limiter_ready_at(&l, &rate, now);

		if (instant_before(now, at)) {
			assert_false(limiter_take(&l, &rate, (instant_t){ at.us - 1 }));
			now = at;
		}
		assert_true(limiter_take(&l, &rate, now));
		now.us += (int64_t)random_below(&r, 300000);
	}
}

static void is_full_exactly_when_it_says(void **state)
{
	struct limiter_rate rate;
	struct limiter l, early;
	instant_t full;

	(void)state;
	rate = limiter_rate_of(7, 3);
	limiter_init(&l, &rate, 0, (instant_t){ 0 });
	full = limiter_full_at(&l, &rate, (instant_t){ 0 });
	assert_int_equal(full.us, 428572);
	early = l;
	for (unsigned i = 0; i < 3; i++)
		assert_true(limiter_take(&l, &rate, full));
	assert_false(limiter_take(&l, &rate, full));
	full.us--;
	for (unsigned i = 0; i < 2; i++)
		assert_true(limiter_take(&early, &rate, full));
	assert_false(limiter_take(&early, &rate, full));
	limiter_init(&l, &rate, 3, (instant_t){ 0 });
	assert_int_equal(limiter_full_at(&l, &rate, (instant_t){ 5 }).us, 5);
}

static void late_timers_cost_no_rate(void **state)
{
	struct random r;
	struct limiter_rate rate;
	struct limiter l;
	instant_t now = { 0 };

	(void)state;
	random_init(&r, 1);
	rate = limiter_rate_of(10, 1);
	limiter_init(&l, &rate, 1, now);
	for (unsigned i = 0; i < 1000; i++) {
		now = instant_max(now, limiter_ready_at(&l, &rate, now));
		now.us += (int64_t)random_below(&r, 3001);
		assert_true(limiter_take(&l, &rate, now));
	}
	assert_in_range(now.us, 999 * 100000 - 5000, 999 * 100000 + 3000);
}

static void a_rate_with_no_whole_interval_does_not_drift(void **state)
{
	struct limiter_rate rate;
	struct limiter l;
	instant_t now = { 0 };

	(void)state;
	rate = limiter_rate_of(3000, 1);
	limiter_init(&l, &rate, 1, now);
	for (unsigned i = 0; i < 30000; i++) {
		now = limiter_ready_at(&l, &rate, now);
		assert_true(limiter_take(&l, &rate, now));
	}
	assert_in_range(now.us, 9999666 - 30, 9999666 + 30);
}

static void retuning_keeps_the_tokens_that_fit(void **state)
{
	struct limiter_rate rate, next;
	struct limiter l;
	instant_t now = { 0 };

	(void)state;
	rate = limiter_rate_of(10, 5);
	limiter_init(&l, &rate, 5, now);
	next = limiter_rate_of(20, 3);
	limiter_retune(&l, &rate, &next, now);
	rate = next;
	for (unsigned i = 0; i < 3; i++)
		assert_true(limiter_take(&l, &rate, now));
	assert_false(limiter_take(&l, &rate, now));
	next = limiter_rate_of(1, 10);
	limiter_retune(&l, &rate, &next, now);
	rate = next;
	assert_false(limiter_take(&l, &rate, now));
	assert_int_equal(limiter_ready_at(&l, &rate, now).us, 1000000);
}

/* Requests wait for their marks for a while; the times at which they leave are what counts. */
static void requests_that_wait_for_their_mark_never_exceed_the_rate_when_they_leave(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct random r;
		struct limiter_rate rate;
		struct limiter l;
		instant_t now = { 777 };
		int64_t room_us = 5000; /* Of a strict bucket of what is sent, and the slack */
		uint32_t burst;

		random_init(&r, seed);
		burst = 1 + (uint32_t)random_below(&r, 4);
		rate = limiter_rate_of(10, burst);
		limiter_init(&l, &rate, burst, now);
		room_us += burst * INT64_C(100000);
		for (unsigned i = 0; i < 500; i++) {
			int64_t pause_us = (int64_t)random_below(&r, 150000);

			now.us += pause_us;
			room_us += pause_us;
			if (room_us > burst * INT64_C(100000) + 5000)
				room_us = burst * INT64_C(100000) + 5000;
			if (l.reserved > 0 && random_below(&r, 2) == 0) {
				limiter_spend(&l, &rate, now);
				room_us -= 100000;
			} else if (l.reserved > 0 && random_below(&r, 8) == 0) {
				limiter_return(&l);
			} else {
				(void)limiter_reserve(&l, &rate, now);
			}
			assert_true(room_us >= 0);
		}
	}
}

static void a_bucket_whose_tokens_are_all_reserved_is_never_ready(void **state)
{
	struct limiter_rate rate;
	struct limiter l;
	instant_t later = { INT64_C(60000000) };

	(void)state;
	rate = limiter_rate_of(10, 2);
	limiter_init(&l, &rate, 2, (instant_t){ 0 });
	assert_true(limiter_reserve(&l, &rate, (instant_t){ 0 }));
	assert_true(limiter_reserve(&l, &rate, (instant_t){ 0 }));
	assert_false(limiter_reserve(&l, &rate, later));
	assert_true(instant_is_never(limiter_ready_at(&l, &rate, later)));
	limiter_return(&l);
	assert_true(limiter_reserve(&l, &rate, later));
	limiter_spend(&l, &rate, later);
	assert_int_equal(limiter_ready_at(&l, &rate, later).us, later.us + 95000);
}

static void an_idle_age_does_not_overflow(void **state)
{
	struct limiter_rate rate;
	struct limiter l;

	(void)state;
	rate = limiter_rate_of(0.001, 1000000);
	limiter_init(&l, &rate, 0, (instant_t){ 0 });
	assert_true(limiter_take(&l, &rate, (instant_t){ INT64_MAX / 2 }));
	assert_int_equal(limiter_ready_at(&l, &rate, (instant_t){ INT64_MAX / 2 }).us,
	                 INT64_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_lets_more_go_than_burst_and_rate_allow),
		cmocka_unit_test(is_ready_exactly_when_it_says),
		cmocka_unit_test(is_full_exactly_when_it_says),
		cmocka_unit_test(late_timers_cost_no_rate),
		cmocka_unit_test(a_rate_with_no_whole_interval_does_not_drift),
		cmocka_unit_test(retuning_keeps_the_tokens_that_fit),
		cmocka_unit_test(
		    requests_that_wait_for_their_mark_never_exceed_the_rate_when_they_leave),
		cmocka_unit_test(a_bucket_whose_tokens_are_all_reserved_is_never_ready),
		cmocka_unit_test(an_idle_age_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
