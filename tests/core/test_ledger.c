/* Which offsets still owe a reply. */
#include "worker/core/ledger.h"

#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OFFSETS 300

/* The offset has come. */
static bool arrive(struct ledger *l, struct ledger_entry *entry, int64_t offset)
{
	assert_true(ledger_reserve(l));
	return ledger_arrive(l, entry, offset);
}

/* The first open offset, counted the slow way. */
static int64_t first_open(const struct ledger_entry *entries, const bool *open, size_t n,
                          int64_t next)
{
	for (size_t i = 0; i < n; i++)
		if (open[i])
			return entries[i].offset;
	return next;
}

/* A walk meets all open offsets in order, and no other. */
static void expect_walk(const struct ledger *l, const struct ledger_entry *entries,
                        const bool *open, size_t n)
{
	const struct ledger_entry *at = ledger_first(l);

	for (size_t i = 0; i < n; i++) {
		if (!open[i])
			continue;
		assert_ptr_equal(at, &entries[i]);
		assert_ptr_equal(ledger_find(l, entries[i].offset), at);
		at = ledger_after(l, at);
	}
	assert_null(at);
}

/* More come than are settled, or as many. */
static void random_interleaving(uint64_t seed)
{
	struct ledger_entry entries[OFFSETS];
	bool open[OFFSETS] = { false };
	struct ledger l;
	struct random r;
	int64_t next = 100;
	size_t arrived = 0, settled = 0;

	random_init(&r, seed);
	ledger_init(&l);
	while (settled < OFFSETS) {
		size_t i = random_below(&r, arrived);

		if (arrived < OFFSETS && random_below(&r, 2 + seed % 3) > 0) {
			next += random_below(&r, 4) == 0 ? (int64_t)random_below(&r, 50) : 0;
			assert_true(arrive(&l, &entries[arrived], next));
			open[arrived++] = true;
			next++;
		} else if (arrived > 0 && open[i]) {
			open[i] = false;
			ledger_settle(&l, &entries[i]);
			settled++;
		}
		if (arrived > 0)
			assert_int_equal(ledger_frontier(&l),
			                 first_open(entries, open, arrived, next));
		assert_int_equal(l.count, arrived - settled);
		expect_walk(&l, entries, open, arrived);
	}
	assert_int_equal(ledger_frontier(&l), next);
	assert_int_equal(ledger_span(&l), 0);
	ledger_close(&l);
}

static void the_frontier_never_passes_an_open_offset_and_reaches_the_end(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++)
		random_interleaving(seed);
}

static void one_that_stays_open_takes_no_room_for_those_that_pass_it(void **state)
{
	struct ledger_entry first, other;
	struct ledger l;

	(void)state;
	ledger_init(&l);
	assert_true(arrive(&l, &first, 0));
	for (int64_t offset = 1; offset < 100000; offset++) {
		assert_true(arrive(&l, &other, offset));
		ledger_settle(&l, &other);
	}
	assert_int_equal(ledger_frontier(&l), 0);
	assert_int_equal(ledger_span(&l), 100000);
	assert_in_range(l.capacity, 2, 64);
	ledger_close(&l);
}

static void a_repeated_offset_is_known(void **state)
{
	struct ledger_entry a, b;
	struct ledger l;

	(void)state;
	ledger_init(&l);
	assert_int_equal(ledger_frontier(&l), -1);
	assert_true(arrive(&l, &a, 10));
	assert_false(arrive(&l, &b, 10));
	assert_false(arrive(&l, &b, 9));
	assert_true(arrive(&l, &b, 11));
	assert_int_equal(ledger_span(&l), 2);
	ledger_close(&l);
}

static void offsets_that_never_come_count_as_answered(void **state)
{
	struct ledger_entry a;
	struct ledger l;

	(void)state;
	ledger_init(&l);
	ledger_advance(&l, 5);
	assert_int_equal(ledger_frontier(&l), 5);
	assert_true(arrive(&l, &a, 7));
	ledger_advance(&l, 1000);
	ledger_advance(&l, 900);
	assert_int_equal(ledger_frontier(&l), 7);
	assert_int_equal(ledger_span(&l), 993);
	ledger_settle(&l, &a);
	assert_int_equal(ledger_frontier(&l), 1000);
	ledger_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_frontier_never_passes_an_open_offset_and_reaches_the_end),
		cmocka_unit_test(one_that_stays_open_takes_no_room_for_those_that_pass_it),
		cmocka_unit_test(a_repeated_offset_is_known),
		cmocka_unit_test(offsets_that_never_come_count_as_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
