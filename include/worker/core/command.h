/* A command, read from a record and checked against the contract (config/command.schema.json).
 *
 * Each participant is kept as the JSON text that will be sent, so that sending is only copying;
 * without the types that nearly all have in common, which participant_write() puts back. */
#ifndef WORKER_CORE_COMMAND_H
#define WORKER_CORE_COMMAND_H

#include "worker/base/buffer.h"
#include "worker/core/identity.h"
#include "worker/core/policy.h"
#include "worker/core/reason.h"
#include "worker/core/record.h"

/* Limits of the contract. Lengths of texts are counted in code points. */
#define COMMAND_BYTES_MAX        65536
#define COMMAND_NESTING_MAX      16
#define COMMAND_PARTICIPANTS_MAX 100
#define COMMAND_ID_MAX           128
#define COMMAND_CONTEXT_MAX      256
#define COMMAND_IDENTITY_MAX     256
/* What the contexts of the worker's own making begin with: see context.h. */
#define CONTEXT_PREFIX "iw:"

enum participant_kind {
	PARTICIPANT_PLAIN,
	PARTICIPANT_PHONE,
	PARTICIPANT_REPLACE, /* replacesCallId: Graph reads only the first of a request */
	PARTICIPANT_MOVE     /* replacesCallId and participantId: likewise */
};

/* A piece of the command's text. */
struct span {
	uint32_t start;
	uint32_t size;
};

/* Its identity is a piece of its JSON, or stands behind that when it is written there with escapes:
 * see command_identity(). */
struct participant {
	uint32_t json_start; /* In the command's text: see participant_json() */
	uint16_t json_size;
	uint16_t set_distance;   /* Between the start of that and its identity set */
	uint32_t identity_start; /* In the command's text: the kind of identity, … */
	uint16_t identity_kind_size;
	uint16_t id_distance; /* … and so far behind the start of that its id */
	uint16_t id_size;
	enum participant_kind kind : 5;
	bool has_usual_type : 1;          /* Its JSON lacks its begin */
	bool has_usual_set_type : 1;      /* The same of its identity set */
	bool has_usual_identity_type : 1; /* The same of its identity; it has no escapes then */
};

_Static_assert(COMMAND_BYTES_MAX <= UINT16_MAX + 1, "nothing in a record is further or longer");
_Static_assert(sizeof(struct participant) == 20, "there may be very many");
_Static_assert(4 * COMMAND_IDENTITY_MAX <= IDENTITY_ID_SIZE, "a character has at most 4 bytes");

struct command {
	struct span id;
	struct span target;  /* Of a cancel: the commandId that it names */
	struct span call_id; /* Empty when the record is rejected and had no valid one */
	struct span client_context;
	wall_t expires_at;
	uint32_t tenant;         /* Index in policy.tenants */
	uint16_t n_participants; /* 0 when rejected, and of a cancel */
	bool has_id : 1;         /* The producer gave it */
	bool is_cancel : 1;      /* Withdraws another command, and has no participants */
	bool has_context : 1;
	bool has_expiry : 1; /* Its own, or that of policy.default_expiry */
	bool high_priority : 1;
	bool resend_unknown : 1; /* onUnknown is "resend" */
	/* The text that spans are pieces of lies behind them. */
	struct participant participants[];
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
	const char *text = (const char *)(command->participants + command->n_participants);

	return (struct bytes){ .data = text + span.start, .size = span.size };
}

/* What participants are told apart by. */
static inline struct identity command_identity(const struct command *command, size_t index)
{
	const struct participant *p = &command->participants[index];
	struct span kind = { p->identity_start, p->identity_kind_size };
	struct span id = { p->identity_start + p->id_distance, p->id_size };

	return (struct identity){ command_text(command, kind), command_text(command, id) };
}

#endif
