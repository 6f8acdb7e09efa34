/* Reading one value of each type: option_parse() and option_append() of option.h. */
#include "worker/base/log.h"
#include "worker/config/cloud.h"
#include "worker/config/names.h"
#include "worker/config/option.h"
#include "worker/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More digits than any limit has, and few enough that no product below overflows. */
#define DIGITS_MAX 9

static int expected(const struct config_option *o, const char *text, struct err *err)
{
	char quoted[LOG_QUOTE_SIZE];

	return err_set(err, "expected %s, got %s", option_type_text(o->type),
	               *text ? log_quote(bytes_of(text), quoted) : "nothing");
}

static int out_of_range(const struct config_option *o, const char *text, struct err *err)
{
	char quoted[LOG_QUOTE_SIZE];

	return err_set(err, "%s is out of range: expected %s to %s",
	               log_quote(bytes_of(text), quoted), o->least, o->most);
}

/* Digits at the start of 'text'; -1 when there are none or too many. '*ret_end' is what follows. */
static int64_t parse_digits(const char *text, const char **ret_end)
{
	size_t n = strspn(text, "0123456789");
	int64_t value = 0;

	if (n == 0 || n > DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (text[i] - '0');
	*ret_end = text + n;
	return value;
}

/* -1 when it is not a whole number. */
static int64_t parse_count(const char *text)
{
	const char *end = "";
	int64_t value = parse_digits(text, &end);

	return *end ? -1 : value;
}

/* Microseconds, or -1 when it is not a duration. */
static int64_t parse_duration(const char *text)
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {
		{ "ms", 1000 },
		{ "s", 1000000 },
		{ "m", INT64_C(60) * 1000000 },
		{ "h", INT64_C(3600) * 1000000 },
	};
	const char *unit = "";
	int64_t value = parse_digits(text, &unit);

	if (value <= 0 && *unit == '\0')
		return value;
	for (size_t i = 0; value >= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) == 0)
			return value * units[i].us;
	}
	return -1;
}

/* Millionths, or -1 when it is not a decimal number with at most six places. */
static int64_t parse_rate(const char *text)
{
	const char *rest = "";
	int64_t value = parse_digits(text, &rest);
	int64_t place = 100000;

	if (value < 0)
		return -1;
	value *= 1000000;
	if (*rest == '\0')
		return value;
	if (*rest++ != '.' || *rest == '\0')
		return -1;
	for (; isdigit((unsigned char)*rest) && place > 0; rest++, place /= 10)
		value += (*rest - '0') * place;
	return *rest ? -1 : value;
}

/* A number of a type of which 'parse' knows the form and both limits are given in the same form. */
static int parse_number(const struct config_option *o, const char *text,
                        int64_t (*parse)(const char *), int64_t *ret, struct err *err)
{
	int64_t value = parse(text);

	if (value < 0)
		return expected(o, text, err);
	if (value < parse(o->least) || value > parse(o->most))
		return out_of_range(o, text, err);
	*ret = value;
	return 0;
}

static int parse_bool(const struct config_option *o, const char *text, bool *ret, struct err *err)
{
	bool yes = strcmp(text, "true") == 0;

	if (!yes && strcmp(text, "false") != 0)
		return expected(o, text, err);
	*ret = yes;
	return 0;
}

/* A word that many will try, and why it is none. */
static const char *refused_word(const struct config_option *o, const char *text)
{
	if (o == option_at(OPTION_AT_graph_cloud) && strcmp(text, "china") == 0)
		return CLOUD_NO_CHINA;
	return NULL;
}

static int parse_choice(const struct config_option *o, const char *text, unsigned *ret,
                        struct err *err)
{
	const char *why = refused_word(o, text);
	char quoted[LOG_QUOTE_SIZE];
	unsigned position = 0;

	if (why)
		return err_set(err, "%s", why);
	for (const char *word = o->most; *word; position++) {
		size_t size = strcspn(word, ",");

		if (size == strlen(text) && strncmp(word, text, size) == 0) {
			*ret = position;
			return 0;
		}
		word += size + (word[size] == ',');
	}
	return err_set(err, "expected one of %s, got %s", o->most,
	               log_quote(bytes_of(text), quoted));
}

