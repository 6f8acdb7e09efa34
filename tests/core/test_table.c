/* Sets of objects. What they cost is counted, not timed: comparisons, hashes and places. */
#include "core/failing_memory.h"
#include "worker/base/hash.h"
#include "worker/base/random.h"
#include "worker/base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct thing {
	uint64_t key;
	unsigned met; /* On a walk */
};

/* How often a table has asked. */
static struct {
	size_t hashes, comparisons;
} asked;

static unsigned long hash_of(uint64_t key)
{
	return hash_bytes(0, (struct bytes){ (const char *)&key, sizeof(key) });
}

static unsigned long hash_thing(const void *thing, unsigned long unused)
{
	(void)unused;
	asked.hashes++;
	return hash_of(((const struct thing *)thing)->key);
}

static unsigned long hash_alike(const void *thing, unsigned long unused)
{
	(void)thing;
	return unused;
}

static bool has_key(const void *thing, const void *key)
{
	asked.comparisons++;
	return ((const struct thing *)thing)->key == *(const uint64_t *)key;
}

static const struct table_kind things = { hash_thing, has_key };
static const struct table_kind twins = { hash_alike, has_key };

static struct thing *find(const struct table *t, uint64_t key)
{
	return table_find(t, hash_of(key), &key);
}

static struct thing *things_new(size_t n)
{
	struct thing *some = calloc(n, sizeof(*some));

	assert_non_null(some);
	for (size_t i = 0; i < n; i++)
		some[i].key = i;
	return some;
}

static void add(struct table *t, struct thing *thing)
{
	assert_true(table_add(t, thing));
}

/* A table with all 'n' of them in it. */
static struct table table_of(const struct table_kind *kind, struct thing *some, size_t n)
{
	struct table t;

	table_init(&t, kind);
	for (size_t i = 0; i < n; i++)
		add(&t, &some[i]);
	return t;
}

/* The place behind the last object: there are at least so many. */
static size_t places(const struct table *t)
{
	size_t at = 0;

	while (table_next(t, &at))
		continue;
	return at;
}

static void an_object_is_found_by_its_key_while_it_is_in(void **state)
{
	struct thing a = { .key = 1 }, b = { .key = 2 };
	struct table t;

	(void)state;
	table_init(&t, &things);
	assert_null(find(&t, 1));
	assert_int_equal(table_count(&t), 0);
	add(&t, &a);
	add(&t, &b);
	assert_ptr_equal(find(&t, 1), &a);
	assert_ptr_equal(find(&t, 2), &b);
	assert_null(find(&t, 3));
	table_remove(&t, &a);
	assert_null(find(&t, 1));
	assert_ptr_equal(find(&t, 2), &b);
	assert_int_equal(table_count(&t), 1);
	table_close(&t);
	assert_int_equal(table_count(&t), 0);
	table_close(&t);
}

static void a_table_that_is_all_zero_may_be_closed(void **state)
{
	struct table t = { 0 };

	(void)state;
	table_close(&t);
}

static void objects_of_one_hash_are_told_apart(void **state)
{
	enum { N = 500 };
	struct thing *some = things_new(N);
	struct table t;

	(void)state;
	t = table_of(&twins, some, N);
	for (size_t i = 0; i < N; i += 2)
		table_remove(&t, &some[i]);
	for (uint64_t i = 0; i < N; i++)
		assert_ptr_equal(table_find(&t, 0, &i), i % 2 ? &some[i] : NULL);
	/* Slots for each of them, but only so many. */
	assert_in_range(places(&t), N, 128 * N);
	table_close(&t);
	free(some);
}

static void agrees_with_a_plain_array(void **state)
{
	enum { N = 3000, TIMES = 200000 };
	struct thing *some = things_new(N);
	bool *is_in = calloc(N, sizeof(*is_in));
	size_t count = 0;
	struct random r;
	struct table t;

	(void)state;
	assert_non_null(is_in);
	random_init(&r, 3);
	table_init(&t, &things);
	for (int i = 0; i < TIMES; i++) {
		/* Now many, now few. */
		size_t at = random_below(&r, i / 20000 % 2 ? 40 : N);

		assert_ptr_equal(find(&t, at), is_in[at] ? &some[at] : NULL);
		if (is_in[at])
			table_remove(&t, &some[at]);
		else
			add(&t, &some[at]);
		is_in[at] = !is_in[at];
		count += is_in[at] ? 1 : SIZE_MAX;
		assert_int_equal(table_count(&t), count);
	}
	table_close(&t);
	free(is_in);
	free(some);
}

static void a_walk_meets_each_once_while_they_are_removed(void **state)
{
	enum { N = 1000 };
	struct thing *some = things_new(N), *thing;
	size_t at = 0;
	struct table t;

	(void)state;
	table_init(&t, &things);
	assert_null(table_next(&t, &at));
	for (size_t i = 0; i < N; i++)
		add(&t, &some[i]);
	for (thing = table_next(&t, &at); thing; thing = table_next(&t, &at)) {
		thing->met++;
		if (thing->key % 3 > 0)
			table_remove(&t, thing);
	}
	at = 0;
	for (thing = table_next(&t, &at); thing; thing = table_next(&t, &at)) {
		thing->met++;
		table_remove(&t, thing);
	}
	assert_null(table_next(&t, &at));
	for (size_t i = 0; i < N; i++)
		assert_int_equal(some[i].met, i % 3 ? 1 : 2);
	table_close(&t);
	free(some);
}

