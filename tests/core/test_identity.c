/* Which identities are the same. */
#include "worker/core/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool are_equal(const char *kind, const char *id, const char *other_kind,
                      const char *other_id)
{
	struct identity a = { bytes_of(kind), bytes_of(id) };
	struct identity b = { bytes_of(other_kind), bytes_of(other_id) };
	bool equal = identity_equal(a, b);

	assert_int_equal(identity_equal(b, a), equal);
	return equal;
}

static void ids_do_not_differ_by_the_case_of_ascii_letters(void **state)
{
	(void)state;
	assert_true(are_equal("user", "ann", "user", "ann"));
	assert_true(are_equal("user", "aNz-09", "user", "AnZ-09"));
	assert_false(are_equal("user", "\xC3\x89", "user", "\xC3\xA9"));
	assert_false(are_equal("user", "@", "user", "`"));
	assert_false(are_equal("user", "[", "user", "{"));
}

static void other_ids_and_other_kinds_are_not_the_same(void **state)
{
	(void)state;
	assert_false(are_equal("user", "ann", "user", "anna"));
	assert_false(are_equal("user", "ann", "user", "bnn"));
	assert_false(are_equal("user", "ann", "user", ""));
	assert_false(are_equal("user", "ann", "guest", "ann"));
	assert_false(are_equal("user", "ann", "User", "ann"));
	assert_false(are_equal("a", "b:c", "a:b", "c"));
}

static void ids_that_are_the_same_have_one_form_in_lower_case(void **state)
{
	char longest[IDENTITY_ID_SIZE], room[IDENTITY_ID_SIZE];
	struct bytes lower = identity_lower(bytes_of("AZaz@[`{09-\xC3\x89"), room);

	(void)state;
	assert_true(bytes_equal_text(lower, "azaz@[`{09-\xC3\x89"));
	memset(longest, 'A', sizeof(longest));
	lower = identity_lower((struct bytes){ longest, sizeof(longest) }, room);
	memset(longest, 'a', sizeof(longest));
	assert_true(bytes_equal(lower, (struct bytes){ longest, sizeof(longest) }));
	assert_int_equal(identity_lower(bytes_of(""), room).size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_do_not_differ_by_the_case_of_ascii_letters),
		cmocka_unit_test(other_ids_and_other_kinds_are_not_the_same),
		cmocka_unit_test(ids_that_are_the_same_have_one_form_in_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