static int check_text(const char *text, struct err *err)
{
	for (const char *c = text; *c; c++) {
		if (iscntrl((unsigned char)*c))
			return err_set(err, "must not contain control characters");
	}
	return 0;
}

/* Names become topics and segments of URLs, so "." and ".." are refused too. */
static int check_name(const struct config_option *o, const char *text, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789._-";
	char quoted[LOG_QUOTE_SIZE];

	if (text[strspn(text, allowed)] != '\0' || strcmp(text, ".") == 0 ||
	    strcmp(text, "..") == 0)
		return err_set(err, "expected %s, got %s", option_type_text(OPTION_NAME),
		               log_quote(bytes_of(text), quoted));
	return o->type == OPTION_NAMES && *text == '\0' ? err_set(err, "a name is empty") : 0;
}

static int check_file(const char *text, struct err *err)
{
	char quoted[LOG_QUOTE_SIZE];

	if (access(text, R_OK) != 0)
		return err_set(err, "%s cannot be read: %s", log_quote(bytes_of(text), quoted),
		               strerror(errno));
	return 0;
}

static int check_address(const struct config_option *o, const char *text, struct err *err)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1)
		return 0;
	return expected(o, text, err);
}

static int check_characters(const struct config_option *o, const char *text, struct err *err)
{
	switch (o->type) {
	case OPTION_NAME:
	case OPTION_NAMES:
		return check_name(o, text, err);
	case OPTION_FILE:
		return check_file(text, err);
	case OPTION_ADDRESS:
		return check_address(o, text, err);
	case OPTION_URL:
		return url_check(text, err);
	case OPTION_TEXT:
	case OPTION_BOOL:
	case OPTION_COUNT:
	case OPTION_DURATION:
	case OPTION_RATE:
	case OPTION_CHOICE:
	case OPTION_SECRET:
		return 0;
	}
	return 0;
}

static int parse_text(const struct config_option *o, const char *text, char **ret, struct err *err)
{
	size_t size = strlen(text);

	if (size < (size_t)parse_count(o->least))
		return err_set(err, "must not be empty");
	if (size > (size_t)parse_count(o->most))
		return err_set(err, "is too long: at most %s characters", o->most);
	if (check_text(text, err) != 0 || (size && check_characters(o, text, err) != 0))
		return -1;
	while (o->type == OPTION_URL && size && text[size - 1] == '/')
		size--;
	free(*ret);
	*ret = size ? names_copy(text, size) : NULL;
	return 0;
}

int option_parse(const struct config_option *o, const char *text, void *field, struct err *err)
{
	int64_t number = 0;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_FILE:
	case OPTION_ADDRESS:
	case OPTION_URL:
		return parse_text(o, text, field, err);
	case OPTION_BOOL:
		return parse_bool(o, text, field, err);
	case OPTION_CHOICE:
		return parse_choice(o, text, field, err);
	case OPTION_COUNT:
		if (parse_number(o, text, parse_count, &number, err) != 0)
			return -1;
		*(uint32_t *)field = (uint32_t)number;
		return 0;
	case OPTION_DURATION:
		if (parse_number(o, text, parse_duration, &number, err) != 0)
			return -1;
		*(duration_t *)field = (duration_t){ number };
		return 0;
	case OPTION_RATE:
		if (parse_number(o, text, parse_rate, &number, err) != 0)
			return -1;
		*(double *)field = (double)number / 1e6;
		return 0;
	case OPTION_NAMES:
	case OPTION_SECRET:
		break;
	}
	CHECK(o->type != OPTION_NAMES && o->type != OPTION_SECRET);
	return -1;
}

int option_append(const struct config_option *o, const char *text, struct config_names *names,
                  struct err *err)
{
	char quoted[LOG_QUOTE_SIZE];

	if (names->count >= (size_t)parse_count(o->most))
		return err_set(err, "has too many items: at most %s", o->most);
	if (strlen(text) > 249)
		return err_set(err, "has a name of more than 249 characters");
	if (check_name(o, text, err) != 0)
		return -1;
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->list[i], text) == 0)
			return err_set(err, "%s stands there twice",
			               log_quote(bytes_of(text), quoted));
	}
	names_push(names, names_copy(text, strlen(text)));
	return 0;
}
