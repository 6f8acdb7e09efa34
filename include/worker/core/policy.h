/* Everything that steers the engine's decisions, as plain values. */
#ifndef WORKER_CORE_POLICY_H
#define WORKER_CORE_POLICY_H

#include "worker/base/instant.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Graph documents no more participants in one request. */
#define BATCH_MAX 5

/* Most header names in policy.copy_headers. */
#define COPY_HEADERS_MAX 16

/* What to do with a partition whose committed map cannot be used. */
enum bad_map {
	BAD_MAP_STOP,   /* Send nothing: a person must look at it */
	BAD_MAP_REPORT, /* What may have been begun is treated as begun */
	BAD_MAP_TRUST   /* The offset alone is right: nothing behind it was begun */
};

struct text_list {
	const char *const *texts; /* Borrowed */
	size_t count;
};

/* All texts are borrowed for the engine's life. */
struct policy {
	const char *reply_topic;
	const char *dead_letter_topic;
	struct text_list tenants;      /* A command may name one; the first is the default */
	const char *graph_url;         /* To build a Location that Graph left out */
	bool require_key;              /* The record's key must be the callId */
	duration_t max_age;            /* Older records are not sent; 0: no limit */
	duration_t default_expiry;     /* Of commands that name none; 0: they do not expire */
	bool dead_letter_failed;       /* What failed goes to the dead letters too */
	struct text_list copy_headers; /* Copied from a command to its reply */
	struct text_list reply_topics; /* What the header reply-topic may name */

	duration_t batch_window; /* How long a command waits for company */
	size_t batch_max;        /* Participants in one request, 1 to BATCH_MAX */
	bool phones_alone;       /* A phone participant shares no request */

	double call_rate; /* Requests a second for one call */
	uint32_t call_burst;
	double application_rate; /* Requests a second for all workers together */
	uint32_t application_burst;
	duration_t share_delay; /* How long a grown share of the application's rate is not used */
	uint32_t max_in_flight; /* Requests without an answer */
	uint32_t min_in_flight; /* So many at least, however slow Graph is */
	uint32_t breaker_row;   /* Ill answers in a row that stop sending; 0: none do */
	duration_t breaker_cap; /* Longest pause between two probes */
	uint32_t release_per_step; /* Most requests started by one event */

	duration_t retry_base;   /* First pause of the exponential backoff */
	duration_t retry_cap;    /* Longest pause of the backoff */
	duration_t max_hold;     /* A command that would be held longer fails */
	uint32_t max_attempts;   /* So many requests for nothing in a row, and a command fails */
	bool exactly_once;       /* What the map says was begun is not sent again */
	bool follow_operations;  /* Tell of each operation that Graph accepts */
	bool look_at_operations; /* Look for evidence of what may have been sent: better … */
	bool look_at_roster;     /* … and worse */
	enum bad_map on_bad_map;
	uint32_t history;            /* Records of a partition in which a commandId counts once */
	duration_t settle;           /* Before a command of unknown outcome may be sent again */
	duration_t call_over_memory; /* How long it is remembered that a call is over */
	uint32_t verdicts;           /* Of so many calls at most */
	duration_t call_grace; /* How long a call that was never seen may be unknown to Graph */

	uint32_t commands_per_partition; /* Open commands at which fetching pauses */
	uint32_t offsets_per_partition;  /* The same of offsets from the frontier, when more
	                                    commands are open than a map can list one by one */

	uint64_t seed; /* Of jitter and request ids */
	bool trace;    /* Say every decision in effects.trace */
};

/* Sensible values for everything but the texts. */
struct policy policy_default(void);

#endif
