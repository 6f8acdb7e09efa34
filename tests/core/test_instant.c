/* Dates as text. */
#include "worker/base/instant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOON INT64_C(1769860800000000) /* 2026-01-31T12:00:00Z */

static void reads_rfc_3339_with_any_offset_and_fraction(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {
		{ "2026-01-31T12:00:00Z", NOON },
		{ "2026-01-31t12:00:00z", NOON },
		{ "2026-01-31 12:00:00Z", NOON },
		{ "2026-01-31T12:00:00.5Z", NOON + 500000 },
		{ "2026-01-31T12:00:00.123456789Z", NOON + 123456 },
		{ "2026-01-31T13:30:00+01:30", NOON },
		{ "2026-01-31T00:00:00-12:00", NOON },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59.999999Z", -1 },
		{ "2024-02-29T00:00:00Z", INT64_C(1709164800000000) },
		{ "2016-12-31T23:59:60Z", INT64_C(1483228800000000) },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wall_t w = { 7 };

		assert_true(wall_parse_rfc3339(rows[i].text, strlen(rows[i].text), &w));
		assert_true(w.us == rows[i].us);
	}
}

static void refuses_what_is_not_rfc_3339(void **state)
{
	static const char *const texts[] = {
		"",
		"2026-01-31",
		"2026-01-31T12:00:00",
		"2026-01-31T12:00Z",
		"2026-02-29T12:00:00Z",
		"2026-13-01T12:00:00Z",
		"2026-00-01T12:00:00Z",
		"2026-01-00T12:00:00Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T12:60:00Z",
		"2026-01-31T12:00:61Z",
		"2026-01-31T12:00:00.Z",
		"2026-01-31T12:00:00+0100",
		"2026-01-31T12:00:00+24:00",
		"2026-01-31T12:00:00Z ",
		" 2026-01-31T12:00:00Z",
		"26-01-31T12:00:00Z",
		"2026-1-31T12:00:00Z",
		"now",
		"2026-01-31T12:00:00.00000000000000000000000000000000000000000000000000000Z",
	};
	wall_t w;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(wall_parse_rfc3339(texts[i], strlen(texts[i]), &w));
	assert_false(wall_parse_rfc3339("2026-01-31T12:00:00Z\0", 21, &w));
}

static void writes_utc_with_milliseconds(void **state)
{
	char text[WALL_TEXT_SIZE];

	(void)state;
	wall_format((wall_t){ NOON + 1999 }, text);
	assert_string_equal(text, "2026-01-31T12:00:00.001Z");
	wall_format((wall_t){ -1 }, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void libc_writes_the_same_of_every_day(void **state)
{
	(void)state;
	for (int64_t day = -719000; day < 2900000; day++) {
		const time_t seconds = day * 86400 + (day & 0xFFFF);
		char text[WALL_TEXT_SIZE], expected[WALL_TEXT_SIZE];
		struct tm tm;

		gmtime_r(&seconds, &tm);
		if (tm.tm_mday < 28 && tm.tm_mday > 1)
			continue;
		wall_format((wall_t){ seconds * 1000000 + 7000 }, text);
		/* strftime() does not fill years with zeros. */
		assert_int_equal(strtol(text, NULL, 10), tm.tm_year + 1900);
		strftime(expected, sizeof(expected), "-%m-%dT%H:%M:%S.007Z", &tm);
		assert_string_equal(text + 4, expected);
	}
}

static void reads_the_three_forms_of_an_http_date(void **state)
{
	static const char *const texts[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		wall_t w = { 7 };

		assert_true(wall_parse_http(texts[i], &w));
		assert_true(w.us == INT64_C(784111777000000));
	}
}

static void refuses_what_is_not_an_http_date(void **state)
{
	static const char *const texts[] = { "", "soon", "Sun, 06 Nov 1994 08:49:37 CET",
		                             "Sun, 06 Nov 1994 08:49:37 GMT+1", "06 Nov 1994" };
	wall_t w;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(wall_parse_http(texts[i], &w));
}

static void adding_saturates_at_never(void **state)
{
	(void)state;
	assert_true(instant_is_never(instant_add((instant_t){ INT64_MAX - 5 }, (duration_t){ 6 })));
	assert_true(instant_add((instant_t){ 5 }, (duration_t){ -7 }).us == -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rfc_3339_with_any_offset_and_fraction),
		cmocka_unit_test(refuses_what_is_not_rfc_3339),
		cmocka_unit_test(writes_utc_with_milliseconds),
		cmocka_unit_test(libc_writes_the_same_of_every_day),
		cmocka_unit_test(reads_the_three_forms_of_an_http_date),
		cmocka_unit_test(refuses_what_is_not_an_http_date),
		cmocka_unit_test(adding_saturates_at_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