/* Wherever the objects and the table are in memory. */
static void the_same_events_give_the_same_walk(void **state)
{
	enum { N = 1000 };
	struct thing *some = things_new(2 * N);
	struct table t[2];
	size_t at[2] = { 0, 0 };

	(void)state;
	for (size_t i = 0; i < 2 * N; i++)
		some[i].key = i < N ? i : 2 * N - 1 - i;
	for (size_t side = 0; side < 2; side++) {
		table_init(&t[side], &things);
		for (size_t i = 0; i < N; i++)
			add(&t[side], &some[side ? 2 * N - 1 - i : i]);
		for (size_t i = 0; i < N - 10; i++)
			table_remove(&t[side], &some[side ? 2 * N - 1 - i : i]);
		add(&t[side], &some[side ? 2 * N - 1 : 0]);
	}
	for (size_t i = 0; i < 11; i++) {
		const struct thing *a = table_next(&t[0], &at[0]);
		const struct thing *b = table_next(&t[1], &at[1]);

		assert_non_null(a);
		assert_true(a != b);
		assert_int_equal(a->key, b->key);
	}
	table_close(&t[0]);
	table_close(&t[1]);
	free(some);
}

/* Searches in vain would come to pass ever more that was removed, and to compare half the table. */
static void coming_and_going_costs_the_same_for_good(void **state)
{
	enum { LIVE = 1000, TIMES = 1000000, PARTS = 10 };
	struct thing *some = things_new(LIVE);
	uint64_t key = LIVE;
	struct table t;

	(void)state;
	t = table_of(&things, some, LIVE);
	for (int part = 0; part < PARTS; part++) {
		asked.hashes = asked.comparisons = 0;
		for (size_t i = 0; i < TIMES / PARTS; i++, key++) {
			struct thing *oldest = &some[key % LIVE];

			table_remove(&t, oldest);
			oldest->key = key;
			assert_null(find(&t, key));
			add(&t, oldest);
		}
		assert_in_range(asked.comparisons, 1, 3 * TIMES / PARTS);
		assert_in_range(asked.hashes, 1, 4 * TIMES / PARTS);
		assert_in_range(places(&t), LIVE, 4 * LIVE);
	}
	table_close(&t);
	free(some);
}

static void what_a_crowd_took_is_given_back(void **state)
{
	enum { N = 100000 };
	struct thing *some = things_new(N);
	struct table t;

	(void)state;
	t = table_of(&things, some, N);
	assert_in_range(places(&t), 2 * N - 1000, 4 * N);
	for (size_t i = 0; i < N - 10; i++)
		table_remove(&t, &some[i]);
	add(&t, &some[0]);
	assert_in_range(places(&t), 11, 64);
	table_close(&t);
	free(some);
}

static void nothing_is_kept_for_a_crowd_that_has_gone_altogether(void **state)
{
	enum { N = 1000 };
	struct thing *some = things_new(N);
	struct table t;

	(void)state;
	t = table_of(&things, some, N);
	for (size_t i = 0; i < N; i++)
		table_remove(&t, &some[i]);
	assert_null(t.set);
	add(&t, &some[5]);
	assert_ptr_equal(find(&t, 5), &some[5]);
	table_close(&t);
	free(some);
}

/* Whichever of its allocations fails; also those of a table that grows or is made anew. */
static void running_out_of_memory_changes_nothing(void **state)
{
	enum { N = 400 };
	struct thing *some = things_new(N);
	size_t refused = 0;
	struct table t;

	(void)state;
	table_init(&t, &things);
	for (size_t i = 0; i < N; i++) {
		for (int nth = 0; nth < 2; nth++) {
			bool added;

			failing_memory_set(nth);
			added = table_add(&t, &some[i]);
			failing_memory_set(-1);
			assert_int_equal(table_count(&t), i % 200 + added);
			assert_ptr_equal(find(&t, i), added ? &some[i] : NULL);
			refused += !added;
			if (added)
				table_remove(&t, &some[i]);
		}
		add(&t, &some[i]);
		for (size_t j = i / 200 * 200; j <= i; j++)
			assert_ptr_equal(find(&t, j), &some[j]);
		if (i == 199)
			for (size_t j = 0; j < 200; j++)
				table_remove(&t, &some[j]);
	}
	assert_in_range(refused, 2, 10);
	table_close(&t);
	free(some);
}

/* Where no larger set can be had, the old one is filled to its end. */
static void a_table_that_cannot_grow_says_when_it_is_full(void **state)
{
	enum { N = 1000 };
	struct thing *some = things_new(N);
	size_t n = 0;
	bool added;
	struct table t;

	(void)state;
	table_init(&t, &things);
	add(&t, &some[n++]);
	do {
		failing_memory_set(0);
		added = table_add(&t, &some[n]);
		failing_memory_set(-1);
		n += added;
	} while (added && n < N);
	assert_in_range(n, 33, 64);
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(find(&t, i), i < n ? &some[i] : NULL);
	for (size_t i = n; i < N; i++)
		add(&t, &some[i]);
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(find(&t, i), &some[i]);
	table_close(&t);
	free(some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_found_by_its_key_while_it_is_in),
		cmocka_unit_test(a_table_that_is_all_zero_may_be_closed),
		cmocka_unit_test(objects_of_one_hash_are_told_apart),
		cmocka_unit_test(agrees_with_a_plain_array),
		cmocka_unit_test(a_walk_meets_each_once_while_they_are_removed),
		cmocka_unit_test(the_same_events_give_the_same_walk),
		cmocka_unit_test(coming_and_going_costs_the_same_for_good),
		cmocka_unit_test(what_a_crowd_took_is_given_back),
		cmocka_unit_test(nothing_is_kept_for_a_crowd_that_has_gone_altogether),
		cmocka_unit_test(running_out_of_memory_changes_nothing),
		cmocka_unit_test(a_table_that_cannot_grow_says_when_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
