/* The map of a partition as text: what is written is read again, and nothing else is believed. */
#include "core/failing_memory.h"
#include "worker/base/random.h"
#include "worker/core/map.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define ROUNDS 3000

static void add(struct map *m, int64_t offset, enum map_state state)
{
	struct map_entry entry = { .offset = offset, .state = state };

	assert_true(map_add(m, &entry));
}

/* The text of a map, which must fit. */
static void write_map(const struct map *m, struct buffer *text)
{
	buffer_clear(text);
	assert_true(map_encode(m, text));
	assert_in_range(text->size, 1, MAP_TEXT_MAX);
}

static void assert_same_progress(const struct map_progress *a, const struct map_progress *b)
{
	assert_int_equal(a->settled, b->settled);
	assert_int_equal(a->in_flight, b->in_flight);
	assert_memory_equal(a->accepted, b->accepted, sizeof(a->accepted));
}

/* All that 'm' says of offsets is what 'read' says of them, and behind the end too. */
static void assert_same(const struct map *m, const struct map *read)
{
	size_t at = 0;

	assert_int_equal(read->base, m->base);
	assert_true(read->end <= m->end);
	for (size_t i = 0; i < m->count; i++) {
		const struct map_entry *entry = &m->entries[i];

		assert_int_equal(map_state(read, entry->offset), entry->state);
		assert_int_equal(map_state(m, entry->offset), entry->state);
		if (entry->offset >= read->end)
			continue;
		assert_int_equal(read->entries[at].offset, entry->offset);
		assert_same_progress(&read->entries[at++].progress, &entry->progress);
	}
	assert_int_equal(at, read->count);
	for (int64_t offset = read->end; offset < m->end && offset < read->end + 20; offset++)
		assert_int_equal(map_state(m, offset), MAP_NEW);
	assert_int_equal(map_state(read, m->end), MAP_NEW);
}

static struct map_progress random_progress(struct random *r)
{
	struct map_progress progress = { .settled = (uint8_t)random_below(r, 101) };

	progress.in_flight = (uint8_t)random_below(r, 101U - progress.settled);
	for (unsigned i = 0; i < progress.settled; i++)
		progress.accepted[i / 8] |= (uint8_t)(random_below(r, 2) << i % 8);
	return progress;
}

/* Up to 60 open offsets, near each other or far apart, and sometimes replied ones at the end. */
static void random_map(struct random *r, struct map *m)
{
	static const uint64_t apart[] = { 1, 2, 5, 1000, UINT64_C(1) << 33 };
	uint64_t gap = apart[random_below(r, 5)];
	size_t n = random_below(r, 61);
	int64_t offset = (int64_t)(random_below(r, 3) == 0 ? 0 : random_next(r) >> 2);

	map_init(m, offset);
	for (size_t i = 0; i < n; i++) {
		struct map_entry entry = { .state = (enum map_state)random_below(r, 4) };

		offset += (int64_t)random_below(r, gap);
		if (entry.state == MAP_REPLIED || random_below(r, 3) == 0)
			entry.state = MAP_NEW;
		if (entry.state == MAP_PARTLY)
			entry.progress = random_progress(r);
		entry.offset = offset++;
		assert_true(map_add(m, &entry));
	}
	m->end += (int64_t)(random_below(r, 2) * random_below(r, 7));
}

static void writes_the_text_that_is_documented(void **state)
{
	struct map_entry partly = { .offset = 45,
		                    .state = MAP_PARTLY,
		                    .progress = { .settled = 7, .in_flight = 5 } };
	struct buffer text;
	struct map m;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, 42);
	write_map(&m, &text);
	assert_string_equal(text.data, "1:42:e1176692:dA");
	add(&m, 42, MAP_STARTED);
	add(&m, 44, MAP_NEW);
	partly.progress.accepted[0] = 0x41;
	assert_true(map_add(&m, &partly));
	write_map(&m, &text);
	assert_string_equal(text.data, "1:42:15253ebc:dEJDHFBB");
	add(&m, 1042, MAP_STARTED);
	write_map(&m, &text);
	assert_string_equal(text.data, "1:42:6ddd1533:spfBEDHFBBx8D");
	map_close(&m);
	buffer_close(&text);
}

