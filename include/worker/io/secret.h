/* A text that nobody may see, and the file that it can be read from again. */
#ifndef WORKER_IO_SECRET_H
#define WORKER_IO_SECRET_H

#include "worker/base/check.h"
#include "worker/base/err.h"

#include <stddef.h>

/* Where a secret comes from. Borrowed; zeroed: there is none. */
struct secret_source {
	const char *text; /* What it was at the start */
	const char *file; /* Where it may change; NULL: it does not */
};

/* Read a file of at most 'limit' bytes, apart from a newline at its end, which is dropped. NULL
 * when it cannot be read, is empty, too long, or contains NUL; 'err' then says so, but repeats
 * neither its content nor the path, which may be the secret itself, written in the wrong place. The
 * caller owns the text and wipes it. */
char *secret_read(const char *file, size_t limit, struct err *err) MUST_CHECK;

/* Overwrite and free; NULL is allowed. */
void secret_wipe(char *text);

#endif
