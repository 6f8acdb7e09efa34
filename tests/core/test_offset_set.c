/* Sets of offsets, and their text. */
#include "core/failing_memory.h"
#include "worker/base/random.h"
#include "worker/core/offset_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROOM (64 * 1024)

/* All before 'base', and ranges of pairs of numbers. */
static struct offset_set set_of(int64_t base, size_t n, const int64_t *pairs)
{
	struct offset_set s;

	offset_set_init(&s);
	assert_true(offset_set_add(&s, 0, base));
	for (size_t i = 0; i < n; i++)
		assert_true(offset_set_add(&s, pairs[2 * i], pairs[2 * i + 1]));
	return s;
}

static void assert_text(const struct offset_set *s, const char *expected)
{
	struct buffer text;

	buffer_init(&text, ROOM);
	assert_true(offset_set_encode(s, &text));
	assert_string_equal(buffer_bytes(&text).data, expected);
	buffer_close(&text);
}

static void knows_what_is_in_it(void **state)
{
	static const int64_t pairs[] = { 12, 15, 20, 21 };
	struct offset_set s = set_of(10, 2, pairs);

	(void)state;
	for (int64_t i = 0; i < 30; i++)
		assert_int_equal(offset_set_has(&s, i), i < 10 || (i >= 12 && i < 15) || i == 20);
	offset_set_close(&s);
	assert_false(offset_set_has(&s, 0));
	s = set_of(0, 1, pairs);
	assert_false(offset_set_has(&s, 0));
	assert_true(offset_set_has(&s, 12));
	offset_set_close(&s);
}

static void joins_ranges_that_touch(void **state)
{
	static const int64_t pairs[] = { 10, 12, 11, 15, 17, 17, 17, 18 };
	struct offset_set s = set_of(10, 4, pairs);

	(void)state;
	assert_int_equal(s.n, 2);
	assert_int_equal(s.ranges[0].to, 15);
	assert_int_equal(s.ranges[1].from, 17);
	offset_set_close(&s);
}

static void is_written_as_distances_and_lengths(void **state)
{
	static const int64_t pairs[] = { 112, 115, 120, 121 };
	struct offset_set s = set_of(100, 2, pairs);

	(void)state;
	assert_text(&s, "1:12+3,5+1");
	s.n = 1;
	assert_text(&s, "1:");
	offset_set_close(&s);
}

static void what_was_written_is_read_again(void **state)
{
	struct random random;

	(void)state;
	random_init(&random, 7);
	for (unsigned round = 0; round < 200; round++) {
		int64_t at = 1 + (int64_t)random_below(&random, 1000000000);
		struct offset_set s = set_of(at, 0, NULL), again;
		struct buffer text;

		for (uint64_t n = random_below(&random, 200); n > 0; n--) {
			int64_t from = at + 1 + (int64_t)random_below(&random, 2000);

			at = from + 1 + (int64_t)random_below(&random, 2000);
			assert_true(offset_set_add(&s, from, at));
		}
		buffer_init(&text, ROOM);
		assert_true(offset_set_encode(&s, &text));
		offset_set_init(&again);
		assert_true(offset_set_decode(buffer_bytes(&text), s.ranges[0].to, &again));
		assert_int_equal(again.n, s.n);
		assert_memory_equal(again.ranges, s.ranges, s.n * sizeof(*s.ranges));
		offset_set_close(&again);
		offset_set_close(&s);
		buffer_close(&text);
	}
}

/* Nothing was done from the beginning on, but something behind it. */
static void nothing_before_the_first_range_is_possible_too(void **state)
{
	struct offset_set s;

	(void)state;
	offset_set_init(&s);
	assert_true(offset_set_decode(bytes_of("1:5+2,3+1"), 0, &s));
	assert_false(offset_set_has(&s, 0));
	assert_false(offset_set_has(&s, 4));
	assert_true(offset_set_has(&s, 5) && offset_set_has(&s, 6) && offset_set_has(&s, 10));
	assert_text(&s, "1:5+2,3+1");
	offset_set_close(&s);
}

