/* How many requests a service may have at once, against services of several kinds. */
#include "worker/core/concurrency.h"

#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LEAST 8
#define MOST  256
#define MS    INT64_C(1000)
#define S     (1000 * MS)

/* A service that is always given as many requests as may be in flight. */
struct service {
	struct concurrency concurrency;
	struct random random;
	instant_t now;
	struct {
		instant_t sent, done;
		bool is_ill;
	} requests[MOST];
	uint32_t n;
	int64_t takes_us;    /* Every request */
	int64_t each_us;     /* And one after another so long; 0: all at once */
	unsigned ill_of_100; /* Answers that are ill */
	unsigned slow_of_100;
	int64_t slow_us;
	instant_t free_at; /* When the last one is through, one after another */
	uint64_t n_answers;
};

static void open_service(struct service *s, int64_t takes_us)
{
	memset(s, 0, sizeof(*s));
	s->now = (instant_t){ S };
	s->takes_us = takes_us;
	random_init(&s->random, 1);
	concurrency_init(&s->concurrency, LEAST, MOST, s->now);
}

static void send_one(struct service *s)
{
	int64_t takes_us = s->takes_us + (int64_t)random_below(&s->random, 1 * MS);

	if (random_below(&s->random, 100) < s->slow_of_100)
		takes_us = s->slow_us;
	s->free_at = instant_add(instant_max(s->free_at, s->now), (duration_t){ s->each_us });
	s->requests[s->n].sent = s->now;
	s->requests[s->n].done = instant_add(s->free_at, (duration_t){ takes_us });
	s->requests[s->n].is_ill = random_below(&s->random, 100) < s->ill_of_100;
	s->n++;
}

static uint32_t next_done(const struct service *s)
{
	uint32_t first = 0;

	for (uint32_t i = 1; i < s->n; i++)
		if (instant_before(s->requests[i].done, s->requests[first].done))
			first = i;
	return first;
}

/* Let it serve for so long. */
static void serve(struct service *s, int64_t us)
{
	instant_t end = instant_add(s->now, (duration_t){ us });

	for (;;) {
		struct concurrency_answer answer = { .is_accepted = true };
		uint32_t i;

		while (s->n < s->concurrency.limit)
			send_one(s);
		i = next_done(s);
		if (!instant_before(s->requests[i].done, end))
			break;
		s->now = instant_max(s->now, s->requests[i].done);
		answer.sent = s->requests[i].sent;
		answer.now = s->now;
		answer.in_flight = s->n;
		answer.health = s->requests[i].is_ill ? HEALTH_ILL : HEALTH_WELL;
		answer.is_accepted = !s->requests[i].is_ill;
		s->requests[i] = s->requests[--s->n];
		s->n_answers++;
		concurrency_note(&s->concurrency, &answer);
	}
	s->now = end;
}

/* Requests a second during the next ten seconds. */
static uint64_t rate_of(struct service *s)
{
	uint64_t before = s->n_answers;

	serve(s, 10 * S);
	return (s->n_answers - before) / 10;
}

static void a_healthy_service_always_has_the_most(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	for (unsigned i = 0; i < 100; i++) {
		serve(&s, 100 * MS);
		assert_int_equal(s.concurrency.limit, MOST);
	}
	assert_in_range(s.n_answers, 256 * 10000 / 21, 256 * 10000 / 20);
}

static void one_ill_answer_of_ten_costs_nothing(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	s.ill_of_100 = 10;
	for (unsigned i = 0; i < 100; i++) {
		serve(&s, 100 * MS);
		assert_int_equal(s.concurrency.limit, MOST);
	}
}

/* Where few are in flight rounds are short, and chance has more to say. */
static void few_ill_answers_cost_nothing_with_few_in_flight(void **state)
{
	struct concurrency c;
	struct random random;
	instant_t now = { S };

	(void)state;
	random_init(&random, 1);
	concurrency_init(&c, 2, MOST, now);
	for (unsigned i = 0; i < 20000; i++) {
		bool is_ill = random_below(&random, 100) < 4;
		struct concurrency_answer answer = {
			.sent = now,
			.now = { now.us + 20 * MS },
			.health = is_ill ? HEALTH_ILL : HEALTH_WELL,
			.is_accepted = !is_ill,
			.in_flight = 10,
		};

		concurrency_note(&c, &answer);
		now = answer.now;
		assert_true(c.limit >= 2 * 10);
	}
}

static void one_slow_answer_of_ten_costs_nothing(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	s.slow_of_100 = 10;
	s.slow_us = 3 * S;
	for (unsigned i = 0; i < 300; i++) {
		serve(&s, 100 * MS);
		assert_int_equal(s.concurrency.limit, MOST);
	}
}

static void a_short_stall_of_a_busy_machine_costs_nothing(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	s.takes_us = 110 * MS;
	serve(&s, 5 * S);
	assert_int_equal(s.concurrency.limit, MOST);
}

static void a_service_that_gets_slow_soon_has_the_least(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	s.takes_us = 500 * MS;
	serve(&s, 3 * S);
	assert_in_range(s.concurrency.limit, LEAST, MOST / 8);
	serve(&s, 3 * S);
	assert_int_equal(s.concurrency.limit, LEAST);
}

