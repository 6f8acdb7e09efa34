/* Why something of ours could not be done, as a sentence for the person who must mend it. */
#ifndef WORKER_BASE_ERR_H
#define WORKER_BASE_ERR_H

#include "worker/base/check.h"

/* Outermost step first: "read config/x.yaml: line 3: unknown option". */
struct err {
	char msg[512];
};

/* Set the message; a NULL 'err' is allowed. Returns -1, so that `return err_set(…)` reads well. */
int err_set(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Put "context: " in front of the message. Returns -1. */
int err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
