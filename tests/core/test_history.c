/* The last commands by their ids. */
#include "core/failing_memory.h"
#include "worker/base/random.h"
#include "worker/core/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct history_command command(const char *call_id, const char *id, int64_t offset)
{
	return (struct history_command){ .call_id = bytes_of(call_id),
		                         .command_id = bytes_of(id),
		                         .content = 1,
		                         .offset = offset };
}

static void assert_noted(struct history *h, const struct history_command *c,
                         enum history_verdict verdict, int64_t first)
{
	int64_t found = -1;

	assert_int_equal(history_note(h, c, &found), verdict);
	assert_int_equal(found, first);
}

static void a_command_that_comes_twice_is_the_same(void **state)
{
	struct history_command c = command("call", "a", 10);
	struct history h;

	(void)state;
	history_init(&h, 100);
	assert_noted(&h, &c, HISTORY_NEW, 10);
	c.offset = 11;
	assert_noted(&h, &c, HISTORY_SAME, 10);
	c.offset = 12;
	c.content = 2;
	assert_noted(&h, &c, HISTORY_DIFFERENT, 10);
	c.offset = 13;
	c.content = 1;
	assert_noted(&h, &c, HISTORY_SAME, 10);
	history_close(&h);
}

static void the_same_record_once_more_is_no_duplicate(void **state)
{
	struct history_command c = command("call", "a", 10);
	struct history h;

	(void)state;
	history_init(&h, 100);
	assert_noted(&h, &c, HISTORY_NEW, 10);
	assert_noted(&h, &c, HISTORY_NEW, 10);
	c.offset = 9;
	assert_noted(&h, &c, HISTORY_SAME, 10);
	history_close(&h);
}

static void ids_are_told_apart_byte_for_byte(void **state)
{
	static const char *const pairs[][2] = {
		{ "call", "a" }, { "call", "A" }, { "Call", "a" },  { "cal", "la" },
		{ "calla", "" }, { "", "calla" }, { "call", "a " }, { "call", "aa" },
	};
	struct history_command c = command("call", "a", 20);
	struct history h;

	(void)state;
	history_init(&h, 100);
	for (int i = 0; i < 8; i++) {
		c = command(pairs[i][0], pairs[i][1], 10 + i);
		assert_noted(&h, &c, HISTORY_NEW, 10 + i);
	}
	c = command("call", "", 20);
	c.command_id = (struct bytes){ "a\0b", 3 };
	assert_noted(&h, &c, HISTORY_NEW, 20);
	c.command_id.size = 2;
	c.offset = 21;
	assert_noted(&h, &c, HISTORY_NEW, 21);
	for (int i = 0; i < 8; i++) {
		c = command(pairs[i][0], pairs[i][1], 30 + i);
		assert_noted(&h, &c, HISTORY_SAME, 10 + i);
	}
	history_close(&h);
}

static void only_the_last_offsets_count(void **state)
{
	struct history_command c = command("call", "a", 10);
	struct history_command other = command("call", "b", 14);
	struct history h;

	(void)state;
	history_init(&h, 5);
	assert_noted(&h, &c, HISTORY_NEW, 10);
	assert_noted(&h, &other, HISTORY_NEW, 14);
	c.offset = 14;
	assert_noted(&h, &c, HISTORY_SAME, 10);
	c.offset = 15;
	assert_noted(&h, &c, HISTORY_NEW, 15);
	other.offset = INT64_MAX;
	assert_noted(&h, &other, HISTORY_NEW, INT64_MAX);
	history_close(&h);
}

static void nothing_is_kept_without_a_limit(void **state)
{
	struct history_command c = command("call", "a", 10);
	struct history h;

	(void)state;
	history_init(&h, 0);
	assert_noted(&h, &c, HISTORY_NEW, 10);
	c.offset = 11;
	assert_noted(&h, &c, HISTORY_NEW, 11);
	assert_null(h.first);
	history_close(&h);
}

