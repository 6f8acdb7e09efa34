/* A call with work or with a bucket that is not full: its queue, its rate, and what it waits for.
 *
 *            job arrives            ready                 token, mark
 *   IDLE ----------------> WAITING ------> READY (ring) ---------------> BUSY
 *    ^                      ^   ^            |                            |
 *    |  queue empty         |   +------------+ (held, expired)            |
 *    +----------------------+---------------------------------------------+ answer
 *
 * One request of a call is in flight at a time, so its commands are sent in the order of their
 * offsets, those of high priority first. The next one may be begun meanwhile: see successor.h. */
#ifndef WORKER_CORE_CALL_H
#define WORKER_CORE_CALL_H

#include "worker/base/table.h"
#include "worker/core/job.h"
#include "worker/core/limiter.h"

struct doubt;
struct engine;
struct invite;
struct verdict;

enum call_state {
	CALL_IDLE,    /* Nothing to send; kept until its bucket is full, and while it is known to be
	                 over */
	CALL_WAITING, /* For something of its own: its timer is armed */
	CALL_READY,   /* In the scheduler's ring */
	CALL_BUSY     /* A request of it is being marked or answered, or evidence is looked for */
};

enum call_queue { QUEUE_HIGH, QUEUE_NORMAL, QUEUE_COUNT };

/* There may be very many that wait. What few of them need stands apart, and the members are in an
 * order that leaves no gaps: what every command reads comes first. */
struct call {
	struct partition *partition;
	struct job *queue[QUEUE_COUNT];
	uint32_t n_jobs; /* In these queues */
	uint32_t doubts; /* Those of which a part may have been sent: they come first */
	enum call_state state : 8;
	enum call_queue ring : 8;    /* Which ring it stands in while READY */
	enum wait wait : 8;          /* What it waits for since 'wait_since' */
	enum reason hold_reason : 8; /* What its commands fail with when a hold lasts too long */
	uint32_t wait_since;         /* wait_ms() of that instant, … */
	struct limiter limiter;      /* Of engine.rates.call */
	instant_t hold_until;        /* Nothing is sent before it */
	instant_t held_since;        /* Begin of an unbroken row of holds; NEVER: none */
	wall_t next_expiry;          /* No command of it expires earlier; INT64_MAX: none does */
	struct verdict *verdict;     /* Owned; NULL: it is not known to be over */
	struct waits waited;         /* Up to 'wait_since' */
	uint64_t alarm_id;           /* In engine.alarms */
	struct invite *invite;       /* While BUSY */
	struct call *prev, *next;    /* In the scheduler's ring */
	struct doubt *doubt;         /* Owned; NULL: there never were 'doubts' */
	instant_t held_at;           /* When it was last told to wait */
	uint32_t wait_ill;           /* … and of breaker_ill_time() then */
	uint16_t failures;           /* In the row of holds; steers the backoff */
	uint8_t split_left; /* Participants of a refused batch that were not answered alone yet */
	bool split_failed : 1;   /* One of 'split_left' was refused alone too */
	bool is_established : 1; /* Graph has accepted a request for it */
	bool is_single : 1;      /* Takes one participant a request: not a group call */
	bool is_armed : 1;       /* The shell has an alarm for it */
	uint16_t tenant;         /* Index in policy.tenants */
	char id[];
};

/* For calls, by 'tenant' and 'id'. */
void call_table_init(struct table *t);

/* The call that the command is for, made when it is new. The same id in another tenant is another
 * call. NULL when there is no memory. */
struct call *call_get(struct engine *e, struct partition *partition,
                      const struct command *command) MUST_CHECK;

/* The same, or NULL when there is none. */
struct call *call_find(const struct partition *partition, const struct command *command);

/* Free a call; nothing may be in flight. Jobs that are still queued stay in the ledger, abandoned.
 */
void call_free(struct engine *e, struct call *call);

void call_enqueue(struct engine *e, struct call *call, struct job *job);
void call_dequeue(struct call *call, struct job *job);

/* The first job of the queue, those of high priority first; NULL when it is empty. */
struct job *call_first(const struct call *call);

/* The first of which a part is still to be sent; NULL when there is none. */
struct job *call_first_new(const struct call *call);

/* The job behind 'job' in the order of sending. */
struct job *call_after(const struct call *call, const struct job *job);

/* Look at everything that the call may wait for, and let it wait, stand in the ring, or be
 * forgotten. May free it. Not while BUSY. */
void call_update(struct engine *e, struct call *call);

/* A part of a job may have been sent: nothing of the call goes on before evidence was looked for,
 * and that not before the settle time. A look that is on its way is not about this job. */
void call_doubt(struct engine *e, struct call *call);

/* Nothing of the call is sent before 'until'. Never shortens a hold. */
void call_hold(struct engine *e, struct call *call, instant_t until, enum reason reason);

/* The row of holds is over: Graph took a request. */
void call_clear_hold(struct call *call);

/* End the commands whose time is over, those held for too long, and all that are not in doubt when
 * the call is over. */
void call_expire(struct engine *e, struct call *call);

/* The job's time may be over before that of all others: call_expire() must look at it. */
void call_note_expiry(struct call *call, const struct job *job);

/* Change what the call waits for, and count what it waited. */
void call_wait_for(struct engine *e, struct call *call, enum wait wait);

/* Bring 'waited' up to date. */
void call_count_wait(struct engine *e, struct call *call);

#endif
