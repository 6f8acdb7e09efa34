/* Messages for people: see err.h. */
#include "worker/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return -1;
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
	struct err inner;
	va_list args;
	size_t used, left;

	if (!err)
		return -1;
	inner = *err;
	va_start(args, format);
	vsnprintf(err->msg, sizeof(err->msg), format, args);
	va_end(args);
	used = strlen(err->msg);
	left = sizeof(err->msg) - used;
	if (left > sizeof(": "))
		snprintf(err->msg + used, left, ": %.*s", (int)(left - sizeof(": ")), inner.msg);
	return -1;
}

_Noreturn void check_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this is a bug of invite-worker: !(%s)\n", file, line, condition);
	abort();
}
