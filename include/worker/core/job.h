/* A command that is being worked on: from its record to its stored reply. */
#ifndef WORKER_CORE_JOB_H
#define WORKER_CORE_JOB_H

#include "worker/base/instant.h"
#include "worker/core/command.h"
#include "worker/core/ledger.h"
#include "worker/core/response.h"
#include "worker/core/wait.h"

#include <stddef.h>

struct call;
struct job;
struct partition;

enum job_state {
	JOB_FOLLOWING, /* Waits for the reply to the command that it repeats or withdraws */
	JOB_QUEUED,    /* Waits for its call; a part of it may have been sent */
	JOB_REPLYING,  /* All is decided; its reply is being written */
	JOB_HELD,      /* Its reply cannot be written: the offset stays open */
	JOB_ABANDONED  /* Its partition is being revoked: left for the next owner */
};

enum job_evidence { EVIDENCE_NONE, EVIDENCE_OPERATION, EVIDENCE_ROSTER };

enum delivery {
	DELIVERY_NEW,   /* Not sent, or known to have had no effect */
	DELIVERY_SENT,  /* In a request whose answer is not there */
	DELIVERY_DOUBT, /* May have been sent, and nobody knows what became of it: evidence is
	                   needed */
	DELIVERY_DONE   /* Decided */
};

/* What became of one participant. */
struct result {
	enum delivery delivery : 4;
	enum status status : 4;
	bool is_alone : 1;     /* Was refused in company: shares no request any more */
	bool was_accepted : 1; /* An owner before had the answer; evidence may name the operation */
	bool was_resent : 1;   /* The one more request that the command allows was made */
	int16_t operation;     /* Index into the response's operations, or -1 */
	int16_t error;         /* Index into its errors, or -1 */
	int16_t unknown_error; /* Of a request whose outcome is unknown unless evidence is found or
	                          a later request is accepted; -1: none */
};

/* A piece of copied values. */
struct span {
	uint32_t start;
	uint32_t size;
};

/* What a reply repeats of its record beside the command. */
struct copied {
	struct buffer values; /* One after another */
	bool has_key;         /* Of a rejected record: its own key */
	struct span key;
	size_t n_headers;
	struct copied_header {
		const char *name; /* Borrowed from the policy */
		struct span value;
	} headers[COPY_HEADERS_MAX];
};

/* What few jobs need. */
struct extra {
	struct copied *copied;   /* Owned; NULL: nothing */
	struct record *record;   /* Owned copy, in case it fails; NULL: not wanted, or too large */
	const char *reply_topic; /* Borrowed from the policy; NULL: the usual one */
	int64_t duplicate_of;    /* The offset of the command that it repeats; -1: none */
	struct job *followers;   /* Jobs that wait for this one, linked by 'next_follower' */
	struct job *next_follower;
};

/* There may be very many that wait: their members leave no gaps. */
struct job {
	struct ledger_entry entry; /* First member: a ledger's entries are jobs */
	struct job *prev, *next;   /* In its call's queue */
	struct partition *partition;
	struct call *call; /* NULL unless JOB_QUEUED */
	enum job_state state : 3;
	enum job_evidence evidence : 2; /* The weakest that was used */
	enum status status : 4;         /* Of a job without participants: rejected, or what a cancel
	                                   came to */
	bool was_split : 1;             /* A request carried only a part of it */
	bool is_canceled : 1;           /* What of it has not left shall not leave any more */
	bool is_active : 1;             /* Counted in partition.n_active */
	bool is_asked : 1;              /* A look that has begun is about its doubts */
	bool was_looked : 1;            /* The operations were read for them */
	uint8_t first_new;              /* No participant before it is DELIVERY_NEW */
	uint8_t n_done;                 /* Participants that are decided */
	uint8_t n_results;
	uint8_t n_places;       /* For results: one for each participant of the command */
	uint8_t batch_commands; /* Of the last request that carried a part of it */
	uint8_t batch_participants;
	uint32_t attempts;         /* Requests that carried a part of it */
	uint32_t retries;          /* Those that had no effect, since a part of it was decided */
	struct response *response; /* Owned; NULL: nothing to say yet. See job_response() */
	struct extra *extra;       /* Owned; NULL: nothing of it. See job_extra() */
	instant_t arrived;
	instant_t sent;          /* The first request; NEVER: none was */
	instant_t answered;      /* The last answer; NEVER: there was none */
	struct waits waited;     /* Its call's when it came; of one that replies: its own */
	struct result results[]; /* And behind their places the command */
};

