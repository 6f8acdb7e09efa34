/* Hashes in memory. */
#include "worker/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The values of the library's own xxhsum 0.8. */
static void hashes_as_published(void **state)
{
	struct digest nothing = hash_digest(bytes_of(""));

	(void)state;
	assert_true(hash_bytes(0, bytes_of("")) == UINT64_C(0x2d06800538d394c2));
	assert_true(nothing.high == UINT64_C(0x99aa06d3014798d8));
	assert_true(nothing.low == UINT64_C(0x6001c324468d497f));
}

static void what_stood_before_counts(void **state)
{
	uint64_t before = hash_bytes(0, bytes_of("call"));

	(void)state;
	assert_true(hash_bytes(before, bytes_of("id")) != hash_bytes(0, bytes_of("id")));
	assert_true(hash_bytes(before, bytes_of("id")) == hash_bytes(before, bytes_of("id")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_as_published),
		cmocka_unit_test(what_stood_before_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