static void reads_what_it_wrote(void **state)
{
	struct buffer text;
	struct random r;

	(void)state;
	random_init(&r, 4);
	buffer_init(&text, MAP_TEXT_MAX);
	for (int i = 0; i < ROUNDS; i++) {
		struct map m, read;

		random_map(&r, &m);
		write_map(&m, &text);
		assert_int_equal(map_decode(buffer_bytes(&text), m.base, &read), MAP_OK);
		assert_same(&m, &read);
		map_close(&read);
		map_close(&m);
	}
	buffer_close(&text);
}

static void new_offsets_at_the_end_are_not_written(void **state)
{
	struct buffer text;
	struct map m, read;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, 7);
	for (int64_t offset = 7; offset < 20007; offset++)
		add(&m, offset, offset == 9 ? MAP_STARTED : MAP_NEW);
	write_map(&m, &text);
	assert_true(text.size < 24);
	assert_int_equal(map_decode(buffer_bytes(&text), 7, &read), MAP_OK);
	assert_int_equal(read.end, 10);
	assert_int_equal(read.count, 3);
	map_close(&read);
	map_close(&m);
	buffer_close(&text);
}

static void a_reply_behind_the_last_open_offset_is_kept(void **state)
{
	struct buffer text;
	struct map m, read;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, 7);
	add(&m, 7, MAP_NEW);
	m.end = 9;
	write_map(&m, &text);
	assert_int_equal(map_decode(buffer_bytes(&text), 7, &read), MAP_OK);
	assert_int_equal(map_state(&read, 6), MAP_REPLIED);
	assert_int_equal(map_state(&read, 7), MAP_NEW);
	assert_int_equal(map_state(&read, 8), MAP_REPLIED);
	assert_int_equal(map_state(&read, 9), MAP_NEW);
	map_close(&read);
	map_close(&m);
	buffer_close(&text);
}

/* 8,192 offsets, each of which is started with a chance of 'percent', else new or replied. */
static size_t size_of_window(struct random *r, int64_t base, uint64_t percent)
{
	struct buffer text;
	struct map m, read;
	size_t size;

	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, base);
	for (int64_t i = 0; i < 8192; i++) {
		if (random_below(r, 100) < percent || i == 8191)
			add(&m, base + i, MAP_STARTED);
		else if (random_below(r, 2) == 0)
			add(&m, base + i, MAP_NEW);
	}
	write_map(&m, &text);
	assert_int_equal(map_decode(buffer_bytes(&text), base, &read), MAP_OK);
	assert_same(&m, &read);
	size = text.size;
	map_close(&read);
	map_close(&m);
	buffer_close(&text);
	return size;
}

static void any_pattern_of_8192_offsets_fits(void **state)
{
	struct random r;

	(void)state;
	random_init(&r, 5);
	for (uint64_t percent = 0; percent <= 100; percent += 10) {
		size_t size = size_of_window(&r, INT64_MAX - 8192, percent);

		assert_int_equal(size, 2 + 19 + 1 + 8 + 1 + 1 + 3 + 2731);
	}
}

static void hundreds_of_open_offsets_fit_however_far_apart(void **state)
{
	struct buffer text;
	struct map m, read;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, 1000000);
	for (int64_t i = 0; i < 500; i++)
		add(&m, 1000000 + i * 2000, MAP_STARTED);
	m.end = 2000000;
	write_map(&m, &text);
	print_message("500 open offsets over 1,000,000: %zu bytes\n", text.size);
	assert_int_equal(text.size, 2 + 7 + 1 + 8 + 1 + 1 + 4 + 1 + 499 * 3);
	assert_int_equal(map_decode(buffer_bytes(&text), 1000000, &read), MAP_OK);
	assert_same(&m, &read);
	map_close(&read);
	map_close(&m);
	buffer_close(&text);
}

