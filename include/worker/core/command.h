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

/* A short text of a command's, counted from where the command begins. */
struct piece {
	uint32_t start : 20;
	uint32_t size : 12;
};

/* What these can say. */
#define PIECE_START_MAX 0xFFFFFu
#define PIECE_SIZE_MAX  0xFFFu

/* Its identity is a piece of its JSON, or stands behind that when it is written there with escapes:
 * see command_identity(). */
struct participant {
	uint32_t json_start : 20; /* From where the command begins: see participant_json() */
	uint32_t id_size : 12;
	uint16_t json_size;
	uint16_t set_distance;      /* Between the start of its JSON and its identity set */
	uint16_t identity_distance; /* The same and the kind of its identity, … */
	uint16_t identity_kind_size;
	uint16_t id_distance; /* … and so far behind the start of that its id */
	enum participant_kind kind : 5;
	bool has_usual_type : 1;          /* Its JSON lacks its begin */
	bool has_usual_set_type : 1;      /* The same of its identity set */
	bool has_usual_identity_type : 1; /* The same of its identity; it has no escapes then */
};

_Static_assert(COMMAND_BYTES_MAX <= UINT16_MAX + 1, "nothing in a record is further or longer");
_Static_assert(sizeof(struct participant) == 16, "there may be very many");
_Static_assert(4 * COMMAND_IDENTITY_MAX <= IDENTITY_ID_SIZE, "a character has at most 4 bytes");
_Static_assert(IDENTITY_ID_SIZE <= PIECE_SIZE_MAX && 4 * COMMAND_ID_MAX <= PIECE_SIZE_MAX &&
                   4 * COMMAND_CONTEXT_MAX <= PIECE_SIZE_MAX,
               "ids and contexts are short texts");

/* In one piece of memory with its texts and its participants. There may be very many that wait. */
struct command {
	wall_t expires_at;
	struct piece id;
	struct piece target;  /* Of a cancel: the commandId that it names */
	struct piece call_id; /* Empty when the record is rejected and had no valid one */
	struct piece client_context;
	uint32_t participants_start; /* From where the command begins: behind the texts */
	uint16_t tenant;             /* Index in policy.tenants */
	uint8_t n_participants;      /* 0 when rejected, and of a cancel */
	bool has_id : 1;             /* The producer gave it */
	bool is_cancel : 1;          /* Withdraws another command, and has no participants */
	bool has_context : 1;
	bool has_expiry : 1; /* Its own, or that of policy.default_expiry */
	bool high_priority : 1;
	bool resend_unknown : 1; /* onUnknown is "resend" */
};

_Static_assert(sizeof(struct command) == 32, "there may be very many");
_Static_assert(COMMAND_PARTICIPANTS_MAX <= UINT8_MAX, "participants are counted in one byte");

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

/* Read a record. The command is made in 'scratch', a buffer of the caller's, and is there until
 * that is used again. */
enum command_result command_parse(const struct policy *policy, const struct record *record,
                                  struct buffer *scratch, const struct command **ret,
                                  struct fault *ret_fault) MUST_CHECK;

/* Bytes of a command with all that belongs to it: so many may be copied elsewhere. */
static inline size_t command_size(const struct command *command)
{
	return command->participants_start + command->n_participants * sizeof(struct participant);
}

/* Code points of a text that is well-formed UTF-8. */
size_t command_count_characters(struct bytes text);

/* How much of a member's name goes into a message: cut short, between characters. */
int command_shown_size(struct bytes name);

static inline struct bytes command_text(const struct command *command, struct piece piece)
{
	return (struct bytes){ (const char *)command + piece.start, piece.size };
}

static inline const struct participant *command_participant(const struct command *command,
                                                            size_t index)
{
	const void *list = (const char *)command + command->participants_start;

	CHECK(index < command->n_participants);
	return (const struct participant *)list + index;
}

/* What participants are told apart by. */
static inline struct identity command_identity(const struct command *command, size_t index)
{
	const struct participant *p = command_participant(command, index);
	const char *kind = (const char *)command + p->json_start + p->identity_distance;

	return (struct identity){ { kind, p->identity_kind_size },
		                  { kind + p->id_distance, p->id_size } };
}

#endif
