/* What a command says when it cannot be done, and the exit code that goes with it. */
#ifndef WORKER_CLI_REFUSAL_H
#define WORKER_CLI_REFUSAL_H

#include "worker/base/err.h"
#include "worker/io/offsets.h"

/* Write one line to standard error. Returns the code. */
int cli_refuse(int code, const char *format, ...) PRINTF_LIKE(2, 3);

/* The exit code of what the brokers said of offsets; what is not OK is told. */
int cli_offsets_code(enum offsets_result result, const struct err *err) MUST_CHECK;

#endif