static void what_does_not_fit_is_not_written_at_all(void **state)
{
	struct buffer text;
	struct map m;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	buffer_append_text(&text, "before");
	map_init(&m, 0);
	for (int64_t i = 0; i < 4096; i++)
		add(&m, i * 100, MAP_STARTED);
	assert_false(map_encode(&m, &text));
	assert_true(buffer_ok(&text));
	assert_string_equal(text.data, "before");
	map_close(&m);
	map_init(&m, 0);
	add(&m, INT64_C(1) << 40, MAP_STARTED);
	assert_false(map_encode(&m, &text));
	map_close(&m);
	buffer_close(&text);
}

/* The last offset with which a dense map fits, and the first with which it does not. */
static void the_limit_is_the_brokers_to_the_byte(void **state)
{
	struct buffer text;
	struct map m;
	int64_t most = (MAP_TEXT_MAX - 2 - 2 - 8 - 1 - 1 - 3) * 3;

	(void)state;
	buffer_init(&text, MAP_TEXT_MAX);
	map_init(&m, 0);
	for (int64_t i = 0; i < most; i++)
		add(&m, i, MAP_STARTED);
	write_map(&m, &text);
	assert_int_equal(text.size, MAP_TEXT_MAX);
	add(&m, most, MAP_STARTED);
	assert_false(map_encode(&m, &text));
	map_close(&m);
	buffer_close(&text);
}

static void every_cut_and_every_changed_bit_is_noticed(void **state)
{
	struct buffer text;
	struct random r;
	struct map m, read;

	(void)state;
	random_init(&r, 6);
	buffer_init(&text, MAP_TEXT_MAX);
	for (int round = 0; round < 20; round++) {
		random_map(&r, &m);
		write_map(&m, &text);
		for (size_t size = 0; size < text.size; size++) {
			struct bytes cut = { text.data, size };

			assert_int_not_equal(map_decode(cut, m.base, &read), MAP_OK);
			assert_int_equal(read.end, m.base);
		}
		for (size_t bit = 0; bit < text.size * 8; bit++) {
			text.data[bit / 8] ^= (char)(1 << bit % 8);
			assert_int_not_equal(map_decode(buffer_bytes(&text), m.base, &read),
			                     MAP_OK);
			assert_null(read.entries);
			text.data[bit / 8] ^= (char)(1 << bit % 8);
		}
		map_close(&m);
	}
	buffer_close(&text);
}

/* Put the base and the right checksum before 'data' and read it there. */
static enum map_problem read_data_at(int64_t base, struct bytes data, struct map *ret)
{
	char text[2 * MAP_TEXT_MAX], front[32];
	uLong crc;
	int size = snprintf(front, sizeof(front), "%" PRId64 ":", base);

	crc = crc32(0, (const Bytef *)front, (uInt)size);
	crc = crc32(crc, (const Bytef *)data.data, (uInt)data.size);
	size = snprintf(text, sizeof(text), "1:%s%08lx:", front, crc);
	memcpy(text + size, data.data, data.size);
	return map_decode((struct bytes){ text, (size_t)size + data.size }, base, ret);
}

static enum map_problem read_data(struct bytes data, struct map *ret)
{
	return read_data_at(5, data, ret);
}

static void data_that_cannot_be_are_malformed(void **state)
{
	static const char *const texts[] = {
		"",           /* No encoding */
		"d",          /* No length */
		"xA",         /* No such encoding */
		"dg",         /* A number without an end */
		"dgA",        /* A zero digit too many */
		"dBA=",       /* No digit */
		"dB",         /* Fewer states than the length says */
		"dgggggggg",  /* Longer than the text */
		"dggggggggB", /* 2^40 offsets */
		"dgggggggggB",
		"dBAA",         /* Something behind the end */
		"dBE",          /* A state behind the end */
		"dBD",          /* No progress */
		"dBDlDA",       /* More than 100 participants settled */
		"dBDkDB",       /* More than 100 in all */
		"dBDBAC",       /* Bits of participants that are not settled */
		"dBDBABA",      /* Something behind the progress */
		"sBC",          /* A replied offset among the open ones */
		"sBF",          /* Behind the end */
		"sBBB",         /* Two where there is room for one */
		"sAB",          /* One where there is no room */
		"sBgggggggggB", /* A step of more than 2^40 */
		"sBgggggggggggggggggggggggggB",
		"sBD", /* No progress */
	};
	struct map m;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (read_data(bytes_of(texts[i]), &m) != MAP_MALFORMED)
			fail_msg("\"%s\" was read", texts[i]);
		assert_null(m.entries);
		assert_int_equal(m.base, 5);
		assert_int_equal(m.end, 5);
	}
	assert_int_equal(read_data((struct bytes){ "dB\0", 3 }, &m), MAP_MALFORMED);
}

