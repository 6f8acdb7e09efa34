/* The token endpoint: OAuth 2.0 client credentials (RFC 6749 section 4.4) as Entra answers them. */
#ifndef SIMULATOR_TOKENS_H
#define SIMULATOR_TOKENS_H

#include "simulator/exchange.h"
#include "worker/base/instant.h"

#include <uthash.h>

/* Room for two UUIDs without dashes. */
#define TOKEN_SIZE 72

struct token {
	char text[TOKEN_SIZE];
	char client[TOKEN_CLIENT_SIZE]; /* Whose it is … */
	char tenant[TOKEN_TENANT_SIZE]; /* … and where it is good */
	instant_t expires;
	bool revoked;
	struct token *prev, *next; /* By age */
	UT_hash_handle hh;
};

struct tokens {
	struct token *by_text;
	struct token *oldest;
	uint64_t issued;
};

void tokens_init(struct tokens *tokens);
void tokens_close(struct tokens *tokens);

/* None of the tokens given out so far is good any more. Returns how many were. */
int64_t tokens_revoke(struct tokens *tokens, instant_t now);

/* Answer a request for a token. */
void tokens_handle(struct exchange *exchange);

/* Note whose bearer token a request for Graph carries, good or not. */
void tokens_identify(struct exchange *exchange);

/* Look at the bearer token of a request for Graph; refuse the request and return false if it is not
 * good. */
bool tokens_check(struct exchange *exchange);

#endif
