/* The access token of the application in one tenant: OAuth 2.0 client credentials (RFC 6749 section
 * 4.4).
 *
 * At most one fetch is in flight, whoever asks. A token is renewed 5 minutes before it expires
 * while requests go on with the old one; a failed fetch is repeated after a growing pause, or as
 * soon as the credential is another one, and what waits for it is told at once. */
#ifndef WORKER_IO_TOKEN_H
#define WORKER_IO_TOKEN_H

#include "worker/base/log.h"
#include "worker/base/metrics.h"
#include "worker/io/credential.h"
#include "worker/io/http.h"

struct token;

struct token_options {
	const char *login_url; /* Authority, for example https://login.microsoftonline.com */
	const char *tenant_id;
	const char *client_id;         /* "": none, for a managed identity */
	const char *scope;             /* For example https://graph.microsoft.com/.default */
	duration_t timeout;            /* For one fetch */
	struct credential *credential; /* Borrowed; tokens of several tenants may share it */
	/* Called, from the loop, when there is a token after somebody was told that there is none;
	 * may be NULL. */
	void (*recovered)(void *owner, uint32_t tenant);
	void *owner;
	uint32_t tenant; /* Given back to it */
	/* Tells the time, for tests; NULL: clock_now(). */
	instant_t (*clock)(void *owner);
	void *clock_owner;
};

/* Tells a waiting request that there is a token ('bearer' is "Bearer …", borrowed for the call),
 * or, with NULL, that there is none and why. */
typedef void (*token_cb)(void *owner, const char *bearer, const char *problem);

/* One who waits for a token; memory of the caller, which keeps it until the callback or
 * token_cancel(). */
struct token_waiter {
	struct token_waiter *prev, *next; /* Private, as is 'round'; zero at first */
	uint64_t round;
	void *owner;
	token_cb cb;
};

/* Borrows 'http', 'log', 'metrics' and the credential until token_close() has called back; copies
 * the rest.
 * Fetches nothing until it is asked for a token. */
struct token *token_new(struct http *http, uv_loop_t *loop, const struct token_options *options,
                        const struct log *log, struct metrics *metrics, struct err *err) MUST_CHECK;

/* "Bearer …" when a valid token is at hand (borrowed until the loop runs again or token_drop()),
 * else NULL. May start a renewal. */
const char *token_peek(struct token *token);

/* Wait for a token: the callback fires exactly once, later, never from inside this call. */
void token_wait(struct token *token, struct token_waiter *waiter);

/* Wait no more; a waiter that does not wait is allowed. */
void token_cancel(struct token *token, struct token_waiter *waiter);

/* The number of the last token that there was; 0: there was none yet. */
uint64_t token_number(const struct token *token);

/* Graph took the token of that number. */
void token_confirm(struct token *token, uint64_t number);

/* Graph refused the token of that number: forget it, unless there is another already. One that
 * is new and has worked is kept until it is refused twice with no success between: Graph refuses a
 * single request now and then, and a token for each of these would be fetched without end. One that
 * is new and has never worked is not replaced before a growing pause has passed. */
void token_drop(struct token *token, uint64_t number);

/* True once there has been a token, whatever became of it. */
bool token_was_granted(const struct token *token);

/* False, and a sentence for people, when a token is wanted and there is no valid one, or it cannot
 * be renewed. */
bool token_is_well(const struct token *token, struct buffer *why);

/* Waiters are told that it is over, from inside this call; 'closed' (may be NULL) fires when the
 * loop holds nothing of this any more. Must be called before http_close(). */
void token_close(struct token *token, void (*closed)(void *owner), void *owner);

#endif
