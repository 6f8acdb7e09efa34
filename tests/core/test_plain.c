/* Runs of plain bytes, found eight at a time, against the same one by one. */
#include "worker/base/plain.h"
#include "worker/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7F && c != '"' && c != '\\';
}

static size_t count_plain(const char *at, size_t size)
{
	size_t n = 0;

	while (n < size && is_plain(at[n]))
		n++;
	return n;
}

/* Of what may be among the last bytes the caller has to look. */
static void assert_run(const char *at, size_t size)
{
	size_t plain = count_plain(at, size);
	size_t run = plain_run(at, size);

	if (plain < size - size % sizeof(uint64_t))
		assert_int_equal(run, plain);
	else
		assert_int_equal(run, size - size % sizeof(uint64_t));
}

static void every_byte_is_told_in_every_place(void **state)
{
	char text[24];

	(void)state;
	for (unsigned byte = 0; byte <= 255; byte++) {
		for (size_t place = 0; place < sizeof(text); place++) {
			memset(text, 'x', sizeof(text));
			text[place] = (char)byte;
			for (size_t size = 0; size <= sizeof(text); size++)
				assert_run(text, size);
		}
	}
}

static void several_stops_do_not_hide_each_other(void **state)
{
	struct random random;
	char text[32];

	(void)state;
	random_init(&random, 1);
	for (int i = 0; i < 100000; i++) {
		for (size_t k = 0; k < sizeof(text); k++)
			text[k] =
			    (char)(random_below(&random, 4) ? 'x' : random_below(&random, 256));
		assert_run(text, sizeof(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_is_told_in_every_place),
		cmocka_unit_test(several_stops_do_not_hide_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
