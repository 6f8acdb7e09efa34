/* Dates as text: RFC 3339 and the three forms of HTTP. */
#include "worker/base/instant.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_SECOND INT64_C(1000000)

void wall_format(wall_t w, char text[static WALL_TEXT_SIZE])
{
	int64_t rounded_down = w.us / 1000 - (w.us % 1000 < 0);
	time_t seconds = (time_t)(rounded_down / 1000);
	int milliseconds = (int)(rounded_down % 1000);
	struct tm tm;
	size_t n;

	if (milliseconds < 0) {
		milliseconds += 1000;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	n = strftime(text, WALL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, WALL_TEXT_SIZE - n, ".%03dZ", milliseconds);
}

/* Read exactly 'digits' digits at '*p' as a number from 'min' to 'max'. */
static bool take_number(const char **p, int digits, int min, int max, int *ret)
{
	int value = 0;

	for (int i = 0; i < digits; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		value = value * 10 + (**p - '0');
	}
	*ret = value;
	return value >= min && value <= max;
}

static bool take_char(const char **p, const char *allowed)
{
	if (**p == '\0' || !strchr(allowed, **p))
		return false;
	(*p)++;
	return true;
}

static bool take_fraction(const char **p, int64_t *ret_us)
{
	int64_t unit = US_PER_SECOND / 10;
	const char *first;

	*ret_us = 0;
	if (**p != '.')
		return true;
	first = ++*p;
	for (; **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		*ret_us += (**p - '0') * unit;
	return *p > first;
}

/* "Z", "+hh:mm" or "-hh:mm", in seconds east of Greenwich. */
static bool take_offset(const char **p, int *ret_seconds)
{
	int hours, minutes, sign;

	*ret_seconds = 0;
	if (take_char(p, "Zz"))
		return true;
	sign = **p == '-' ? -1 : 1;
	if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 59, &minutes))
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool take_date_time(const char **p, struct tm *tm)
{
	int year, month, day;

	*tm = (struct tm){ 0 };
	if (!take_number(p, 4, 1, 9999, &year) || !take_char(p, "-") ||
	    !take_number(p, 2, 1, 12, &month) || !take_char(p, "-") ||
	    !take_number(p, 2, 1, days_in_month(year, month), &day) || !take_char(p, "Tt ") ||
	    !take_number(p, 2, 0, 23, &tm->tm_hour) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 59, &tm->tm_min) || !take_char(p, ":") ||
	    !take_number(p, 2, 0, 60, &tm->tm_sec))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return true;
}

bool wall_parse_rfc3339(const char *text, size_t size, wall_t *ret)
{
	char copy[64];
	const char *p = copy;
	struct tm tm;
	int64_t fraction_us;
	int offset;

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (!take_date_time(&p, &tm) || !take_fraction(&p, &fraction_us) ||
	    !take_offset(&p, &offset) || p != copy + size)
		return false;
	ret->us = ((int64_t)timegm(&tm) - offset) * US_PER_SECOND + fraction_us;
	return true;
}

bool wall_parse_http(const char *text, wall_t *ret)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
		"%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
		"%a %b %e %H:%M:%S %Y",      /* asctime() */
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);

		if (end && *end == '\0') {
			ret->us = (int64_t)timegm(&tm) * US_PER_SECOND;
			return true;
		}
	}
	return false;
}
