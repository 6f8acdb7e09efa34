/* How far the dead-letter topic is worked off: what was left out is found again, what was put back
 * is not. */
#include "worker/letter_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROOM (64 * 1024)

/* A partition of ten letters, with what was committed. */
static struct offsets_position at(int64_t committed, const char *text)
{
	return (struct offsets_position){ .committed = committed,
		                          .high = 10,
		                          .metadata = (char *)(uintptr_t)text,
		                          .size = strlen(text) };
}

static struct letter_place open_place(int64_t committed, const char *text, bool from_beginning)
{
	const struct offsets_position position = at(committed, text);
	struct letter_place p;

	assert_int_equal(letter_place_init(&p, &position, from_beginning), LETTER_PLACE_OK);
	return p;
}

/* Read letters in order: 'x' is put back, '.' is left out, '-' is not there. */
static void read_letters(struct letter_place *p, const char *letters)
{
	for (int64_t offset = p->start; *letters; letters++, offset++)
		if (*letters != '-')
			letter_place_note(p, offset,
			                  *letters == 'x' || letter_place_was_done(p, offset));
}

static void expect(struct letter_place *p, int64_t offset, const char *expected)
{
	struct buffer text;
	int64_t committed;

	buffer_init(&text, ROOM);
	assert_int_equal(letter_place_write(p, &committed, &text), 0);
	assert_int_equal(committed, offset);
	assert_string_equal(buffer_bytes(&text).data, expected);
	buffer_close(&text);
	letter_place_close(p);
}

static void all_that_was_put_back_is_behind_the_offset(void **state)
{
	struct letter_place p = open_place(-1, "", false);

	(void)state;
	read_letters(&p, "xxxxxxxx-x");
	expect(&p, 10, "1:");
}

static void what_was_left_out_keeps_the_offset(void **state)
{
	struct letter_place p = open_place(-1, "", false);

	(void)state;
	read_letters(&p, "xx.x.xxx.x");
	expect(&p, 2, "1:1+1,1+3,1+1");
}

/* The marks of transactions, and what was compacted, divide nothing. */
static void what_is_not_there_is_done_with_its_neighbours(void **state)
{
	struct letter_place p = open_place(-1, "", false);

	(void)state;
	read_letters(&p, "x-x-.-x-x-");
	letter_place_end(&p, 10);
	expect(&p, 3, "1:3+4");
}

static void a_later_run_finds_what_was_left_out(void **state)
{
	struct letter_place p = open_place(2, "1:1+1,1+3", false);

	(void)state;
	assert_int_equal(p.start, 2);
	assert_false(letter_place_was_done(&p, 2) || letter_place_was_done(&p, 4));
	assert_true(letter_place_was_done(&p, 3) && letter_place_was_done(&p, 5));
	read_letters(&p, "xxxxxxxx");
	expect(&p, 10, "1:");
}

static void what_was_not_reached_stays_as_it_was(void **state)
{
	struct letter_place p = open_place(2, "1:1+1,1+3", false);

	(void)state;
	read_letters(&p, "x");
	expect(&p, 4, "1:1+3");
	p = open_place(2, "1:1+1,1+3", false);
	read_letters(&p, "..");
	expect(&p, 2, "1:1+1,1+3");
	p = open_place(2, "1:1+1,1+3", false);
	expect(&p, 2, "1:1+1,1+3");
}

/* From the beginning, with a filter: what was put back before stays done. */
static void the_beginning_forgets_nothing(void **state)
{
	struct letter_place p = open_place(5, "1:1+2", true);

	(void)state;
	assert_int_equal(p.start, 0);
	read_letters(&p, "x..");
	expect(&p, 5, "1:1+2");
	p = open_place(5, "1:1+2", true);
	read_letters(&p, ".....x....");
	expect(&p, 8, "1:");
}