static void a_service_that_is_fast_again_has_the_most_within_a_second(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	s.takes_us = 500 * MS;
	serve(&s, 10 * S);
	assert_int_equal(s.concurrency.limit, LEAST);
	s.takes_us = 20 * MS;
	serve(&s, 500 * MS);
	serve(&s, 1 * S);
	assert_int_equal(s.concurrency.limit, MOST);
}

/* It is slow whatever we do, so that fewer requests would only be fewer. */
static void a_service_that_stays_slow_has_the_most_again_in_the_end(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	s.takes_us = 500 * MS;
	serve(&s, 60 * S);
	assert_int_equal(s.concurrency.limit, LEAST);
	serve(&s, 600 * S);
	assert_int_equal(s.concurrency.limit, MOST);
}

static void a_failing_service_has_the_least(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	s.ill_of_100 = 60;
	serve(&s, 1 * S);
	assert_int_equal(s.concurrency.limit, LEAST);
	s.ill_of_100 = 0;
	serve(&s, 1 * S);
	assert_int_equal(s.concurrency.limit, MOST);
}

/* 500 requests a second is all it can: more in flight than 25 only wait. */
static void a_service_with_a_queue_is_used_in_full_and_its_queue_stays_short(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 50 * MS);
	serve(&s, 5 * S);
	s.each_us = 2 * MS;
	serve(&s, 30 * S);
	for (unsigned i = 0; i < 30; i++) {
		assert_in_range(rate_of(&s), 490, 500);
		assert_in_range(s.concurrency.limit, 25, 100);
	}
}

/* What an hour behind a queue took is not taken for usual. */
static void a_queue_of_our_own_never_counts_as_usual(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 50 * MS);
	serve(&s, 5 * S);
	s.each_us = 2 * MS;
	serve(&s, 3600 * S);
	assert_in_range(s.concurrency.usual_us, 50 * MS, 60 * MS);
}

static void a_row_of_failures_with_few_in_flight_counts_from_these(void **state)
{
	struct concurrency c;
	instant_t now = { S };

	(void)state;
	concurrency_init(&c, 2, MOST, now);
	for (unsigned i = 0; i < 10; i++) {
		struct concurrency_answer answer = {
			.sent = now, .now = { now.us + 1 * S }, .health = HEALTH_ILL, .in_flight = 8
		};

		assert_int_equal(concurrency_note(&c, &answer), i == 9);
		now = answer.now;
	}
	assert_int_equal(c.limit, 4);
}

/* They were sent when the limit was higher, and have had their effect. */
static void answers_to_what_was_sent_before_it_shrank_do_not_shrink_it_again(void **state)
{
	struct concurrency c;

	(void)state;
	concurrency_init(&c, LEAST, MOST, (instant_t){ 0 });
	for (unsigned i = 0; i < MOST; i++) {
		struct concurrency_answer answer = { .now = { 10 * S + i },
			                             .health = HEALTH_ILL,
			                             .in_flight = MOST - i };

		concurrency_note(&c, &answer);
	}
	assert_int_equal(c.limit, MOST / 2);
}

static void what_was_not_asked_counts_for_nothing(void **state)
{
	struct concurrency c;

	(void)state;
	concurrency_init(&c, LEAST, MOST, (instant_t){ 0 });
	for (unsigned i = 0; i < 1000; i++) {
		struct concurrency_answer answer = { .now = { S }, .in_flight = 1 };

		assert_false(concurrency_note(&c, &answer));
	}
	assert_int_equal(c.limit, MOST);
}

static void a_service_that_was_away_begins_with_the_least(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	serve(&s, 5 * S);
	concurrency_restart(&s.concurrency, s.now);
	assert_int_equal(s.concurrency.limit, LEAST);
	serve(&s, 1 * S);
	assert_int_equal(s.concurrency.limit, MOST);
}

static void equal_bounds_are_a_fixed_limit(void **state)
{
	struct service s;

	(void)state;
	open_service(&s, 20 * MS);
	concurrency_init(&s.concurrency, 16, 16, s.now);
	serve(&s, 1 * S);
	s.takes_us = 2 * S;
	s.ill_of_100 = 50;
	serve(&s, 60 * S);
	assert_int_equal(s.concurrency.limit, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_service_always_has_the_most),
		cmocka_unit_test(one_ill_answer_of_ten_costs_nothing),
		cmocka_unit_test(few_ill_answers_cost_nothing_with_few_in_flight),
		cmocka_unit_test(one_slow_answer_of_ten_costs_nothing),
		cmocka_unit_test(a_short_stall_of_a_busy_machine_costs_nothing),
		cmocka_unit_test(a_service_that_gets_slow_soon_has_the_least),
		cmocka_unit_test(a_service_that_is_fast_again_has_the_most_within_a_second),
		cmocka_unit_test(a_service_that_stays_slow_has_the_most_again_in_the_end),
		cmocka_unit_test(a_failing_service_has_the_least),
		cmocka_unit_test(a_service_with_a_queue_is_used_in_full_and_its_queue_stays_short),
		cmocka_unit_test(a_queue_of_our_own_never_counts_as_usual),
		cmocka_unit_test(a_row_of_failures_with_few_in_flight_counts_from_these),
		cmocka_unit_test(answers_to_what_was_sent_before_it_shrank_do_not_shrink_it_again),
		cmocka_unit_test(what_was_not_asked_counts_for_nothing),
		cmocka_unit_test(a_service_that_was_away_begins_with_the_least),
		cmocka_unit_test(equal_bounds_are_a_fixed_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
