/* Why a command was not accepted: the stable codes in error.code of a reply, and its statuses. */
#ifndef WORKER_CORE_REASON_H
#define WORKER_CORE_REASON_H

#include "worker/base/buffer.h"

/* REASON(name, code, meaning): the row is the code's documentation. */
#define REASON_TABLE(REASON)                                                                       \
	REASON(MALFORMED, "malformed", "the record is not a JSON object within the limits")        \
	REASON(INVALID, "invalid",                                                                 \
	       "a member is missing, unknown, of a wrong type or out of range")                    \
	REASON(KEY_MISMATCH, "key-mismatch", "the record's key is not the callId")                 \
	REASON(UNKNOWN_TENANT, "unknown-tenant", "tenantId is not a configured tenant")            \
	REASON(EXPIRED, "expired", "expiresAt was over before it could be sent")                   \
	REASON(TOO_OLD, "too-old", "the record was older than commands.max_age")                   \
	REASON(REFUSED, "refused", "Graph refused the request for good")                           \
	REASON(CALL_OVER, "call-over", "Graph says that there is no such call (any more)")         \
	REASON(THROTTLED, "throttled",                                                             \
	       "Graph kept it away for longer than retry.max_hold or retry.max_attempts allow")    \
	REASON(UNAVAILABLE, "unavailable",                                                         \
	       "Graph could not be reached within retry.max_hold and retry.max_attempts")          \
	REASON(UNAUTHORIZED, "unauthorized", "no access token that Graph accepts could be had")    \
	REASON(MISCONFIGURED, "misconfigured", "the application may not use the calls API")        \
	REASON(REUSED_ID, "reused-id", "the commandId was used before for another command")        \
	REASON(CANCELED, "canceled", "it was withdrawn before it could be sent")                   \
	REASON(TOO_LATE, "too-late", "of a cancel: the command was sent, or has its reply")        \
	REASON(NOT_FOUND, "not-found", "of a cancel: the call has no such command before it")      \
	REASON(UNKNOWN, "outcome-unknown", "it was sent, and what became of it cannot be known")

enum reason {
#define REASON(name, code, meaning) REASON_##name,
	REASON_TABLE(REASON)
#undef REASON
	    REASON_COUNT
};

/* STATUS(name, text, meaning): of a command and of each of its participants. */
#define STATUS_TABLE(STATUS)                                                                       \
	STATUS(PENDING, "pending", "no decision yet; never in a reply")                            \
	STATUS(ACCEPTED, "accepted", "Graph answered that the operation exists: sent once")        \
	STATUS(RECONCILED, "reconciled", "evidence was found that Graph has it: see evidence")     \
	STATUS(DUPLICATE, "duplicate", "the command came before: duplicateOf says where")          \
	STATUS(FAILED, "failed", "had no effect: refused, or given up before it was sent")         \
	STATUS(REJECTED, "rejected", "the command is not valid: never sent")                       \
	STATUS(EXPIRED, "expired", "its time was over before it could be sent: never sent")        \
	STATUS(CANCELED, "canceled", "withdrawn before it could be sent; or has withdrawn it")     \
	STATUS(UNKNOWN, "unknown", "sent, and what became of it cannot be known")                  \
	STATUS(PARTIAL, "partial", "the participants of the command differ")

enum status {
#define STATUS(name, text, meaning) STATUS_##name,
	STATUS_TABLE(STATUS)
#undef STATUS
	    STATUS_COUNT
};

const char *reason_code(enum reason reason);
const char *reason_meaning(enum reason reason);
const char *status_text(enum status status);

/* Append both tables as Markdown, for the documentation. */
void reason_write_reference(struct buffer *out);

#endif
