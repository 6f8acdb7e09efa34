/* The circuit breaker. */
#include "worker/core/breaker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define S INT64_C(1000000)

struct fixture {
	struct breaker breaker;
	struct random random;
	instant_t now;
	uint64_t call; /* Each answer is of another one */
};

/* An answer that comes now. */
static bool note(struct fixture *f, instant_t sent, enum health health)
{
	const struct breaker_answer answer = { sent, f->now, health, f->call++ };

	return breaker_note(&f->breaker, &answer, &f->random);
}

static int setup(void **state)
{
	static struct fixture f;
	const struct breaker_policy policy = { .row = 10,
		                               .base = duration_ms(1000),
		                               .cap = duration_ms(16000) };

	f.now = (instant_t){ 5 * S };
	random_init(&f.random, 1);
	breaker_init(&f.breaker, &policy, f.now);
	*state = &f;
	return 0;
}

/* So many answers to requests that were sent a moment before. */
static void answer(struct fixture *f, unsigned n, enum health health)
{
	for (unsigned i = 0; i < n; i++) {
		instant_t sent = f->now;

		f->now.us += 1000;
		note(f, sent, health);
	}
}

/* Wait for the end of the pause. */
static duration_t pause_of(struct fixture *f)
{
	instant_t began = f->now;

	assert_int_equal(f->breaker.state, BREAKER_OPEN);
	f->now = f->breaker.until;
	assert_false(breaker_tick(&f->breaker, (instant_t){ f->now.us - 1 }));
	assert_true(breaker_tick(&f->breaker, f->now));
	assert_int_equal(f->breaker.state, BREAKER_PROBING);
	return instant_since(f->now, began);
}

static void a_row_of_ill_answers_opens_it(void **state)
{
	struct fixture *f = *state;

	answer(f, 9, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
	answer(f, 1, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_OPEN);
}

static void a_good_answer_ends_the_row(void **state)
{
	struct fixture *f = *state;

	answer(f, 9, HEALTH_ILL);
	answer(f, 1, HEALTH_WELL);
	answer(f, 9, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
}

static void half_of_the_last_answers_open_it_too(void **state)
{
	struct fixture *f = *state;

	answer(f, 100, HEALTH_WELL);
	for (unsigned i = 0; i < 31; i++) {
		answer(f, 1, HEALTH_ILL);
		answer(f, 1, HEALTH_WELL);
	}
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
	answer(f, 1, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_OPEN);
}

/* It may be ill by itself, and backs off by itself. */
static void two_calls_alone_never_open_it(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 1000; i++) {
		f->call = i % 2;
		answer(f, 1, HEALTH_ILL);
	}
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
	for (unsigned i = 0; i < 10; i++) {
		f->call = i % 3;
		answer(f, 1, HEALTH_ILL);
	}
	assert_int_equal(f->breaker.state, BREAKER_OPEN);
}

static void one_ill_answer_of_three_never_opens_it(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 10000; i++) {
		answer(f, 1, HEALTH_ILL);
		answer(f, 2, HEALTH_WELL);
	}
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
}

static void what_was_not_asked_counts_for_nothing(void **state)
{
	struct fixture *f = *state;

	answer(f, 9, HEALTH_ILL);
	answer(f, 100, HEALTH_NONE);
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
	answer(f, 1, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_OPEN);
	pause_of(f);
	answer(f, 1, HEALTH_NONE);
	assert_int_equal(f->breaker.state, BREAKER_PROBING);
}

static void it_lets_all_go_then_none_then_one(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(breaker_allows(&f->breaker, 256), 256);
	answer(f, 10, HEALTH_ILL);
	assert_int_equal(breaker_allows(&f->breaker, 256), 0);
	pause_of(f);
	assert_int_equal(breaker_allows(&f->breaker, 256), 1);
	answer(f, 1, HEALTH_WELL);
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
	assert_int_equal(breaker_allows(&f->breaker, 256), 256);
}

