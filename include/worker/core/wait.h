/* What a command can be waiting for; timing.waitedFor of a reply has a member for each. */
#ifndef WORKER_CORE_WAIT_H
#define WORKER_CORE_WAIT_H

#include <stdint.h>

/* WAIT(name, member, meaning) */
#define WAIT_TABLE(WAIT)                                                                           \
	WAIT(BATCH, "batch", "company for its request: batch.window")                              \
	WAIT(RATE, "callRate", "a token of its call: rate.call")                                   \
	WAIT(HOLD, "hold", "the end of a Retry-After, a backoff or a settle time")                 \
	WAIT(APPLICATION, "application",                                                           \
	     "the application: its rate, a hold of it, or a free request")                         \
	WAIT(BREAKER, "breaker", "Graph to be well again, while it is probed")                     \
	WAIT(CALL, "call", "the request before it of the same call")

enum wait {
#define WAIT(name, member, meaning) WAIT_##name,
	WAIT_TABLE(WAIT)
#undef WAIT
	    WAIT_COUNT,
	WAIT_NONE = WAIT_COUNT
};

/* What was waited in all, by reason: milliseconds, modulo 2^32 (49 days). */
struct waits {
	uint32_t ms[WAIT_COUNT];
};

/* The whole milliseconds of a time in microseconds. Spans are counted between two of these, so that
 * many short ones come to as much as one long one. */
static inline uint32_t wait_ms(int64_t us)
{
	return (uint32_t)(us / 1000);
}

#endif
