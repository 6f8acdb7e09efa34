/* Lines for operators. */
#include "worker/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static wall_t noon(void)
{
	return (wall_t){ INT64_C(1769860800000000) };
}

/* What 'level' lets through of one warning whose value is 'value'. The caller frees it. */
static char *warn_about(enum log_level level, const char *value)
{
	char quoted[LOG_QUOTE_SIZE];
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct log log;

	log_init(&log, file, level);
	log.clock = noon;
	log_warn(&log, "graph.throttled", "call=%s", log_quote(bytes_of(value), quoted));
	fclose(file);
	return text;
}

static void a_line_has_date_level_id_and_pairs(void **state)
{
	char *text = warn_about(LOG_INFO, "call-a");

	(void)state;
	assert_string_equal(text, "2026-01-31T12:00:00.000Z warn graph.throttled call=call-a\n");
	free(text);
}

static void a_quieter_level_writes_nothing(void **state)
{
	char *text = warn_about(LOG_ERROR, "call-a");

	(void)state;
	assert_string_equal(text, "");
	free(text);
}

static void a_value_cannot_forge_a_line_or_a_pair(void **state)
{
	char *text = warn_about(LOG_INFO, "x\n2026 error y=\"z\"\r\x1b[2J\\\xC3\xA9");

	(void)state;
	assert_string_equal(text, "2026-01-31T12:00:00.000Z warn graph.throttled "
	                          "call=\"x\\x0a2026 error y=\\x22z\\x22\\x0d\\x1b[2J\\x5c"
	                          "\\xc3\\xa9\"\n");
	free(text);
}

static void a_long_value_is_cut(void **state)
{
	char out[LOG_QUOTE_SIZE], text[1001];

	(void)state;
	for (size_t n = 200; n < 1000; n++) {
		memset(text, n % 2 ? '\n' : ' ', n);
		text[n] = '\0';
		log_quote(bytes_of(text), out);
		assert_true(strlen(out) < LOG_QUOTE_SIZE);
		assert_int_equal(out[strlen(out) - 1], '"');
	}
	assert_non_null(strstr(out, "\xE2\x80\xA6"));
}

static void an_empty_value_is_seen(void **state)
{
	char out[LOG_QUOTE_SIZE];

	(void)state;
	assert_string_equal(log_quote((struct bytes){ NULL, 0 }, out), "\"\"");
}

static void a_line_that_is_too_long_still_ends(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct log log;

	(void)state;
	log_init(&log, file, LOG_INFO);
	log_info(&log, "id", "%5000d", 1);
	fclose(file);
	assert_int_equal(text[size - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	free(text);
}

static void levels_have_names(void **state)
{
	enum log_level level;

	(void)state;
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
	assert_false(log_level_parse("loud", &level));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_date_level_id_and_pairs),
		cmocka_unit_test(a_quieter_level_writes_nothing),
		cmocka_unit_test(a_value_cannot_forge_a_line_or_a_pair),
		cmocka_unit_test(a_long_value_is_cut),
		cmocka_unit_test(an_empty_value_is_seen),
		cmocka_unit_test(a_line_that_is_too_long_still_ends),
		cmocka_unit_test(levels_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
