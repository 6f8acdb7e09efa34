/* What an answer means: one table from what came back to what it means for the command. */
#ifndef WORKER_CORE_OUTCOME_H
#define WORKER_CORE_OUTCOME_H

#include "worker/base/buffer.h"
#include "worker/core/answer.h"
#include "worker/core/reason.h"

enum outcome_class {
	OUTCOME_ACCEPTED,
	OUTCOME_THROTTLED,    /* Had no effect; stay away for a while */
	OUTCOME_NOT_SENT,     /* Had no effect; the connection failed before the body */
	OUTCOME_REFUSED,      /* Had no effect and never will */
	OUTCOME_CALL_OVER,    /* Had no effect; nothing for this call ever will */
	OUTCOME_UNAUTHORIZED, /* Had no effect; the token is missing or bad: all calls are concerned
	                       */
	OUTCOME_MISCONFIGURED, /* Had no effect; the application may not: all calls are concerned */
	OUTCOME_UNKNOWN,       /* May have had its effect; never repeated blindly */
	OUTCOME_CLASSES
};

/* Enough of Graph's error to explain a refusal. */
#define OUTCOME_CODE_SIZE    64
#define OUTCOME_MESSAGE_SIZE 512

struct outcome {
	enum outcome_class class;
	enum reason reason; /* error.code, unless accepted */
	bool may_split;     /* Refused as a whole: each participant may still be sent alone */
	int http_status;    /* 0 when there was no answer */
	bool has_retry_after;
	duration_t retry_after;
	char graph_code[OUTCOME_CODE_SIZE]; /* "" when Graph gave none */
	char message[OUTCOME_MESSAGE_SIZE]; /* For people; from Graph, or ours */
};

const char *outcome_class_text(enum outcome_class class);

/* What a person can do about an answer of class MISCONFIGURED. */
const char *outcome_advice(int http_status, const char *graph_code);

/* Judge an answer. 'operation' (cleared first) gets the JSON object of the operation when it is
 * accepted, and is marked as failed when there is no memory; 'graph_url' and 'call_id' build a
 * Location that Graph left out. 'now' dates a Retry-After. */
void outcome_judge(const struct answer *answer, const char *graph_url, struct bytes call_id,
                   wall_t now, struct buffer *operation, struct outcome *ret);

/* Append an error object of the contract: code, message, graphCode, httpStatus. */
void outcome_write_error(struct buffer *out, enum reason reason, const char *message,
                         const char *graph_code, int http_status);

/* Append the table of outcomes as Markdown, for the documentation. */
void outcome_write_reference(struct buffer *out);

#endif
