/* What a login service said instead of giving a token, and what follows from it. Nothing here asks
 * a clock.
 *
 * A part of token.h; who needs a token uses that. */
#ifndef WORKER_IO_TOKEN_REFUSAL_H
#define WORKER_IO_TOKEN_REFUSAL_H

#include "worker/base/bytes.h"
#include "worker/base/err.h"
#include "worker/base/instant.h"
#include "worker/base/random.h"
#include "worker/io/credential.h"

#include <jansson.h>

#define TOKEN_DESCRIPTION_SIZE 256

/* What came back from a token endpoint, and what it was asked with. Borrowed. */
struct token_answer {
	int status;
	struct bytes body;
	const struct credential *credential; /* What of it comes back is dropped; NULL: nothing */
};

enum token_trouble {
	TOKEN_TROUBLE_PASSING, /* Ends by itself, or may */
	TOKEN_TROUBLE_LASTING, /* Somebody must change something */
};

struct token_refusal {
	enum token_trouble trouble;
	const char *hint; /* What that somebody can do; "" when it is not known. Static */
	char description[TOKEN_DESCRIPTION_SIZE]; /* Its first line; "" if it tells a secret */
};

/* Judge an answer that gives no token, by its `error` (RFC 6749 section 5.2). 'json' is its body,
 * NULL or anything. 'err' has status, `error` and AADSTS code, printable. A service that echoes the
 * credential brings it neither there nor into the description. */
void token_refusal_read(const struct token_answer *answer, const json_t *json,
                        struct token_refusal *ret, struct err *err);

/* The pause after the n-th failure in a row, with jitter. What may pass: from 1 s, doubled each
 * time, to 60 s. What lasts: from 10 s to 5 minutes. */
duration_t token_pause(enum token_trouble trouble, uint32_t failures, struct random *random);

#endif