static void nearly_the_same_data_are_read(void **state)
{
	static const char *const texts[] = { "dA", "sA", "dBB", "sBB" };
	struct map m;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(read_data(bytes_of(texts[i]), &m), MAP_OK);
		map_close(&m);
	}
	assert_int_equal(read_data(bytes_of("dBDkDA_________________"), &m), MAP_MALFORMED);
	assert_int_equal(read_data(bytes_of("dBDkDA________________P"), &m), MAP_OK);
	assert_int_equal(m.entries[0].progress.settled, 100);
	assert_int_equal(m.entries[0].progress.accepted[12], 0x0F);
	map_close(&m);
}

static void says_what_is_wrong_with_a_text(void **state)
{
	static const struct {
		const char *text;
		enum map_problem problem;
	} rows[] = {
		{ "", MAP_EMPTY },
		{ "1:42:e1176692:dA", MAP_OK },
		{ "2:42:e1176692:dA", MAP_VERSION },
		{ "01:42:e1176692:dA", MAP_VERSION },
		{ "10:", MAP_VERSION },
		{ "1:42:e1176693:dA", MAP_CHECKSUM },
		{ "1:42:E1176692:dA", MAP_CHECKSUM },
		{ "1:43:e1176692:dA", MAP_CHECKSUM },
		{ "1:42:e1176692dA", MAP_MALFORMED },
		{ "1:042:e1176692:dA", MAP_MALFORMED },
		{ "1:-42:e1176692:dA", MAP_MALFORMED },
		{ "1:42", MAP_MALFORMED },
		{ "1:9223372036854775808:e1176692:dA", MAP_MALFORMED },
		{ "1:99999999999999999999:e1176692:dA", MAP_MALFORMED },
		{ "1", MAP_MALFORMED },
		{ "hello", MAP_MALFORMED },
		{ ":", MAP_MALFORMED },
	};
	struct map m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		enum map_problem problem = map_decode(bytes_of(rows[i].text), 42, &m);

		if (problem != rows[i].problem)
			fail_msg("\"%s\": %s", rows[i].text, map_problem_text(problem));
		assert_int_equal(m.base, 42);
		map_close(&m);
	}
	assert_int_equal(map_decode(bytes_of("1:42:e1176692:dA"), 41, &m), MAP_BASE);
	assert_int_equal(m.base, 41);
	assert_int_equal(map_decode(bytes_of("1:42:e1176692:dA"), -1, &m), MAP_BASE);
	assert_string_equal(map_problem_text(MAP_BASE), "base");
	assert_string_equal(map_problem_text(MAP_NO_MEMORY), "no-memory");
}

static void a_text_longer_than_a_broker_keeps_is_malformed(void **state)
{
	char data[MAP_TEXT_MAX];
	struct bytes longest = { data, MAP_TEXT_MAX - strlen("1:5:00000000:") };
	struct map m;

	(void)state;
	memset(data, 'B', sizeof(data));
	memcpy(data, "s__H", 4);
	assert_int_equal(read_data(longest, &m), MAP_OK);
	map_close(&m);
	longest.size++;
	assert_int_equal(read_data(longest, &m), MAP_MALFORMED);
}

static void offsets_end_where_numbers_do(void **state)
{
	struct map m;

	(void)state;
	assert_int_equal(read_data_at(INT64_MAX - 2, bytes_of("sCF"), &m), MAP_OK);
	assert_int_equal(m.entries[0].offset, INT64_MAX - 1);
	map_close(&m);
	assert_int_equal(read_data_at(INT64_MAX - 2, bytes_of("sD"), &m), MAP_MALFORMED);
	assert_int_equal(read_data_at(INT64_MAX - 2, bytes_of("dDV"), &m), MAP_MALFORMED);
}

