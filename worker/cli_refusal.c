#include "worker/cli_refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int cli_refuse(int code, const char *format, ...)
{
	va_list args;

	fputs("invite-worker: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int cli_offsets_code(enum offsets_result result, const struct err *err)
{
	if (result == OFFSETS_OK)
		return EX_OK;
	return cli_refuse(result == OFFSETS_REFUSED ? EX_NOPERM : EX_UNAVAILABLE, "%s", err->msg);
}
