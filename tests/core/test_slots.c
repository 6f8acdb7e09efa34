/* Ids with generations, and the seeded generator. */
#include "worker/base/slots.h"

#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void an_id_outlives_its_object_and_finds_nothing(void **state)
{
	struct slots s;
	uint64_t first, second;
	int a, b;

	(void)state;
	slots_init(&s);
	assert_null(slots_find(&s, SLOTS_NONE));
	first = slots_put(&s, &a);
	slots_remove(&s, first);
	second = slots_put(&s, &b);
	assert_int_equal(slots_index(first), slots_index(second));
	assert_true(first != second);
	assert_null(slots_find(&s, first));
	assert_ptr_equal(slots_find(&s, second), &b);
	slots_close(&s);
}

static void any_number_of_objects_keep_their_ids(void **state)
{
	static int objects[1000];
	uint64_t ids[1000];
	struct slots s;

	(void)state;
	slots_init(&s);
	for (size_t i = 0; i < 1000; i++)
		ids[i] = slots_put(&s, &objects[i]);
	for (size_t i = 0; i < 1000; i += 2)
		slots_remove(&s, ids[i]);
	assert_int_equal(s.used, 500);
	for (size_t i = 0; i < 1000; i++)
		assert_ptr_equal(slots_find(&s, ids[i]), i % 2 ? &objects[i] : NULL);
	assert_null(slots_find(&s, UINT64_MAX));
	slots_close(&s);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
	struct random a, b;

	(void)state;
	random_init(&a, 42);
	random_init(&b, 42);
	for (unsigned i = 0; i < 100; i++)
		assert_true(random_next(&a) == random_next(&b));
	random_init(&b, 43);
	assert_true(random_next(&a) != random_next(&b));
}

static void numbers_stay_below_their_bound(void **state)
{
	struct random r;

	(void)state;
	random_init(&r, 1);
	assert_int_equal(random_below(&r, 0), 0);
	assert_int_equal(random_below(&r, 1), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(random_below(&r, 7) < 7);
}

static void a_uuid_is_of_version_4(void **state)
{
	char text[RANDOM_UUID_SIZE];
	struct random r;

	(void)state;
	random_init(&r, 1);
	for (unsigned i = 0; i < 200; i++) {
		random_uuid(&r, text);
		assert_int_equal(strlen(text), 36);
		assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
		assert_int_equal(text[14], '4');
		assert_non_null(strchr("89ab", text[19]));
		assert_true(text[8] == '-' && text[13] == '-' && text[18] == '-' &&
		            text[23] == '-');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_outlives_its_object_and_finds_nothing),
		cmocka_unit_test(any_number_of_objects_keep_their_ids),
		cmocka_unit_test(the_same_seed_gives_the_same_numbers),
		cmocka_unit_test(numbers_stay_below_their_bound),
		cmocka_unit_test(a_uuid_is_of_version_4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
