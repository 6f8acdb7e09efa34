/* Growing bytes and JSON text. */
#include "worker/base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_json(struct bytes text, const char *expected)
{
	struct buffer b;

	buffer_init(&b, 1024);
	buffer_append_json(&b, text);
	assert_true(buffer_ok(&b));
	assert_string_equal(b.data, expected);
	buffer_close(&b);
}

static void escapes_what_json_and_logs_must_not_hold(void **state)
{
	(void)state;
	assert_json(bytes_of(""), "\"\"");
	assert_json(bytes_of("plain / text"), "\"plain / text\"");
	assert_json(bytes_of("a\"b\\c\nd\re\tf"), "\"a\\\"b\\\\c\\nd\\re\\tf\"");
	assert_json(bytes_of("\x01\x1f\x7f"), "\"\\u0001\\u001f\\u007f\"");
	assert_json((struct bytes){ "a\0b", 3 }, "\"a\\u0000b\"");
	assert_json((struct bytes){ NULL, 0 }, "\"\"");
}

static void keeps_well_formed_utf_8(void **state)
{
	(void)state;
	assert_json(bytes_of("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
	            "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
}

#define REPLACED "\xEF\xBF\xBD"

static void replaces_what_is_not_utf_8(void **state)
{
	(void)state;
	assert_json(bytes_of("a\xFFz"), "\"a" REPLACED "z\"");
	assert_json(bytes_of("\xC0\x80"), "\"" REPLACED REPLACED "\"");
	assert_json(bytes_of("\xED\xA0\x80"), "\"" REPLACED REPLACED REPLACED "\"");
	assert_json(bytes_of("\xE0\x9F\xBF"), "\"" REPLACED REPLACED REPLACED "\"");
	assert_json(bytes_of("\xF4\x90\x80\x80"), "\"" REPLACED REPLACED REPLACED REPLACED "\"");
	assert_json(bytes_of("\xE2\x82"), "\"" REPLACED REPLACED "\"");
	assert_json(bytes_of("\xC3"), "\"" REPLACED "\"");
}

static void null_is_written_for_no_text(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 100);
	buffer_append_json_text(&b, NULL);
	assert_string_equal(b.data, "null");
	buffer_close(&b);
}

static void holds_exactly_its_limit_and_no_more(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 300);
	for (size_t i = 0; i < 300; i++)
		buffer_append_char(&b, 'x');
	assert_true(buffer_ok(&b));
	buffer_append_char(&b, 'y');
	assert_false(buffer_ok(&b));
	buffer_append_text(&b, "");
	assert_int_equal(b.size, 300);
	buffer_truncate(&b, 299);
	assert_true(buffer_ok(&b));
	buffer_printf(&b, "%s", "yz");
	assert_false(buffer_ok(&b));
	assert_int_equal(b.size, 299);
	buffer_close(&b);
}

static void writes_every_integer(void **state)
{
	struct buffer b;

	(void)state;
	buffer_init(&b, 100);
	buffer_append_int(&b, INT64_MIN);
	buffer_append_char(&b, ' ');
	buffer_append_int(&b, 0);
	buffer_append_char(&b, ' ');
	buffer_append_int(&b, INT64_MAX);
	assert_string_equal(b.data, "-9223372036854775808 0 9223372036854775807");
	buffer_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes_what_json_and_logs_must_not_hold),
		cmocka_unit_test(keeps_well_formed_utf_8),
		cmocka_unit_test(replaces_what_is_not_utf_8),
		cmocka_unit_test(null_is_written_for_no_text),
		cmocka_unit_test(holds_exactly_its_limit_and_no_more),
		cmocka_unit_test(writes_every_integer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
