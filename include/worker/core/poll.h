/* Operations that were accepted and have not ended, as far as this worker has seen: which of them
 * is to be asked for, and when.
 *
 * In memory only, so that they are forgotten when the process ends; whoever cannot bear that has
 * the bot's notifications (notification.h). Graph documents no such question for invites, and what
 * is over may be gone: all this is best effort, bounded and slow on purpose. */
#ifndef WORKER_CORE_POLL_H
#define WORKER_CORE_POLL_H

#include "worker/core/answer.h"
#include "worker/core/effects.h"

/* Questions without an answer. */
#define POLL_ASKED_MAX 8

struct poll_policy {
	const char *commands_topic; /* For ending_write(); borrowed */
	duration_t interval;        /* Before each question for an operation */
	duration_t patience; /* An operation that runs longer is asked for once more, then left */
	double rate;         /* Questions a second, for all of them */
	uint32_t most;       /* Operations at a time; more are not followed */
};

enum poll_result {
	POLL_RUNNING, /* It will be asked for (again) */
	POLL_ENDED,   /* It has ended: write the record */
	POLL_GONE,    /* Graph does not tell (any more) */
	POLL_LEFT     /* Nothing more is done about it: patience is over, or there is no room */
};

/* A record of the outcomes topic; borrowed until the next call. */
struct poll_record {
	struct bytes key;
	struct bytes value;
	bool has_failed; /* The operation */
};

struct poll;

/* Copies the policy. NULL when there is no memory. */
struct poll *poll_new(const struct poll_policy *policy, instant_t now) MUST_CHECK;
void poll_free(struct poll *p);

/* Graph has accepted an operation. '*ret' is filled in when it has ended at once. */
enum poll_result poll_follow(struct poll *p, const struct effect_follow *operation, instant_t now,
                             struct poll_record *ret) MUST_CHECK;

/* The next question that may be asked now; false when none may. '*ret' is borrowed until its answer
 * comes. */
bool poll_next(struct poll *p, instant_t now, struct effect_look *ret) MUST_CHECK;

/* What came back for a question; '*ret' is filled in when the operation has ended. */
enum poll_result poll_answered(struct poll *p, uint64_t look_id, const struct answer *answer,
                               instant_t now, wall_t wall, struct poll_record *ret) MUST_CHECK;

/* When poll_next() should be called again; NEVER: not before something else happens. */
instant_t poll_wake_at(const struct poll *p);

/* Operations that are followed. */
size_t poll_count(const struct poll *p);

#endif
