/* A dead letter as the redrive sees it, and whether it is to be put back. */
#ifndef WORKER_LETTER_FILTER_H
#define WORKER_LETTER_FILTER_H

#include "worker/core/identity.h"
#include "worker/core/reason.h"
#include "worker/core/record.h"

/* What the user asks for. Texts are borrowed. */
struct letter_filter {
	bool reasons[REASON_COUNT]; /* Any of them … */
	bool has_reason;            /* … if one is given */
	wall_t since, until;        /* When it was written; until: not any more */
	const char *call;           /* NULL: every call */
	bool include_unknown;
	const char *topic; /* The command topic */
};

enum letter_verdict {
	LETTER_WANTED,
	LETTER_FILTERED, /* The user asks for others */
	LETTER_UNKNOWN,  /* What became of it cannot be known: it may have been sent */
	LETTER_SHORT,    /* Without its value there is nothing to put back */
	LETTER_FOREIGN,  /* It comes from another topic, or is no dead letter at all */
	LETTER_VERDICTS
};

/* Borrowed from the record, but for the call. */
struct letter {
	const struct record *record;
	struct bytes reason;
	struct bytes topic; /* Where the command stood */
	int32_t partition;  /* -1: not known */
	int64_t offset;     /* Likewise */
	char call[IDENTITY_CALL_ID_MAX +
	          1]; /* The callId in the value; "-" when it has no valid one */
};

/* What a record of the dead-letter topic says of itself. */
void letter_read(const struct record *record, struct letter *ret);

enum letter_verdict letter_judge(const struct letter_filter *filter, const struct letter *letter);

/* The letter's reason, if it is one of the worker's codes; "-" otherwise: nobody can make it say
 * something else. */
const char *letter_reason(const struct letter *letter);

/* The reason as an option of the command line gives it. False when there is none of that code. */
bool letter_filter_add_reason(struct letter_filter *filter, const char *code);

#endif
