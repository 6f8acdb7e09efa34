/* The access token of the application for one tenant.
 *
 *            token_peek, token_wait              answer            5 minutes before the end
 *     none ------------------------> fetching ------------> valid ----> valid, fetching
 *       ^                               | failure             |
 *       +------- pause <----------------+                     | token_drop, end
 *       +-----------------------------------------------------+
 *
 * Whether there is a valid token and whether one is being fetched are told by 'bearer' with its
 * term and by 'fetch'. During the pause after a failure nothing is fetched, and who asks is told of
 * that failure. */
#include "worker/io/token.h"

#include "worker/io/clock.h"
#include "worker/io/token_grant.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#define MAX_FORM_SIZE   (16 * 1024)
#define MAX_ANSWER_SIZE (64 * 1024)
#define MAX_TENANT_SIZE 128

/* A token that Graph refuses within this time was refused although it was new. */
#define SOON ((duration_t){ 10 * INT64_C(1000000) })

enum token_state { TOKEN_OPEN = 1, TOKEN_CLOSING };

struct token {
	enum token_state state;
	struct http *http; /* Borrowed, as the next two */
	const struct log *log;
	struct metrics *metrics;
	char *tenant; /* Owned, as the next two */
	char *url;
	char *secret; /* Owned, as is 'form', which has it too */
	struct buffer form;
	duration_t timeout;
	instant_t (*clock)(void *owner);
	void *clock_owner;
	struct random random;
	char *bearer;                 /* Owned; NULL: none */
	bool has_worked;              /* Graph has taken 'bearer' */
	bool is_doubted;              /* Graph has refused it once since then */
	instant_t fetched_at;         /* When 'bearer' was asked for */
	struct token_term term;       /* Of 'bearer' */
	struct http_transfer *fetch;  /* NULL: none is in flight */
	instant_t asked_at;           /* When 'fetch' was started */
	uint32_t failures;            /* Fetches that failed, in a row */
	uint32_t refusals;            /* Tokens that Graph refused when they were new, in a row */
	instant_t not_before;         /* End of the pause */
	struct err problem;           /* Why there is a pause */
	struct token_waiter *waiters; /* Borrowed */
	uint64_t round;               /* Counts the servings of waiters */
	uv_timer_t renewal;
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

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void token_forget(struct token *t)
{
	wipe(t->bearer);
	t->bearer = NULL;
	t->has_worked = t->is_doubted = false;
}

static void on_renewal(uv_timer_t *timer);

/* The loop's clock stands still while the machine is suspended; on_renewal() looks at ours. */
static void token_arm(struct token *t, instant_t now)
{
	instant_t at = instant_max(t->term.renew_at, t->not_before);
	int64_t ms = duration_to_ms(instant_since(at, now)) + 1;

	if (!token_is_valid(t, now))
		uv_timer_stop(&t->renewal);
	else
		uv_timer_start(&t->renewal, on_renewal, ms > 0 ? (uint64_t)ms : 0, 0);
}

static void token_pause_until(struct token *t, instant_t now, uint32_t failures)
{
	t->not_before = instant_add(now, token_pause(failures, &t->random));
}

/* A service that echoes the secret must not bring it into the log. */
static void log_failure(struct token *t, instant_t now, const char *description)
{
	int64_t pause_ms = duration_to_ms(instant_since(t->not_before, now));
	char problem[LOG_QUOTE_SIZE], quoted[LOG_QUOTE_SIZE];

	if (strstr(description, t->secret))
		description = "";
	log_warn(t->log, "token.fetch_failed", "tenant=%s problem=%s description=%s pause_ms=%lld",
	         t->tenant, log_quote(bytes_of(t->problem.msg), problem),
	         log_quote(bytes_of(description), quoted), (long long)pause_ms);
}

static void token_failed(struct token *t, const char *description)
{
	instant_t now = token_now(t);

	t->failures++;
	metrics_add(t->metrics, METRIC_token_failures, 1);
	token_pause_until(t, now, t->failures);
	log_failure(t, now, description);
	token_arm(t, now);
}

static void token_adopt(struct token *t, const struct token_grant *grant)
{
	token_forget(t);
	t->bearer = grant->bearer;
	t->fetched_at = t->asked_at;
	t->term = token_term(t->asked_at, grant->lifetime);
	t->failures = 0;
	metrics_add(t->metrics, METRIC_tokens_fetched, 1);
	log_info(t->log, "token.fetched", "tenant=%s lifetime_ms=%lld", t->tenant,
	         (long long)duration_to_ms(grant->lifetime));
	token_arm(t, token_now(t));
}

static void token_serve(struct token *t);

static void on_fetched(void *owner, const struct http_response *response)
{
	struct token *t = owner;
	struct token_grant grant;
	char description[TOKEN_DESCRIPTION_SIZE] = "";

	t->fetch = NULL;
	if (t->state != TOKEN_OPEN)
		return;
	if (response->problem) {
		err_set(&t->problem, "the login service did not answer: %s", response->problem);
		token_failed(t, description);
	} else if (token_grant_parse(response->status, response->body, &grant, description,
	                             &t->problem) < 0) {
		token_failed(t, description);
	} else {
		token_adopt(t, &grant);
	}
	token_serve(t);
}

static void token_fetch(struct token *t, instant_t now)
{
	struct http_request request = {
		.method = HTTP_POST,
		.url = t->url,
		.headers = { { .name = "Accept", .value = bytes_of("application/json") } },
		.n_headers = 1,
		.body = buffer_bytes(&t->form),
		.content_type = "application/x-www-form-urlencoded",
		.timeout = t->timeout,
		.max_response = MAX_ANSWER_SIZE,
		.owner = t,
		.done = on_fetched,
	};

	t->asked_at = now;
	if (http_start(t->http, &request, &t->fetch, &t->problem) < 0) {
		t->fetch = NULL;
		token_failed(t, "");
	}
}

/* A token that came to its renewal was good: an early refusal after it is the first again. */
static void token_renew(struct token *t, instant_t now)
{
	bool due = !instant_before(now, t->term.renew_at) && !instant_before(now, t->not_before);

	if (t->fetch || !due)
		return;
	t->refusals = 0;
	token_fetch(t, now);
}

static void on_renewal(uv_timer_t *timer)
{
	struct token *t = timer->data;
	instant_t now = token_now(t);

	if (token_is_valid(t, now))
		token_renew(t, now);
	if (!t->fetch)
		token_arm(t, now);
}

static void waiter_tell(struct token *t, const char *bearer, const char *problem)
{
	struct token_waiter *w = t->waiters;

	DL_DELETE(t->waiters, w);
	w->prev = w->next = NULL;
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
	if (!*options->client_secret)
		return err_set(err, "the client secret is empty");
	t->secret = strdup(options->client_secret);
	while (login_size > 0 && options->login_url[login_size - 1] == '/')
		login_size--;
	if (!tenant_is_plain(options->tenant_id))
		return err_set(err, "the tenant is neither an id nor a domain name");
	if (asprintf(&t->url, "%.*s/%s/oauth2/v2.0/token", (int)login_size, options->login_url,
	             options->tenant_id) < 0)
		t->url = NULL;
	t->tenant = strdup(options->tenant_id);
	if (!t->url || !t->secret || !t->tenant)
		return err_set(err, "out of memory");
	token_form_append(&t->form, "client_id", options->client_id);
	token_form_append(&t->form, "scope", options->scope);
	token_form_append(&t->form, "client_secret", options->client_secret);
	token_form_append(&t->form, "grant_type", "client_credentials");
	if (!buffer_ok(&t->form))
		return err_set(err, "the client's id and secret are too long");
	t->timeout = options->timeout;
	t->clock = options->clock ? options->clock : system_clock;
	t->clock_owner = options->clock_owner;
	t->not_before = (instant_t){ INT64_MIN };
	random_init(&t->random, uv_hrtime());
	return 0;
}

static void token_free(struct token *t)
{
	wipe(t->bearer);
	wipe(t->secret);
	if (t->form.data)
		explicit_bzero(t->form.data, t->form.capacity);
	buffer_close(&t->form);
	free(t->url);
	free(t->tenant);
	free(t);
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
	CHECK(uv_timer_init(loop, &t->renewal) == 0);
	CHECK(uv_idle_init(loop, &t->later) == 0);
	t->renewal.data = t;
	t->later.data = t;
	t->open_handles = 2;
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

static bool token_is_current(const struct token *t, const char *bearer)
{
	return t->bearer && strcmp(t->bearer, bearer) == 0;
}

void token_confirm(struct token *token, const char *bearer)
{
	if ((token->has_worked && !token->is_doubted) || !token_is_current(token, bearer))
		return;
	token->has_worked = true;
	token->is_doubted = false;
	token->refusals = 0;
}

void token_drop(struct token *token, const char *bearer)
{
	instant_t now = token_now(token);
	duration_t age = instant_since(now, token->fetched_at);
	bool is_new = age.us < SOON.us, was_bad = is_new && !token->has_worked;

	if (!token_is_current(token, bearer))
		return;
	if (is_new && token->has_worked && !token->is_doubted) {
		token->is_doubted = true;
		return;
	}
	token_forget(token);
	token_arm(token, now);
	token->refusals = was_bad ? token->refusals + 1 : 0;
	if (token->refusals) {
		err_set(&token->problem, "Graph refuses the token that was just fetched");
		token_pause_until(token, now, token->refusals);
	}
	log_warn(token->log, "token.dropped", "tenant=%s age_ms=%lld refusals=%u", token->tenant,
	         (long long)duration_to_ms(age), token->refusals);
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
	uv_close((uv_handle_t *)&token->later, on_handle_closed);
}