static void pauses_double_up_to_their_cap_and_differ_a_little(void **state)
{
	static const int64_t longest[] = { 1000, 2000, 4000, 8000, 16000, 16000, 16000 };
	struct fixture *f = *state;
	int64_t last = 0;

	answer(f, 10, HEALTH_ILL);
	for (unsigned i = 0; i < 7; i++) {
		int64_t ms = duration_to_ms(pause_of(f));

		assert_in_range(ms, longest[i] * 3 / 4, longest[i]);
		assert_true(i < 5 || ms != last);
		last = ms;
		answer(f, 1, HEALTH_ILL);
	}
}

static void a_service_that_was_well_for_long_is_paused_for_shortly_again(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		answer(f, 10, HEALTH_ILL);
		assert_in_range(duration_to_ms(pause_of(f)), 750, 1000);
		answer(f, 1, HEALTH_WELL);
		answer(f, 10, HEALTH_WELL);
	}
}

static void a_service_that_is_well_for_a_moment_only_is_paused_for_longer(void **state)
{
	struct fixture *f = *state;

	answer(f, 10, HEALTH_ILL);
	pause_of(f);
	answer(f, 1, HEALTH_WELL);
	answer(f, 5, HEALTH_WELL);
	answer(f, 10, HEALTH_ILL);
	assert_in_range(duration_to_ms(pause_of(f)), 1500, 2000);
}

static void answers_to_what_was_sent_before_change_nothing(void **state)
{
	struct fixture *f = *state;
	instant_t before = f->now;

	answer(f, 10, HEALTH_ILL);
	f->now.us += 1;
	assert_false(note(f, before, HEALTH_WELL));
	pause_of(f);
	assert_false(note(f, before, HEALTH_ILL));
	assert_false(note(f, before, HEALTH_WELL));
	assert_int_equal(f->breaker.state, BREAKER_PROBING);
	answer(f, 1, HEALTH_WELL);
	for (unsigned i = 0; i < 100; i++)
		assert_false(note(f, before, HEALTH_ILL));
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
}

static void it_counts_how_long_it_was_not_closed(void **state)
{
	struct fixture *f = *state;
	instant_t opened;

	assert_int_equal(breaker_ill_time(&f->breaker, f->now).us, 0);
	answer(f, 10, HEALTH_ILL);
	opened = f->now;
	f->now.us += 300;
	assert_int_equal(breaker_ill_time(&f->breaker, f->now).us, 300);
	pause_of(f);
	answer(f, 1, HEALTH_WELL);
	assert_int_equal(breaker_ill_time(&f->breaker, f->now).us, f->now.us - opened.us);
	assert_int_equal(breaker_ill_time(&f->breaker, (instant_t){ f->now.us + S }).us,
	                 f->now.us - opened.us);
}

static void a_row_of_0_never_opens_it(void **state)
{
	struct fixture *f = *state;
	const struct breaker_policy policy = { .row = 0 };

	breaker_init(&f->breaker, &policy, f->now);
	answer(f, 1000, HEALTH_ILL);
	assert_int_equal(f->breaker.state, BREAKER_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_row_of_ill_answers_opens_it, setup),
		cmocka_unit_test_setup(a_good_answer_ends_the_row, setup),
		cmocka_unit_test_setup(half_of_the_last_answers_open_it_too, setup),
		cmocka_unit_test_setup(two_calls_alone_never_open_it, setup),
		cmocka_unit_test_setup(one_ill_answer_of_three_never_opens_it, setup),
		cmocka_unit_test_setup(what_was_not_asked_counts_for_nothing, setup),
		cmocka_unit_test_setup(it_lets_all_go_then_none_then_one, setup),
		cmocka_unit_test_setup(pauses_double_up_to_their_cap_and_differ_a_little, setup),
		cmocka_unit_test_setup(a_service_that_was_well_for_long_is_paused_for_shortly_again,
		                       setup),
		cmocka_unit_test_setup(
		    a_service_that_is_well_for_a_moment_only_is_paused_for_longer, setup),
		cmocka_unit_test_setup(answers_to_what_was_sent_before_change_nothing, setup),
		cmocka_unit_test_setup(it_counts_how_long_it_was_not_closed, setup),
		cmocka_unit_test_setup(a_row_of_0_never_opens_it, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
