/* What the login service gives, and for how long it is good. Nothing here asks a clock.
 *
 * A part of token.h; who needs a token uses that. */
#ifndef WORKER_IO_TOKEN_GRANT_H
#define WORKER_IO_TOKEN_GRANT_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"
#include "worker/base/err.h"
#include "worker/base/instant.h"
#include "worker/io/token_refusal.h"

struct token_grant {
	char *bearer; /* "Bearer …", owned by whoever has the grant */
	duration_t lifetime;
};

/* Read the answer of a token endpoint (RFC 6749 sections 5.1 and 5.2). On failure 'err' says what
 * is wrong, printable, and 'refusal' what follows from it. */
int token_grant_parse(const struct token_answer *answer, struct token_grant *ret,
                      struct token_refusal *refusal, struct err *err) MUST_CHECK;

/* When a token that was asked for at 'asked_at' is to be renewed, and when it is no longer good. */
struct token_term {
	instant_t renew_at;
	instant_t expires_at;
};

/* Renewal comes 5 minutes before the end; for tokens of less than 10 minutes at half of their life.
 */
struct token_term token_term(instant_t asked_at, duration_t lifetime);

#endif
