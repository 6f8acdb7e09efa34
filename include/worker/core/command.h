/* A command, read from a record and checked against the contract (config/command.schema.json).
 *
 * Each participant is kept as the JSON text that will be sent, so that sending is only copying. */
#ifndef WORKER_CORE_COMMAND_H
#define WORKER_CORE_COMMAND_H

#include "worker/base/buffer.h"
#include "worker/core/policy.h"
#include "worker/core/reason.h"
#include "worker/core/record.h"

/* Limits of the contract. Lengths of texts are counted in code points. */
#define COMMAND_BYTES_MAX        65536
#define COMMAND_NESTING_MAX      16
#define COMMAND_PARTICIPANTS_MAX 100
#define COMMAND_ID_MAX           128
#define COMMAND_CONTEXT_MAX      256
/* What the contexts of the worker's own making begin with: see context.h. */
#define CONTEXT_PREFIX "iw:"

#define COMMAND_IDENTITY_MAX 256

enum participant_kind {
	PARTICIPANT_PLAIN,
	PARTICIPANT_PHONE,
	PARTICIPANT_REPLACE, /* replacesCallId: Graph reads only the first of a request */
	PARTICIPANT_MOVE     /* replacesCallId and participantId: likewise */
};

/* A piece of command.text. */
struct span {
	uint32_t start;
	uint32_t size;
};

struct participant {
	enum participant_kind kind;
	struct span json;     /* As it is sent */
	struct span identity; /* "user:<id>" in lower case, to tell whether two are the same */
};

struct command {
	struct span id;
	bool has_id;         /* The producer gave it */
	bool is_cancel;      /* Withdraws another command, and has no participants */
	struct span target;  /* Of a cancel: the commandId that it names */
	struct span call_id; /* Empty when the record is rejected and had no valid one */
	struct span client_context;
	bool has_context;
	uint32_t tenant; /* Index in policy.tenants */
	bool high_priority;
	bool resend_unknown; /* onUnknown is "resend" */
	bool has_expiry;     /* Its own, or that of policy.default_expiry */
	wall_t expires_at;
	size_t n_participants; /* 0 when rejected, and of a cancel */
	struct participant
	    *participants; /* Lives in the command's own allocation, as 'text' does */
	char *text;
};

/* What is wrong with a record. */
struct fault {
	enum reason reason;
	char message[400]; /* "$.participants[2].identity: expected …"; UTF-8, no value of the
	                      caller's */
};

enum command_result {
	COMMAND_VALID,
	COMMAND_REJECTED, /* '*ret_fault' says why; '*ret' has at least an id */
	COMMAND_NO_MEMORY /* '*ret' is NULL */
};

/* Read a record. 'scratch' is a working buffer of the caller's, cleared here. The caller frees
 * '*ret'. */
enum command_result command_parse(const struct policy *policy, const struct record *record,
                                  struct buffer *scratch, struct command **ret,
                                  struct fault *ret_fault) MUST_CHECK;

void command_free(struct command *command);

/* Code points of a text that is well-formed UTF-8. */
size_t command_count_characters(struct bytes text);

/* How much of a member's name goes into a message: cut short, between characters. */
int command_shown_size(struct bytes name);

static inline struct bytes command_text(const struct command *command, struct span span)
{
	return (struct bytes){ .data = command->text + span.start, .size = span.size };
}

#endif
