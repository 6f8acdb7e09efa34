/* Time as types, so that an instant, a span and a date cannot be mistaken for each other. */
#ifndef WORKER_BASE_INSTANT_H
#define WORKER_BASE_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point on a monotonic clock, in microseconds since an origin of the caller's choice. */
typedef struct instant {
	int64_t us;
} instant_t;

/* A span between two instants, in microseconds. */
typedef struct duration {
	int64_t us;
} duration_t;

/* A date: microseconds since 1970-01-01T00:00:00Z. */
typedef struct wall {
	int64_t us;
} wall_t;

/* Later than every other instant: "no alarm". */
#define INSTANT_NEVER ((instant_t){ INT64_MAX })

/* Room for wall_format(), with the final NUL. */
#define WALL_TEXT_SIZE 32

static inline duration_t duration_ms(int64_t ms)
{
	return (duration_t){ ms * 1000 };
}

static inline int64_t duration_to_ms(duration_t d)
{
	return d.us / 1000;
}

static inline bool instant_is_never(instant_t t)
{
	return t.us == INT64_MAX;
}

static inline bool instant_before(instant_t a, instant_t b)
{
	return a.us < b.us;
}

/* 't' plus 'd', saturating at INSTANT_NEVER. */
static inline instant_t instant_add(instant_t t, duration_t d)
{
	if (d.us > 0 && t.us > INT64_MAX - d.us)
		return INSTANT_NEVER;
	return (instant_t){ t.us + d.us };
}

static inline duration_t instant_since(instant_t later, instant_t earlier)
{
	return (duration_t){ later.us - earlier.us };
}

static inline instant_t instant_min(instant_t a, instant_t b)
{
	return a.us < b.us ? a : b;
}

static inline instant_t instant_max(instant_t a, instant_t b)
{
	return a.us > b.us ? a : b;
}

/* Write 'w' as RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.000Z. */
void wall_format(wall_t w, char text[static WALL_TEXT_SIZE]);

/* Read an RFC 3339 date-time of 'size' bytes, with any offset and fraction. False if it is not one.
 */
bool wall_parse_rfc3339(const char *text, size_t size, wall_t *ret);

/* Read an HTTP-date in any of the three forms of RFC 9110 section 5.6.7. False if it is not one. */
bool wall_parse_http(const char *text, wall_t *ret);

#endif