_Static_assert(BATCH_MAX <= UINT8_MAX, "participants are counted in one byte");
_Static_assert(sizeof(struct result) % _Alignof(struct command) == 0 &&
                   offsetof(struct job, results) % _Alignof(struct command) == 0,
               "a command may lie behind the results");
_Static_assert(JOB_ABANDONED < 8 && EVIDENCE_ROSTER < 4 && STATUS_COUNT <= 16,
               "they take three, two and four bits");

/* A job with a copy of 'command'. NULL when there is no memory. */
struct job *job_new(struct partition *partition, const struct command *command) MUST_CHECK;
void job_free(struct job *job);

/* What it is about: in the job's own memory. */
static inline const struct command *job_command(const struct job *job)
{
	const void *behind = job->results + job->n_places;

	return behind;
}

/* The job's own, made when it is asked for the first time. NULL when there is no memory. */
struct extra *job_extra(struct job *job) MUST_CHECK;

/* What was copied of its record, or NULL. */
static inline const struct copied *job_copied(const struct job *job)
{
	return job->extra ? job->extra->copied : NULL;
}

/* The offset of the command that it repeats, or -1. */
static inline int64_t job_duplicate_of(const struct job *job)
{
	return job->extra ? job->extra->duplicate_of : -1;
}

/* Keep the values of the record's headers that policy.copy_headers names, and the reply topic that
 * it may choose. False when there is no memory. */
bool job_copy_headers(struct job *job, const struct policy *policy,
                      const struct record *record) MUST_CHECK;

/* Keep the key of a record that is rejected, for its reply. False when there is no memory. */
bool job_copy_key(struct job *job, struct bytes key) MUST_CHECK;

/* Its response, made when it is asked for the first time. NULL when there is no memory. */
struct response *job_response(struct job *job) MUST_CHECK;

/* The operations that its reply names, and the errors that it may tell of. */
static inline const struct fragments *job_operations(const struct job *job)
{
	return job->response ? job->response->operations : NULL;
}

static inline const struct fragments *job_errors(const struct job *job)
{
	return job->response ? job->response->errors : NULL;
}

/* Add a JSON text to them; its index, or -1 when there is no memory. */
int16_t job_add_operation(struct job *job, struct bytes json) MUST_CHECK;
int16_t job_add_error(struct job *job, struct bytes json) MUST_CHECK;

/* It is rejected after all: it has no participants to decide. */
void job_reject(struct job *job);

/* Decide the participant 'index'. What may have been sent before is not said to have failed: it
 * stays unknown. */
void job_decide(struct job *job, size_t index, enum status status, int16_t operation,
                int16_t error);

/* This job waits until the reply to 'first' is stored. False when there is no memory. */
bool job_follow(struct job *job, struct job *first) MUST_CHECK;

/* Decide all participants that are not decided. Without participants: this is its status. */
void job_decide_rest(struct job *job, enum status status, int16_t error);

static inline bool job_is_decided(const struct job *job)
{
	return job->n_done == job->n_results;
}

/* True when a part of it is still to be sent; when a part of it was or is being sent. */
bool job_has_new(const struct job *job);
bool job_is_started(const struct job *job);

/* True when its reply, or what stands for it, is stored; 'staged': or in the open transaction. */
bool job_is_replied(const struct job *job, bool staged);

/* True when it cannot be known of a part whether it was sent. */
bool job_has_doubt(const struct job *job);

/* The status of the whole command. */
enum status job_status(const struct job *job);

#endif
