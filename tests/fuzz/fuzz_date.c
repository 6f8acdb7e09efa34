/* Dates and pauses from outside: read or refused, and never negative. What wall_parse_rfc3339()
 * reads is still the same when it is written and read again. */
#include "fuzz/fuzz.h"
#include "worker/core/retry.h"

#include <stdlib.h>

/* The years 1000 to 9999, in microseconds since 1970: what has four digits when it is written. */
#define YEAR_1000  INT64_C(-30610224000000000)
#define YEAR_10000 INT64_C(253402300800000000)

static void check_rfc3339(const char *text, size_t size)
{
	char written[WALL_TEXT_SIZE];
	wall_t date, again;

	if (!wall_parse_rfc3339(text, size, &date) || date.us < YEAR_1000 || date.us >= YEAR_10000)
		return;
	wall_format(date, written);
	CHECK(wall_parse_rfc3339(written, strlen(written), &again));
	CHECK(again.us <= date.us && date.us - again.us < 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const wall_t now = { INT64_C(1767225600000000) };
	char *text = input_text((struct bytes){ (const char *)data, size });
	duration_t pause;

	check_rfc3339((const char *)data, size);
	if (retry_after_parse(text, now, &pause))
		CHECK(pause.us >= 0);
	free(text);
	return 0;
}
