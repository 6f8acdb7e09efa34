/* Lines for operators: time, level, a stable id, then key=value pairs.
 *
 *   2026-01-31T12:00:00.000Z warn graph.throttled call=… retry_after_ms=3000
 *
 * The id never changes once released, so that alerts can be built on it; the rest may. Values are
 * made printable here: control characters, spaces and quotes never reach the log as they came. */
#ifndef WORKER_BASE_LOG_H
#define WORKER_BASE_LOG_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"
#include "worker/base/instant.h"

#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

struct log {
	FILE *file;            /* Borrowed; where the lines go. NULL: nowhere */
	enum log_level level;  /* The most talkative level that is written */
	wall_t (*clock)(void); /* Tells the date of a line */
};

/* Write to 'file', up to 'level', with the system's clock. */
void log_init(struct log *log, FILE *file, enum log_level level);

/* False for a name that is not error, warn, info or debug. */
bool log_level_parse(const char *name, enum log_level *ret);

static inline bool log_enabled(const struct log *log, enum log_level level)
{
	return log->file && level <= log->level;
}

/* One line. 'format' gives the key=value pairs and may be "". */
void log_error(const struct log *log, const char *id, const char *format, ...) PRINTF_LIKE(3, 4);
void log_warn(const struct log *log, const char *id, const char *format, ...) PRINTF_LIKE(3, 4);
void log_info(const struct log *log, const char *id, const char *format, ...) PRINTF_LIKE(3, 4);
void log_debug(const struct log *log, const char *id, const char *format, ...) PRINTF_LIKE(3, 4);

/* Room for log_quote(), with the final NUL. */
#define LOG_QUOTE_SIZE 256

/* Make a text from outside safe as a value: quoted and escaped where needed, cut with "…" when
 * long. Returns 'out'. */
const char *log_quote(struct bytes text, char out[static LOG_QUOTE_SIZE]);

#endif
