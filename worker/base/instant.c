/* Dates as text: RFC 3339 and the three forms of HTTP. */
#include "worker/base/instant.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_SECOND INT64_C(1000000)

#define SECONDS_PER_DAY 86400

/* The year, month and day of a day counted from 1970. Years are taken to begin in March, so that a
 * leap day is the last of its year; 400 of them are an era. */
static void civil_from_days(int64_t days, int ret[static 3])
{
	int64_t shifted = days + 719468; /* From the first of March of the year 0 */
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day + 2) / 153;

	ret[0] = (int)(year_of_era + era * 400 + (month >= 10));
	ret[1] = (int)(month < 10 ? month + 3 : month - 9);
	ret[2] = (int)(day - (153 * month + 2) / 5 + 1);
}

/* Write the last 'digits' digits and a character behind them. */
static char *put_number(char *to, int64_t number, int digits, char behind)
{
	for (int i = digits; i-- > 0; number /= 10)
		to[i] = (char)('0' + number % 10);
	to[digits] = behind;
	return to + digits + 1;
}

/* Rounded down, also before 1970. */
static int64_t divide_down(int64_t number, int64_t by)
{
	return number / by - (number % by < 0);
}

void wall_format(wall_t w, char text[static WALL_TEXT_SIZE])
{
	int64_t milliseconds = divide_down(w.us, 1000);
	int64_t seconds = divide_down(milliseconds, 1000);
	int64_t days = divide_down(seconds, SECONDS_PER_DAY);
	int64_t of_day = seconds - days * SECONDS_PER_DAY;
	int date[3];

	civil_from_days(days, date);
	text = put_number(text, date[0], 4, '-');
	text = put_number(text, date[1], 2, '-');
	text = put_number(text, date[2], 2, 'T');
	text = put_number(text, of_day / 3600, 2, ':');
	text = put_number(text, of_day / 60 % 60, 2, ':');
	text = put_number(text, of_day % 60, 2, '.');
	text = put_number(text, milliseconds - seconds * 1000, 3, 'Z');
	*text = '\0';
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