static void retention_moves_the_start(void **state)
{
	struct offsets_position position = at(2, "1:");
	struct letter_place p;

	(void)state;
	position.low = 6;
	assert_int_equal(letter_place_init(&p, &position, false), LETTER_PLACE_OK);
	assert_int_equal(p.start, 6);
	read_letters(&p, "xx");
	expect(&p, 8, "1:");
}

static void what_cannot_be_right_is_said_unless_all_is_read(void **state)
{
	const struct offsets_position behind = at(11, "1:"), odd = at(5, "hello");
	struct letter_place p;

	(void)state;
	assert_int_equal(letter_place_init(&p, &behind, false), LETTER_PLACE_BEHIND_END);
	letter_place_close(&p);
	assert_int_equal(letter_place_init(&p, &odd, false), LETTER_PLACE_MALFORMED);
	letter_place_close(&p);
	p = open_place(11, "1:", true);
	assert_false(letter_place_was_done(&p, 0));
	read_letters(&p, "xxxxxxxxxx");
	expect(&p, 10, "1:");
	p = open_place(5, "hello", true);
	assert_true(letter_place_was_done(&p, 4));
	letter_place_close(&p);
}

/* Every second letter of a long topic is put back, and 'commits' times it is written how far that
 * is: after equal stretches, the last time at the end. Returns what was forgotten. */
static int64_t put_every_second_back(struct letter_place *p, int64_t letters, int64_t commits)
{
	int64_t committed, forgotten = 0;
	struct buffer text;

	buffer_init(&text, ROOM);
	for (int64_t offset = 0; offset < letters; offset++) {
		letter_place_note(p, offset, offset % 2 == 1);
		if ((offset + 1) % (letters / commits) != 0)
			continue;
		buffer_clear(&text);
		forgotten = letter_place_write(p, &committed, &text);
	}
	/* All but the newest: one digit for each distance and each length. */
	assert_in_range(text.size, OFFSET_SET_TEXT_MAX - 4, OFFSET_SET_TEXT_MAX);
	assert_int_equal(committed, letters - 2 * 999);
	buffer_close(&text);
	return forgotten;
}

static void what_is_forgotten_does_not_depend_on_how_often_it_is_committed(void **state)
{
	struct letter_place once = open_place(-1, "", false), often = open_place(-1, "", false);

	(void)state;
	assert_int_equal(put_every_second_back(&once, 6000, 1), 3000 - 999);
	assert_int_equal(put_every_second_back(&often, 6000, 100), 3000 - 999);
	letter_place_close(&once);
	letter_place_close(&often);
}

/* It takes milliseconds of the processor's time, and minutes when each range that is joined costs a
 * look at all. */
static void a_commit_takes_no_longer_the_more_is_left_out(void **state)
{
	struct letter_place rare = open_place(-1, "", false), often = open_place(-1, "", false);
	clock_t begin = clock();

	(void)state;
	put_every_second_back(&rare, 80000, 1);
	put_every_second_back(&often, 80000, 80);
	assert_true(often.done.n <= OFFSET_SET_TEXT_MAX / 4 + 1);
	assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
	letter_place_close(&rare);
	letter_place_close(&often);
}

static void an_empty_partition_is_over_at_once(void **state)
{
	struct letter_place p = open_place(10, "1:", false);

	(void)state;
	assert_true(p.is_over);
	expect(&p, 10, "1:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_put_back_is_behind_the_offset),
		cmocka_unit_test(what_was_left_out_keeps_the_offset),
		cmocka_unit_test(what_is_not_there_is_done_with_its_neighbours),
		cmocka_unit_test(a_later_run_finds_what_was_left_out),
		cmocka_unit_test(what_was_not_reached_stays_as_it_was),
		cmocka_unit_test(the_beginning_forgets_nothing),
		cmocka_unit_test(retention_moves_the_start),
		cmocka_unit_test(what_cannot_be_right_is_said_unless_all_is_read),
		cmocka_unit_test(what_is_forgotten_does_not_depend_on_how_often_it_is_committed),
		cmocka_unit_test(a_commit_takes_no_longer_the_more_is_left_out),
		cmocka_unit_test(an_empty_partition_is_over_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
