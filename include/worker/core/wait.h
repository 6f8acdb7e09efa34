/* What a command can be waiting for; timing.waitedFor of a reply has a member for each. */
#ifndef WORKER_CORE_WAIT_H
#define WORKER_CORE_WAIT_H

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

#endif