static void other_texts_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"1",
		"2:",
		"1:x",
		"1:1",
		"1:1+",
		"1:+1",
		"1:0+1",
		"1:1+0",
		"1:-1+1",
		"1:1+1,",
		"1:1+1,2",
		"1:1+1;2+1",
		"1: 1+1",
		"1:9999999999999999999+1",
		"1:1+9999999999999999999",
		"1:4611686018427387903+4611686018427387903",
	};
	struct offset_set s;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		offset_set_init(&s);
		if (offset_set_decode(bytes_of(texts[i]), 5, &s))
			fail_msg("\"%s\" is read", texts[i]);
		offset_set_close(&s);
	}
	assert_false(offset_set_decode(bytes_of("1:"), -1, &s));
}

static void what_is_too_long_is_coarsened_from_the_front(void **state)
{
	struct offset_set s = set_of(10, 0, NULL);
	struct buffer text;
	int64_t gaps;

	(void)state;
	for (int64_t i = 0; i < 2000; i++)
		assert_true(offset_set_add(&s, 12 + 2 * i, 13 + 2 * i));
	buffer_init(&text, ROOM);
	assert_false(offset_set_encode(&s, &text));
	buffer_clear(&text);
	gaps = offset_set_coarsen(&s);
	assert_true(offset_set_encode(&s, &text));
	assert_in_range(text.size, OFFSET_SET_TEXT_MAX - 4, OFFSET_SET_TEXT_MAX);
	assert_int_equal(s.ranges[0].from, 0);
	assert_int_equal(s.ranges[0].to, 9 + 2 * gaps);
	assert_int_equal(s.ranges[s.n - 1].to, 13 + 2 * 1999);
	buffer_close(&text);
	offset_set_close(&s);
}

/* 1500 ranges whose distances and lengths have about as many digits as 'unit'. */
static struct offset_set many_ranges(int64_t unit)
{
	struct offset_set s = set_of(10, 0, NULL);
	int64_t at = 10;

	for (int64_t i = 0; i < 1500; i++) {
		int64_t from = at + unit * (i % 13) + 1;

		at = from + unit * (i % 7 + 1);
		assert_true(offset_set_add(&s, from, at));
	}
	return s;
}

static bool is_short_enough(const struct offset_set *s)
{
	struct buffer text;
	bool result;

	buffer_init(&text, ROOM);
	result = offset_set_encode(s, &text);
	buffer_close(&text);
	return result;
}

static void no_more_is_joined_than_must_be(void **state)
{
	(void)state;
	for (int64_t unit = 1; unit < 1000000; unit = 3 * unit + 1) {
		struct offset_set all = many_ranges(unit), s = many_ranges(unit);
		struct offset_set one_more;
		size_t joined;

		assert_true(offset_set_coarsen(&s) > 0);
		assert_true(is_short_enough(&s));
		joined = all.n - s.n;
		assert_int_equal(s.ranges[0].to, all.ranges[joined].to);
		one_more = set_of(all.ranges[joined - 1].to, 0, NULL);
		for (size_t i = joined; i < all.n; i++)
			assert_true(
			    offset_set_add(&one_more, all.ranges[i].from, all.ranges[i].to));
		assert_false(is_short_enough(&one_more));
		assert_int_equal(offset_set_coarsen(&s), 0);
		offset_set_close(&one_more);
		offset_set_close(&all);
		offset_set_close(&s);
	}
}

static void says_when_there_is_no_memory(void **state)
{
	struct offset_set s;

	(void)state;
	offset_set_init(&s);
	failing_memory_set(0);
	assert_false(offset_set_add(&s, 0, 1));
	failing_memory_set(-1);
	assert_true(offset_set_add(&s, 0, 1));
	offset_set_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_is_in_it),
		cmocka_unit_test(joins_ranges_that_touch),
		cmocka_unit_test(is_written_as_distances_and_lengths),
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(nothing_before_the_first_range_is_possible_too),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(what_is_too_long_is_coarsened_from_the_front),
		cmocka_unit_test(no_more_is_joined_than_must_be),
		cmocka_unit_test(says_when_there_is_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
