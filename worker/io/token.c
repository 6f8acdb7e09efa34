/* The access token of the application in one tenant.
 *
 *                  token_wait                    answer            5 minutes before the end
 *     none ------------------------> fetching ------------> valid ----> valid, fetching
 *       ^                               | failure             |
 *       +------- pause <----------------+                     | token_drop, end
 *       +-----------------------------------------------------+
 *
 * Whether there is a valid token and whether one is being fetched are told by 'bearer' with its
 * term and by 'fetch'. During the pause after a failure nothing is fetched, and who asks is told of
 * that failure; the timer ends the pause, so that nobody need ask. While fetches fail, another
 * timer looks whether the credential has changed, which ends the pause at once. */
#include "worker/io/token.h"

#include "worker/core/retry.h"
#include "worker/io/clock.h"
#include "worker/io/token_grant.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define MAX_FORM_SIZE   (64 * 1024)
#define MAX_ANSWER_SIZE (64 * 1024)
#define MAX_TENANT_SIZE 128

/* A token that Graph refuses within this time was refused although it was new. */
#define SOON ((duration_t){ 10 * INT64_C(1000000) })

/* Longer than this no service keeps us waiting. */
#define MAX_RETRY_AFTER ((duration_t){ 300 * INT64_C(1000000) })

/* How often the credential is looked at while fetches fail. */
#define WATCH_MS 1000

enum token_state { TOKEN_OPEN = 1, TOKEN_CLOSING };

