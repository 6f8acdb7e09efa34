/* What the control API can change about the simulated service as a whole. */
#ifndef SIMULATOR_SETTINGS_H
#define SIMULATOR_SETTINGS_H

#include "worker/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct settings {
	int64_t latency_ms;        /* Of every answer of Graph, but not of the token endpoint */
	int64_t jitter_ms;         /* Up to so much more, evenly spread */
	int64_t token_lifetime_s;  /* Of tokens given out from now on */
	int64_t roster_delay_ms;   /* From an effect until the roster shows it */
	int64_t complete_after_ms; /* From an effect until its operation is completed; -1: never */
	bool roster_empty;         /* The roster shows nobody */
	bool operations_gone;      /* Operations are not found any more */
	bool operations_fail;      /* A completed operation has failed */
	bool location;             /* Invites are answered with a Location header */
};

void settings_init(struct settings *settings);

/* Change the settings that 'object' names. */
int settings_read(struct settings *settings, const json_t *object, struct err *err) MUST_CHECK;

/* A new reference. */
json_t *settings_write(const struct settings *settings) MUST_CHECK;

#endif
