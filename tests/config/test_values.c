/* One value of each type, as a text: what is taken, and what is refused with which words. */
#include "worker/config/names.h"
#include "worker/config/option.h"
#include "worker/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_option row(enum option_type type, const char *least, const char *most)
{
	return (struct config_option){ .type = type, .least = least, .most = most };
}

static void assert_refused(const struct config_option *o, const char *text, void *field,
                           const char *why)
{
	struct err err = { "" };

	assert_int_equal(option_parse(o, text, field, &err), -1);
	assert_string_equal(err.msg, why);
}

static int64_t duration_of(const char *text)
{
	struct config_option o = row(OPTION_DURATION, "0", "8760h");
	duration_t d = { -1 };

	assert_int_equal(option_parse(&o, text, &d, NULL), 0);
	return d.us;
}

static void reads_a_duration_in_each_unit(void **state)
{
	(void)state;
	assert_int_equal(duration_of("0"), 0);
	assert_int_equal(duration_of("20ms"), 20000);
	assert_int_equal(duration_of("5s"), 5000000);
	assert_int_equal(duration_of("10m"), 600000000);
	assert_int_equal(duration_of("8760h"), INT64_C(31536000000000));
}

static void refuses_what_is_not_a_duration(void **state)
{
	static const char *const texts[] = { "20",  "ms", "-5s", "1.5s",
		                             "5 s", "5S", "5ss", "9999999999s" };
	struct config_option o = row(OPTION_DURATION, "0", "1h");
	duration_t d = { 7 };
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(option_parse(&o, texts[i], &d, &err), -1);
	assert_refused(&o, "20", &d, "expected a duration such as 20ms, 5s, 10m or 1h, got 20");
	assert_refused(&o, "61m", &d, "61m is out of range: expected 0 to 1h");
	assert_int_equal(d.us, 7);
}

static void reads_a_rate_without_a_locale(void **state)
{
	struct config_option o = row(OPTION_RATE, "0.01", "1000");
	double rate = 0;

	(void)state;
	assert_int_equal(option_parse(&o, "5", &rate, NULL), 0);
	assert_true(rate == 5.0);
	assert_int_equal(option_parse(&o, "0.25", &rate, NULL), 0);
	assert_true(rate == 0.25);
	assert_refused(&o, "0.001", &rate, "0.001 is out of range: expected 0.01 to 1000");
	assert_refused(&o, "5/s", &rate,
	               "expected a decimal number of requests per second, got 5/s");
	assert_refused(&o, "1e3", &rate,
	               "expected a decimal number of requests per second, got 1e3");
	assert_refused(&o, "1.", &rate, "expected a decimal number of requests per second, got 1.");
	assert_true(rate == 0.25);
}

