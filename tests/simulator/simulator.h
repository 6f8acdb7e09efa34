/* Everything that one simulated Graph consists of. */
#ifndef SIMULATOR_SIMULATOR_H
#define SIMULATOR_SIMULATOR_H

#include "simulator/calls.h"
#include "simulator/credentials.h"
#include "simulator/journal.h"
#include "simulator/rules.h"
#include "simulator/server.h"
#include "simulator/settings.h"
#include "simulator/tokens.h"
#include "worker/base/log.h"
#include "worker/base/random.h"

#include <time.h>
#include <uv.h>

/* From the command line; the texts live as long as the process. */
struct options {
	const char *address;
	int http_port, https_port;                      /* 0: any that is free; -1: not served */
	const char *cert, *key;                         /* Files in PEM */
	const char *rules, *journal;                    /* Files, or NULL */
	const char *tenant, *client_id, *client_secret; /* NULL: any is good */
	int64_t latency_ms, token_lifetime_s, seed, keep;
};

struct simulator {
	const struct options *options; /* Borrowed */
	uv_loop_t loop;
	struct log log;
	struct random random;
	struct settings settings;
	struct rules rules;
	struct credentials credentials;
	struct tokens tokens;
	struct calls calls;
	struct journal journal;
	struct server server;
	uint64_t requests;  /* Since the start; the newest has this number */
	uint64_t invites;   /* Requests on the invite path that came whole */
	uint64_t effects;   /* Invites that took effect */
	uint64_t in_flight; /* Exchanges that are not over, control requests apart */
};

static inline instant_t simulator_now(void)
{
	return (instant_t){ (int64_t)(uv_hrtime() / 1000) };
}

static inline wall_t simulator_wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (wall_t){ (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 };
}

#endif