/* Against a plain array of what came, over a window of 64. */
static void agrees_with_a_plain_list(void **state)
{
	enum { N = 5000, IDS = 40, WINDOW = 64 };
	static const char names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST";
	int64_t first[IDS];
	struct history h;
	struct random r;
	int64_t offset = 0;

	(void)state;
	random_init(&r, 8);
	history_init(&h, WINDOW);
	for (int i = 0; i < IDS; i++)
		first[i] = -WINDOW;
	for (int i = 0; i < N; i++) {
		size_t id = random_below(&r, IDS);
		struct history_command c = command("call", "", offset);
		bool is_new = offset - first[id] >= WINDOW;

		c.command_id = (struct bytes){ &names[id], 1 };
		if (is_new)
			first[id] = offset;
		assert_noted(&h, &c, is_new ? HISTORY_NEW : HISTORY_SAME, first[id]);
		offset += 1 + (int64_t)random_below(&r, 3);
	}
	history_close(&h);
}

static void offsets_that_go_back_are_dropped_in_order_too(void **state)
{
	static const int64_t offsets[] = { 50, 20, 40, 10, 30 };
	static const char *const ids[] = { "a", "b", "c", "d", "e" };
	struct history_command c = command("call", "x", 55);
	struct history h;

	(void)state;
	history_init(&h, 20);
	for (int i = 0; i < 5; i++) {
		struct history_command one = command("call", ids[i], offsets[i]);

		assert_noted(&h, &one, HISTORY_NEW, offsets[i]);
	}
	assert_noted(&h, &c, HISTORY_NEW, 55);
	c = command("call", "c", 56);
	assert_noted(&h, &c, HISTORY_SAME, 40);
	c = command("call", "e", 57);
	assert_noted(&h, &c, HISTORY_NEW, 57);
	history_close(&h);
}

static void running_out_of_memory_changes_nothing(void **state)
{
	struct history_command before = command("call", "a", 1);
	struct history_command c = command("call", "b", 2);
	int nth = -1;
	bool failed;

	(void)state;
	do {
		enum history_verdict verdict;
		struct history h;
		int64_t first;

		history_init(&h, 100);
		failing_memory_set(++nth);
		verdict = history_note(&h, &c, &first);
		failed = failing_memory_failed();
		failing_memory_set(-1);
		assert_int_equal(verdict, failed ? HISTORY_NO_MEMORY : HISTORY_NEW);
		assert_noted(&h, &before, HISTORY_NEW, 1);
		assert_noted(&h, &c, HISTORY_NEW, 2);
		c.offset = 3;
		assert_noted(&h, &c, HISTORY_SAME, 2);
		c.offset = 2;
		history_close(&h);
	} while (failed);
	assert_in_range(nth, 3, 10);
}

/* Also while the table grows. */
static void many_are_found_although_memory_runs_out_now_and_then(void **state)
{
	char ids[600][2];
	struct history h;

	(void)state;
	history_init(&h, 10000);
	for (int i = 0; i < 600; i++) {
		struct history_command c = command("call", "", i);
		int64_t first;

		ids[i][0] = (char)(i % 256);
		ids[i][1] = (char)(i / 256);
		c.command_id = (struct bytes){ ids[i], 2 };
		for (int nth = 0; nth < 2; nth++) {
			failing_memory_set(nth);
			assert_in_range(history_note(&h, &c, &first), HISTORY_NEW,
			                HISTORY_NO_MEMORY);
		}
		failing_memory_set(-1);
		assert_noted(&h, &c, HISTORY_NEW, i);
	}
	for (int i = 0; i < 600; i++) {
		struct history_command c = command("call", "", 600 + i);

		c.command_id = (struct bytes){ ids[i], 2 };
		assert_noted(&h, &c, HISTORY_SAME, i);
	}
	history_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_that_comes_twice_is_the_same),
		cmocka_unit_test(the_same_record_once_more_is_no_duplicate),
		cmocka_unit_test(ids_are_told_apart_byte_for_byte),
		cmocka_unit_test(only_the_last_offsets_count),
		cmocka_unit_test(nothing_is_kept_without_a_limit),
		cmocka_unit_test(agrees_with_a_plain_list),
		cmocka_unit_test(offsets_that_go_back_are_dropped_in_order_too),
		cmocka_unit_test(running_out_of_memory_changes_nothing),
		cmocka_unit_test(many_are_found_although_memory_runs_out_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