/* What is believed of random data can be written and read again. */
static void random_data_are_read_as_themselves_or_not_at_all(void **state)
{
	static const char letters[] = "AAAABBBCDEFGHgghklx-_9d=s";
	struct buffer text;
	struct random r;
	int accepted = 0;

	(void)state;
	random_init(&r, 7);
	buffer_init(&text, MAP_TEXT_MAX);
	for (int i = 0; i < 30000; i++) {
		char data[16] = "ds";
		size_t size = 1 + random_below(&r, 12);
		struct map m, again;

		data[0] = data[random_below(&r, 2)];
		for (size_t at = 1; at < size; at++)
			data[at] = random_below(&r, 50) == 0
			               ? (char)random_next(&r)
			               : letters[random_below(&r, sizeof(letters) - 1)];
		if (read_data((struct bytes){ data, size }, &m) == MAP_OK) {
			accepted++;
			write_map(&m, &text);
			assert_int_equal(map_decode(buffer_bytes(&text), 5, &again), MAP_OK);
			assert_same(&m, &again);
			map_close(&again);
		}
		map_close(&m);
	}
	assert_in_range(accepted, 100, 29900);
	buffer_close(&text);
}

static void finds_an_offset_among_many(void **state)
{
	struct map m;

	(void)state;
	map_init(&m, 10);
	assert_null(map_find(&m, 10));
	for (int64_t i = 0; i < 100; i++)
		add(&m, 10 + i * 3, MAP_STARTED);
	for (int64_t offset = 0; offset < 320; offset++) {
		const struct map_entry *entry = map_find(&m, offset);
		bool is_in = offset >= 10 && offset < 310 && (offset - 10) % 3 == 0;

		assert_int_equal(entry != NULL, is_in);
		if (entry)
			assert_int_equal(entry->offset, offset);
	}
	map_close(&m);
}

static void running_out_of_memory_is_said_and_leaves_nothing(void **state)
{
	struct map_entry entry = { .offset = 0, .state = MAP_STARTED };
	struct buffer text;
	struct map m, read;
	int nth = -1;

	(void)state;
	map_init(&m, 0);
	failing_memory_set(0);
	assert_false(map_add(&m, &entry));
	for (int64_t i = 0; i < 100; i++)
		add(&m, i, MAP_STARTED);
	buffer_init(&text, MAP_TEXT_MAX);
	failing_memory_set(0);
	assert_false(map_encode(&m, &text));
	assert_false(buffer_ok(&text));
	write_map(&m, &text);
	do {
		failing_memory_set(++nth);
		if (map_decode(buffer_bytes(&text), 0, &read) == MAP_NO_MEMORY)
			assert_null(read.entries);
		else
			assert_false(failing_memory_failed());
	} while (failing_memory_failed());
	failing_memory_set(-1);
	assert_in_range(nth, 3, 10);
	assert_same(&m, &read);
	map_close(&read);
	map_close(&m);
	buffer_close(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_text_that_is_documented),
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(new_offsets_at_the_end_are_not_written),
		cmocka_unit_test(a_reply_behind_the_last_open_offset_is_kept),
		cmocka_unit_test(any_pattern_of_8192_offsets_fits),
		cmocka_unit_test(hundreds_of_open_offsets_fit_however_far_apart),
		cmocka_unit_test(what_does_not_fit_is_not_written_at_all),
		cmocka_unit_test(the_limit_is_the_brokers_to_the_byte),
		cmocka_unit_test(every_cut_and_every_changed_bit_is_noticed),
		cmocka_unit_test(data_that_cannot_be_are_malformed),
		cmocka_unit_test(nearly_the_same_data_are_read),
		cmocka_unit_test(says_what_is_wrong_with_a_text),
		cmocka_unit_test(a_text_longer_than_a_broker_keeps_is_malformed),
		cmocka_unit_test(offsets_end_where_numbers_do),
		cmocka_unit_test(random_data_are_read_as_themselves_or_not_at_all),
		cmocka_unit_test(finds_an_offset_among_many),
		cmocka_unit_test(running_out_of_memory_is_said_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
