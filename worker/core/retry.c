/* Backoff and Retry-After: see retry.h. */
#include "worker/core/retry.h"

#include <string.h>

#define US_PER_SECOND INT64_C(1000000)
#define SECONDS_MAX   INT64_C(1000000000) /* Longer than any hold; keeps sums far from overflow */

duration_t retry_backoff(duration_t base, duration_t cap, unsigned failures, struct random *random)
{
	int64_t pause = base.us;

	for (unsigned i = 1; i < failures && pause < cap.us; i++)
		pause *= 2;
	if (pause > cap.us)
		pause = cap.us;
	return (duration_t){ pause - pause / 4 +
		             (int64_t)random_below(random, (uint64_t)(pause / 4) + 1) };
}

/* "10" or "2.128" as microseconds, rounded up. */
static bool parse_seconds(const char *text, duration_t *ret)
{
	int64_t seconds = 0, fraction = 0, unit = US_PER_SECOND / 10;
	bool has_rest = false;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++)
		if (seconds < SECONDS_MAX)
			seconds = seconds * 10 + (*p - '0');
	if (p == text)
		return false;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10) {
			fraction += (*p - '0') * unit;
			has_rest = has_rest || (unit == 0 && *p > '0');
		}
	}
	ret->us =
	    (seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * US_PER_SECOND + fraction + has_rest;
	return *p == '\0';
}

bool retry_after_parse(const char *text, wall_t now, duration_t *ret)
{
	wall_t date;

	if (parse_seconds(text, ret))
		return true;
	if (!wall_parse_http(text, &date))
		return false;
	ret->us = date.us > now.us ? date.us - now.us : 0;
	return true;
}
