/* The access tokens of the application: one for each tenant, each fetched when it is first needed.
 */
#ifndef WORKER_IO_TOKENS_H
#define WORKER_IO_TOKENS_H

#include "worker/core/policy.h"
#include "worker/io/token.h"

struct tokens;

/* What all tokens lean on; borrowed until tokens_close() has called back. */
struct tokens_base {
	struct http *http;
	uv_loop_t *loop;
	const struct log *log;
	struct metrics *metrics;
	const struct credential_options *credential;     /* Which all share; copied */
	void (*recovered)(void *owner, uint32_t tenant); /* See token.h */
	void *owner;
};

/* 'options' are those of every token, but for what follows from 'base' and 'tenants'; copied, as
 * 'tenants' are. NULL on failure: what was begun is being closed by the loop. */
struct tokens *tokens_new(const struct tokens_base *base, const struct token_options *options,
                          const struct text_list *tenants, struct err *err) MUST_CHECK;

/* The token of that tenant, by its index; borrowed until tokens_close(). */
struct token *tokens_get(const struct tokens *tokens, uint32_t tenant);

/* Fetch the default tenant's, so that nobody has to wait for a command to ask for it. */
void tokens_start(struct tokens *tokens);

/* True once the default tenant's has been there, whatever became of it. */
bool tokens_were_granted(const struct tokens *tokens);

/* False, and a sentence for people, when one that is wanted is not there or cannot be renewed. */
bool tokens_are_well(const struct tokens *tokens, struct buffer *why);

/* Close all of them; 'closed' (may be NULL) fires when the loop holds nothing of this any more.
 * Must be called before http_close(). */
void tokens_close(struct tokens *tokens, void (*closed)(void *owner), void *owner);

#endif