struct token {
	enum token_state state;
	struct http *http; /* Borrowed, as the next two */
	const struct log *log;
	struct metrics *metrics;
	struct credential *credential;
	uint64_t version; /* Of the credential, when it was last used */
	char *tenant_id;  /* Owned, as the next four */
	char *endpoint;
	char *client_id;
	char *scope;
	struct buffer form; /* Empty but while a fetch is started */
	duration_t timeout;
	instant_t (*clock)(void *owner);
	void *clock_owner;
	void (*recovered)(void *owner, uint32_t tenant);
	void *owner;
	uint32_t tenant;
	struct random random;
	char *bearer;                 /* Owned; NULL: none */
	uint64_t number;              /* Counts the tokens */
	bool has_worked;              /* Graph has taken 'bearer' */
	bool is_doubted;              /* Graph has refused it once since then */
	instant_t fetched_at;         /* When 'bearer' was asked for */
	struct token_term term;       /* Of 'bearer' */
	struct http_transfer *fetch;  /* NULL: none is in flight */
	instant_t asked_at;           /* When 'fetch' was started */
	uint32_t failures;            /* Fetches that failed, in a row */
	uint32_t refusals;            /* Tokens that Graph refused when they were new, in a row */
	instant_t not_before;         /* End of the pause */
	struct err problem;           /* Why there is a pause; "" when all is well */
	struct token_waiter *waiters; /* Borrowed */
	uint64_t round;               /* Counts the servings of waiters */
	bool is_wanted;               /* Somebody has asked for a token */
	bool was_granted;             /* There has been one */
	bool was_denied;              /* Somebody was told that there is none, since the last one */
	bool is_missing;              /* Counted in METRIC_tokens_missing */
	uv_timer_t renewal;
	uv_timer_t watch;
	uv_idle_t later; /* Serves waiters from the loop */
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

static instant_t system_clock(void *owner)
{
	(void)owner;
	return clock_now();
}

static instant_t token_now(const struct token *t)
{
	return t->clock(t->clock_owner);
}

static bool token_is_valid(const struct token *t, instant_t now)
{
	return t->bearer && instant_before(now, t->term.expires_at);
}

static void token_forget(struct token *t)
{
	secret_wipe(t->bearer);
	t->bearer = NULL;
	t->has_worked = t->is_doubted = false;
}

static void token_count_missing(struct token *t, instant_t now)
{
	bool is_missing = t->is_wanted && !token_is_valid(t, now);

	metrics_add(t->metrics, METRIC_tokens_missing, is_missing - t->is_missing);
	t->is_missing = is_missing;
}

static instant_t token_next_fetch(const struct token *t, instant_t now)
{
	return token_is_valid(t, now) ? instant_max(t->term.renew_at, t->not_before)
	                              : instant_max(now, t->not_before);
}

static void on_renewal(uv_timer_t *timer);

/* The loop's clock stands still while the machine is suspended; on_renewal() looks at ours. */
static void token_arm(struct token *t, instant_t now)
{
	int64_t ms = duration_to_ms(instant_since(token_next_fetch(t, now), now)) + 1;

	token_count_missing(t, now);
	uv_timer_start(&t->renewal, on_renewal, ms > 0 ? (uint64_t)ms : 0, 0);
}

static void log_failure(struct token *t, instant_t now, const struct token_refusal *refusal)
{
	int64_t pause_ms = duration_to_ms(instant_since(t->not_before, now));
	char problem[LOG_QUOTE_SIZE], quoted[LOG_QUOTE_SIZE], hint[LOG_QUOTE_SIZE];

	log_quote(bytes_of(t->problem.msg), problem);
	log_quote(bytes_of(refusal->description), quoted);
	if (refusal->trouble == TOKEN_TROUBLE_LASTING)
		log_error(t->log, "token.refused",
		          "tenant=%s problem=%s hint=%s description=%s pause_ms=%lld", t->tenant_id,
		          problem, log_quote(bytes_of(refusal->hint), hint), quoted,
		          (long long)pause_ms);
	else
		log_warn(t->log, "token.fetch_failed",
		         "tenant=%s problem=%s description=%s pause_ms=%lld", t->tenant_id, problem,
		         quoted, (long long)pause_ms);
}

/* The service may ask for a longer pause than ours. */
static duration_t token_pause_for(struct token *t, const struct token_refusal *refusal,
                                  const char *retry_after)
{
	duration_t pause = token_pause(refusal->trouble, t->failures, &t->random);
	duration_t asked = { 0 };

	if (!retry_after || !retry_after_parse(retry_after, clock_wall(), &asked))
		return pause;
	if (asked.us > MAX_RETRY_AFTER.us)
		asked = MAX_RETRY_AFTER;
	return asked.us > pause.us ? asked : pause;
}

static void on_watch(uv_timer_t *timer);

static void token_failed(struct token *t, const struct token_refusal *refusal,
                         const char *retry_after)
{
	instant_t now = token_now(t);

	t->failures++;
	metrics_add(t->metrics, METRIC_token_failures, 1);
	t->not_before = instant_add(now, token_pause_for(t, refusal, retry_after));
	log_failure(t, now, refusal);
	token_arm(t, now);
	if (credential_is_watched(t->credential) && !uv_is_active((uv_handle_t *)&t->watch))
		uv_timer_start(&t->watch, on_watch, WATCH_MS, WATCH_MS);
}

static void token_adopt(struct token *t, const struct token_grant *grant)
{
	token_forget(t);
	t->bearer = grant->bearer;
	t->number++;
	t->fetched_at = t->asked_at;
	t->term = token_term(t->asked_at, grant->lifetime);
	t->failures = 0;
	t->problem.msg[0] = '\0';
	t->was_granted = true;
	metrics_add(t->metrics, METRIC_tokens_fetched, 1);
	log_info(t->log, "token.fetched", "tenant=%s lifetime_ms=%lld", t->tenant_id,
	         (long long)duration_to_ms(grant->lifetime));
	uv_timer_stop(&t->watch);
	token_arm(t, token_now(t));
}

/* Commands that were told to wait need not wait out their pause. */
static void token_tell_recovery(struct token *t)
{
	if (t->state != TOKEN_OPEN || !t->was_denied || !token_is_valid(t, token_now(t)))
		return;
	t->was_denied = false;
	if (t->recovered)
		t->recovered(t->owner, t->tenant);
}

static void token_serve(struct token *t);

static void on_fetched(void *owner, const struct http_response *response)
{
	struct token *t = owner;
	const struct token_answer answer = { .status = response->status,
		                             .body = response->body,
		                             .credential = t->credential };
	struct token_grant grant;
	struct token_refusal refusal = { .hint = "" };

	t->fetch = NULL;
	if (t->state != TOKEN_OPEN)
		return;
	if (response->problem) {
		err_set(&t->problem, "the login service did not answer: %s", response->problem);
		token_failed(t, &refusal, NULL);
	} else if (token_grant_parse(&answer, &grant, &refusal, &t->problem) < 0) {
		token_failed(t, &refusal, response->headers[HTTP_RETRY_AFTER]);
	} else {
		token_adopt(t, &grant);
	}
	token_serve(t);
	token_tell_recovery(t);
}

static int token_start(struct token *t)
{
	char id[RANDOM_UUID_SIZE];
	const struct credential_ask ask = { .endpoint = t->endpoint,
		                            .client_id = t->client_id,
		                            .scope = t->scope,
		                            .id = id,
		                            .now = clock_wall() };
	struct http_request request = { .timeout = t->timeout,
		                        .max_response = MAX_ANSWER_SIZE,
		                        .owner = t,
		                        .done = on_fetched };

	random_uuid(&t->random, id);
	if (credential_write(t->credential, &ask, &t->form, &request, &t->problem) < 0)
		return -1;
	return http_start(t->http, &request, &t->fetch, &t->problem);
}

static void token_fetch(struct token *t, instant_t now)
{
	const struct token_refusal nothing = { .hint = "" };

	t->asked_at = now;
	t->version = credential_refresh(t->credential);
	if (token_start(t) < 0) {
		t->fetch = NULL;
		token_failed(t, &nothing, NULL);
	}
	if (t->form.data)
		explicit_bzero(t->form.data, t->form.capacity);
	buffer_clear(&t->form);
}

static void token_renew(struct token *t, instant_t now)
{
	if (t->fetch || !t->is_wanted || instant_before(now, token_next_fetch(t, now)))
		return;
	/* A token that came to its renewal was good: an early refusal after it is the first again.
	 */
	if (token_is_valid(t, now))
		t->refusals = 0;
	token_fetch(t, now);
}

static void on_renewal(uv_timer_t *timer)
{
	struct token *t = timer->data;
	instant_t now = token_now(t);

	token_renew(t, now);
	if (!t->fetch)
		token_arm(t, now);
}

/* The files are compared, not watched by inotify: that sees neither what becomes of a symbolic link
 * on the way, as in Kubernetes, nor changes on every file system, and it is only needed while
 * nothing else goes on. */
static void on_watch(uv_timer_t *timer)
{
	struct token *t = timer->data;

	if (t->fetch || credential_refresh(t->credential) == t->version)
		return;
	t->failures = 0;
	token_fetch(t, token_now(t));
}

static void waiter_tell(struct token *t, const char *bearer, const char *problem)
{
	struct token_waiter *w = t->waiters;

	DL_DELETE(t->waiters, w);
	w->prev = w->next = NULL;
	t->was_denied = t->was_denied || !bearer;
	w->cb(w->owner, bearer, problem);
}

/* Tell the first waiter, or start what it waits for. False when nothing more can be told now. */
static bool token_serve_first(struct token *t)
{
	instant_t now = token_now(t);

	if (token_is_valid(t, now))
		waiter_tell(t, t->bearer, NULL);
	else if (t->fetch)
		return false;
	else if (instant_before(now, t->not_before))
		waiter_tell(t, NULL, t->problem.msg);
	else
		token_fetch(t, now);
	return true;
}

/* Those who begin to wait meanwhile get their turn from the loop. A callback may close the token.
 */
static void token_serve(struct token *t)
{
	uint64_t round = ++t->round;

	while (t->state == TOKEN_OPEN && t->waiters && t->waiters->round < round) {
		if (!token_serve_first(t))
			return;
	}
}

static void on_later(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	token_serve(idle->data);
}

static bool tenant_is_plain(const char *tenant)
{
	size_t size = strlen(tenant);

	for (size_t i = 0; i < size; i++) {
		if (!isalnum((unsigned char)tenant[i]) && !strchr("-.", tenant[i]))
			return false;
	}
	return size > 0 && size <= MAX_TENANT_SIZE && tenant[0] != '.';
}

static int token_init(struct token *t, const struct token_options *options, struct err *err)
{
	size_t login_size = strlen(options->login_url);

	buffer_init(&t->form, MAX_FORM_SIZE);
	while (login_size > 0 && options->login_url[login_size - 1] == '/')
		login_size--;
	if (!tenant_is_plain(options->tenant_id))
		return err_set(err, "the tenant is neither an id nor a domain name");
	if (asprintf(&t->endpoint, "%.*s/%s/oauth2/v2.0/token", (int)login_size, options->login_url,
	             options->tenant_id) < 0)
		t->endpoint = NULL;
	t->tenant_id = strdup(options->tenant_id);
	t->client_id = strdup(options->client_id);
	t->scope = strdup(options->scope);
	if (!t->endpoint || !t->tenant_id || !t->client_id || !t->scope)
		return err_set(err, "out of memory");
	t->credential = options->credential;
	t->timeout = options->timeout;
	t->clock = options->clock ? options->clock : system_clock;
	t->clock_owner = options->clock_owner;
	t->recovered = options->recovered;
	t->owner = options->owner;
	t->tenant = options->tenant;
	t->not_before = (instant_t){ INT64_MIN };
	return 0;
}

static void token_free(struct token *t)
{
	secret_wipe(t->bearer);
	buffer_close(&t->form);
	free(t->tenant_id);
	free(t->endpoint);
	free(t->client_id);
	free(t->scope);
	free(t);
}

/* The ids of assertions must differ from those of other workers that start at the same time. */
static void token_seed(struct token *t)
{
	uint64_t seed = 0;

	if (uv_random(NULL, NULL, &seed, sizeof(seed), 0, NULL) != 0)
		seed = uv_hrtime();
	random_init(&t->random, seed);
}

struct token *token_new(struct http *http, uv_loop_t *loop, const struct token_options *options,
                        const struct log *log, struct metrics *metrics, struct err *err)
{
	struct token *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (token_init(t, options, err) < 0) {
		token_free(t);
		return NULL;
	}
	t->state = TOKEN_OPEN;
	t->http = http;
	t->log = log;
	t->metrics = metrics;
	token_seed(t);
	CHECK(uv_timer_init(loop, &t->renewal) == 0);
	CHECK(uv_timer_init(loop, &t->watch) == 0);
	CHECK(uv_idle_init(loop, &t->later) == 0);
	t->renewal.data = t;
	t->watch.data = t;
	t->later.data = t;
	t->open_handles = 3;
	return t;
}

const char *token_peek(struct token *token)
{
	instant_t now = token_now(token);

	if (!token_is_valid(token, now))
		return NULL;
	token_renew(token, now);
	return token->bearer;
}

void token_wait(struct token *token, struct token_waiter *waiter)
{
	CHECK(token->state == TOKEN_OPEN && !waiter->prev);
	token->is_wanted = true;
	waiter->round = token->round;
	DL_APPEND(token->waiters, waiter);
	CHECK(uv_idle_start(&token->later, on_later) == 0);
}

/* In a list of utlist.h every element has a 'prev'. */
void token_cancel(struct token *token, struct token_waiter *waiter)
{
	if (!waiter->prev)
		return;
	DL_DELETE(token->waiters, waiter);
	waiter->prev = waiter->next = NULL;
}

uint64_t token_number(const struct token *token)
{
	return token->number;
}

static bool token_is_current(const struct token *t, uint64_t number)
{
	return t->bearer && t->number == number;
}

void token_confirm(struct token *token, uint64_t number)
{
	if ((token->has_worked && !token->is_doubted) || !token_is_current(token, number))
		return;
	token->has_worked = true;
	token->is_doubted = false;
	token->refusals = 0;
}

void token_drop(struct token *token, uint64_t number)
{
	instant_t now = token_now(token);
	duration_t age = instant_since(now, token->fetched_at);
	bool is_new = age.us < SOON.us, was_bad = is_new && !token->has_worked;

	if (!token_is_current(token, number))
		return;
	if (is_new && token->has_worked && !token->is_doubted) {
		token->is_doubted = true;
		return;
	}
	token_forget(token);
	token->refusals = was_bad ? token->refusals + 1 : 0;
	if (token->refusals) {
		err_set(&token->problem, "Graph refuses the token that was just fetched");
		token->not_before = instant_add(
		    now, token_pause(TOKEN_TROUBLE_PASSING, token->refusals, &token->random));
	}
	token_arm(token, now);
	log_warn(token->log, "token.dropped", "tenant=%s age_ms=%lld refusals=%u", token->tenant_id,
	         (long long)duration_to_ms(age), token->refusals);
}

bool token_was_granted(const struct token *token)
{
	return token->was_granted;
}

bool token_is_well(const struct token *token, struct buffer *why)
{
	bool is_valid = token_is_valid(token, token_now(token));

	if (!token->is_wanted || (is_valid && token->failures == 0))
		return true;
	buffer_append_text(why, is_valid ? "the access token for Graph cannot be renewed"
	                                 : "no access token for Graph");
	if (token->problem.msg[0])
		buffer_printf(why, ": %s", token->problem.msg);
	return false;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct token *t = handle->data;
	void (*closed)(void *) = t->closed;
	void *owner = t->closed_owner;

	CHECK(t->open_handles > 0);
	if (--t->open_handles > 0)
		return;
	token_free(t);
	if (closed)
		closed(owner);
}

void token_close(struct token *token, void (*closed)(void *owner), void *owner)
{
	CHECK(token->state == TOKEN_OPEN);
	token->state = TOKEN_CLOSING;
	token->closed = closed;
	token->closed_owner = owner;
	if (token->fetch)
		http_cancel(token->http, token->fetch);
	while (token->waiters)
		waiter_tell(token, NULL, "the worker is stopping");
	uv_close((uv_handle_t *)&token->renewal, on_handle_closed);
	uv_close((uv_handle_t *)&token->watch, on_handle_closed);
	uv_close((uv_handle_t *)&token->later, on_handle_closed);
}