static void reads_a_number_within_its_bounds(void **state)
{
	struct config_option o = row(OPTION_COUNT, "1", "5");
	uint32_t n = 0;

	(void)state;
	assert_int_equal(option_parse(&o, "5", &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_refused(&o, "6", &n, "6 is out of range: expected 1 to 5");
	assert_refused(&o, "0", &n, "0 is out of range: expected 1 to 5");
	assert_refused(&o, "0x2", &n, "expected a whole number, got 0x2");
	assert_refused(&o, "99999999999999999999", &n,
	               "expected a whole number, got 99999999999999999999");
	assert_int_equal(n, 5);
}

static void reads_true_and_false_only(void **state)
{
	struct config_option o = row(OPTION_BOOL, "", "");
	bool yes = false;

	(void)state;
	assert_int_equal(option_parse(&o, "true", &yes, NULL), 0);
	assert_true(yes);
	assert_int_equal(option_parse(&o, "false", &yes, NULL), 0);
	assert_false(yes);
	assert_refused(&o, "yes", &yes, "expected true or false, got yes");
}

static void reads_a_word_as_its_position(void **state)
{
	struct config_option o = row(OPTION_CHOICE, "", "error,warn,info");
	unsigned position = 9;

	(void)state;
	assert_int_equal(option_parse(&o, "info", &position, NULL), 0);
	assert_int_equal(position, 2);
	assert_refused(&o, "inf", &position, "expected one of error,warn,info, got inf");
	assert_refused(&o, "", &position, "expected one of error,warn,info, got \"\"");
}

static void refuses_names_that_would_leave_their_path(void **state)
{
	struct config_option o = row(OPTION_NAME, "1", "10");
	char *name = NULL;

	(void)state;
	assert_int_equal(option_parse(&o, "a.B_c-9", &name, NULL), 0);
	assert_string_equal(name, "a.B_c-9");
	assert_refused(&o, "..", &name,
	               "expected a name of letters, digits, '.', '_' and '-', got ..");
	assert_refused(&o, "a/b", &name,
	               "expected a name of letters, digits, '.', '_' and '-', got a/b");
	assert_refused(&o, "", &name, "must not be empty");
	assert_refused(&o, "01234567890", &name, "is too long: at most 10 characters");
	assert_string_equal(name, "a.B_c-9");
	option_clear(&o, &name);
	assert_null(name);
}

static void refuses_control_characters_in_texts(void **state)
{
	struct config_option o = row(OPTION_TEXT, "0", "100");
	char *text = NULL;

	(void)state;
	assert_refused(&o, "a\r\nb", &text, "must not contain control characters");
	assert_int_equal(option_parse(&o, "", &text, NULL), 0);
	assert_null(text);
}

static void cuts_final_slashes_of_a_url(void **state)
{
	struct config_option o = row(OPTION_URL, "1", "100");
	char *url = NULL;

	(void)state;
	assert_int_equal(option_parse(&o, "https://graph.example/v1.0//", &url, NULL), 0);
	assert_string_equal(url, "https://graph.example/v1.0");
	assert_int_equal(url_origin_size(url), strlen("https://graph.example"));
	option_clear(&o, &url);
}

static void refuses_urls_that_are_more_than_a_base(void **state)
{
	struct config_option o = row(OPTION_URL, "1", "100");
	char *url = NULL;

	(void)state;
	assert_refused(&o, "graph.example", &url,
	               "expected a URL that begins with http:// or https://");
	assert_refused(&o, "file:///etc", &url,
	               "expected a URL that begins with http:// or https://");
	assert_refused(&o, "https://a/?x=1", &url, "expected a URL without '?' and '#'");
	assert_refused(&o, "https://a/#x", &url, "expected a URL without '?' and '#'");
	assert_refused(&o, "https://u:secret@a/", &url,
	               "a URL with a user or a password is not supported");
	assert_refused(&o, "https://", &url, "is not a valid URL");
	assert_refused(&o, "https://a:99999/", &url, "is not a valid URL");
}

static void knows_the_loopback_interface(void **state)
{
	(void)state;
	assert_true(url_is_loopback("http://127.0.0.1:80/x"));
	assert_true(url_is_loopback("http://[::1]:80"));
	assert_true(url_is_loopback("http://localhost"));
	assert_false(url_is_loopback("http://localhost.example"));
	assert_false(url_is_loopback("http://127.example"));
	assert_false(url_is_loopback("http://10.0.0.1"));
}

static void refuses_addresses_that_are_names(void **state)
{
	struct config_option o = row(OPTION_ADDRESS, "2", "45");
	char *address = NULL;

	(void)state;
	assert_int_equal(option_parse(&o, "::1", &address, NULL), 0);
	assert_int_equal(option_parse(&o, "127.0.0.1", &address, NULL), 0);
	assert_refused(&o, "localhost", &address,
	               "expected an IPv4 or IPv6 address, got localhost");
	option_clear(&o, &address);
}

static void bounds_the_items_of_a_list(void **state)
{
	struct config_option o = row(OPTION_NAMES, "0", "2");
	struct config_names names = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(option_append(&o, "a", &names, &err), 0);
	assert_int_equal(option_append(&o, "a", &names, &err), -1);
	assert_string_equal(err.msg, "a stands there twice");
	assert_int_equal(option_append(&o, "", &names, &err), -1);
	assert_int_equal(option_append(&o, "b", &names, &err), 0);
	assert_int_equal(option_append(&o, "c", &names, &err), -1);
	assert_string_equal(err.msg, "has too many items: at most 2");
	names_clear(&names);
}

static void measures_how_far_words_are_apart(void **state)
{
	(void)state;
	assert_int_equal(names_distance("window", "window"), 0);
	assert_int_equal(names_distance("windw", "window"), 1);
	assert_int_equal(names_distance("", "abc"), 3);
	assert_int_equal(names_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_duration_in_each_unit),
		cmocka_unit_test(refuses_what_is_not_a_duration),
		cmocka_unit_test(reads_a_rate_without_a_locale),
		cmocka_unit_test(reads_a_number_within_its_bounds),
		cmocka_unit_test(reads_true_and_false_only),
		cmocka_unit_test(reads_a_word_as_its_position),
		cmocka_unit_test(refuses_names_that_would_leave_their_path),
		cmocka_unit_test(refuses_control_characters_in_texts),
		cmocka_unit_test(cuts_final_slashes_of_a_url),
		cmocka_unit_test(refuses_urls_that_are_more_than_a_base),
		cmocka_unit_test(knows_the_loopback_interface),
		cmocka_unit_test(refuses_addresses_that_are_names),
		cmocka_unit_test(bounds_the_items_of_a_list),
		cmocka_unit_test(measures_how_far_words_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
