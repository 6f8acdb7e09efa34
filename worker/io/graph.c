/* The Graph client.
 *
 * An invite waits for a token when there is none at hand, is sent, and is answered; what cannot be
 * started is put aside and answered by the loop, so that no callback fires from inside
 * graph_invite(). */
#include "worker/io/graph.h"

#include "worker/base/failpoint.h"
#include "worker/io/clock.h"

#include <ctype.h>
#include <stdlib.h>
#include <utlist.h>

#define MAX_CALL_ID    128
#define MAX_REQUEST_ID 128
#define MAX_URL_SIZE   4096
#define MAX_BODY_SIZE  (1024 * 1024)
#define MAX_SPARE      256

enum graph_state { GRAPH_OPEN = 1, GRAPH_CLOSING };

enum pending_kind { PENDING_INVITE, PENDING_OPERATIONS, PENDING_ROSTER, PENDING_OPERATION };

/* What each kind asks the call for. */
static const char *const resources[] = {
	[PENDING_INVITE] = "/participants/invite",
	[PENDING_OPERATIONS] = "/operations",
	[PENDING_ROSTER] = "/participants",
	[PENDING_OPERATION] = "/operations/", /* And its id */
};

/* An invite, or a look, without an answer. */
struct pending {
	struct pending *prev, *next;
	struct graph *graph;
	uint64_t id;
	enum pending_kind kind;
	struct token *token;   /* Of its tenant; borrowed */
	uint64_t token_number; /* Which one was sent */
	struct buffer operation_id;
	struct buffer call_id; /* These three only while there is no token */
	struct buffer client_request_id;
	struct buffer body;
	struct token_waiter waiter;
	struct http_transfer *transfer; /* NULL: not on its way */
	instant_t sent_at;
	bool is_withheld; /* The gate was closed */
	wall_t expires_at;
	char *problem; /* Owned; why it could not be started */
};

struct graph {
	enum graph_state state;
	struct http *http; /* Borrowed, as 'tokens' */
	struct tokens *tokens;
	struct graph_callbacks callbacks;
	duration_t timeout;
	struct buffer url; /* The service root, and the rest of a URL while it is needed */
	size_t root_size;
	struct pending *active; /* Wait for a token or an answer */
	struct pending *unstarted;
	struct pending *spare; /* Linked by 'next' */
	size_t n_spare;
	uv_idle_t later; /* Answers the unstarted */
};

/* Keep what the caller lends, until there is a token. */
static bool pending_keep(struct pending *p, const struct graph_invite *invite)
{
	buffer_init(&p->call_id, MAX_CALL_ID);
	buffer_init(&p->client_request_id, MAX_REQUEST_ID);
	buffer_init(&p->body, MAX_BODY_SIZE);
	buffer_append_bytes(&p->call_id, invite->call_id);
	buffer_append_bytes(&p->client_request_id, invite->client_request_id);
	buffer_append_bytes(&p->body, invite->body);
	return buffer_ok(&p->call_id) && buffer_ok(&p->client_request_id) && buffer_ok(&p->body);
}

static void pending_forget(struct pending *p)
{
	buffer_close(&p->call_id);
	buffer_close(&p->client_request_id);
	buffer_close(&p->body);
}

static void pending_free(struct pending *p)
{
	pending_forget(p);
	buffer_close(&p->operation_id);
	free(p->problem);
	free(p);
}

static struct pending *pending_take(struct graph *g)
{
	struct pending *p = g->spare;

	if (p) {
		LL_DELETE(g->spare, p);
		g->n_spare--;
	} else {
		p = calloc(1, sizeof(*p));
		CHECK(p);
		buffer_init(&p->operation_id, MAX_CALL_ID);
		p->graph = g;
	}
	DL_APPEND(g->active, p);
	return p;
}

static void pending_put(struct graph *g, struct pending *p)
{
	if (g->state != GRAPH_OPEN || g->n_spare >= MAX_SPARE) {
		pending_free(p);
		return;
	}
	pending_forget(p);
	buffer_clear(&p->operation_id);
	free(p->problem);
	p->problem = NULL;
	p->transfer = NULL;
	p->is_withheld = false;
	LL_PREPEND(g->spare, p);
	g->n_spare++;
}

/* 'p' is in no list any more. The callback may send, and may close the graph. */
static void pending_answer(struct pending *p, const struct answer *answer)
{
	struct graph *g = p->graph;
	const struct graph_callbacks *cb = &g->callbacks;

	if (p->kind == PENDING_INVITE)
		FAILPOINT(post_after_answer);
	else if (p->kind != PENDING_OPERATION)
		FAILPOINT(takeover_after_look);
	if (g->state == GRAPH_OPEN && p->kind == PENDING_INVITE)
		cb->answered(cb->owner, p->id, answer);
	else if (g->state == GRAPH_OPEN && p->kind == PENDING_OPERATION)
		cb->polled(cb->owner, p->id, answer);
	else if (g->state == GRAPH_OPEN)
		cb->evidence(cb->owner, p->id, answer);
	pending_put(g, p);
}

/* It could not be tried. */
static void pending_fail(struct pending *p, enum answer_progress progress, const char *problem)
{
	struct answer answer = { .progress = progress, .is_withheld = true, .problem = problem };

	pending_answer(p, &answer);
}

static void on_later(uv_idle_t *idle)
{
	struct graph *g = idle->data;

	uv_idle_stop(idle);
	while (g->state == GRAPH_OPEN && g->unstarted) {
		struct pending *p = g->unstarted;

		DL_DELETE(g->unstarted, p);
		pending_fail(p, ANSWER_NOT_SENT, p->problem ? p->problem : "out of memory");
	}
}

static void pending_put_aside(struct pending *p, const char *problem)
{
	struct graph *g = p->graph;

	p->problem = strdup(problem);
	DL_DELETE(g->active, p);
	DL_APPEND(g->unstarted, p);
	CHECK(uv_idle_start(&g->later, on_later) == 0);
}

/* What the answer says of the token that the request had. */
static void tell_token(struct pending *p, int status)
{
	if (status == 401)
		token_drop(p->token, p->token_number);
	else if (status >= 200 && status < 300)
		token_confirm(p->token, p->token_number);
}

static void on_answered(void *owner, const struct http_response *response)
{
	struct pending *p = owner;
	struct graph *g = p->graph;
	struct answer answer = {
		.progress = ANSWER_COMPLETE,
		.http_status = response->status,
		.body = response->body,
		.problem = response->problem,
		.location = response->headers[HTTP_LOCATION],
		.retry_after = response->headers[HTTP_RETRY_AFTER],
		.request_id = response->headers[HTTP_REQUEST_ID],
		.client_request_id = response->headers[HTTP_CLIENT_REQUEST_ID],
		.sent_at = p->sent_at,
		.is_withheld = p->is_withheld,
	};

	if (response->problem)
		answer.progress = response->body_begun ? ANSWER_BROKEN : ANSWER_NOT_SENT;
	DL_DELETE(g->active, p);
	if (g->state == GRAPH_OPEN)
		tell_token(p, response->status);
	pending_answer(p, &answer);
}

/* The core has validated the id; here stands the last guard of the path. */
static bool id_is_plain(struct bytes id)
{
	for (size_t i = 0; i < id.size; i++) {
		unsigned char c = (unsigned char)id.data[i];

		if (!isalnum(c) && (c == '\0' || !strchr("._~-", c)))
			return false;
	}
	return id.size > 0 && id.size <= MAX_CALL_ID && !bytes_equal_text(id, ".") &&
	       !bytes_equal_text(id, "..");
}

static bool on_gate(void *owner)
{
	struct pending *p = owner;
	const struct graph_callbacks *cb = &p->graph->callbacks;

	p->is_withheld =
	    (cb->may_send && !cb->may_send(cb->owner)) || clock_wall().us >= p->expires_at.us;
	return !p->is_withheld;
}

static const char *graph_url(struct graph *g, struct bytes call_id, const struct pending *p)
{
	buffer_truncate(&g->url, g->root_size);
	buffer_append_text(&g->url, "/communications/calls/");
	buffer_append_bytes(&g->url, call_id);
	buffer_append_text(&g->url, resources[p->kind]);
	buffer_append_bytes(&g->url, buffer_bytes(&p->operation_id));
	CHECK(buffer_ok(&g->url));
	return g->url.data;
}

static void pending_send(struct pending *p, const struct graph_invite *invite, const char *bearer)
{
	struct graph *g = p->graph;
	struct http_request request = {
		.method = p->kind == PENDING_INVITE ? HTTP_POST : HTTP_GET,
		.url = graph_url(g, invite->call_id, p),
		.headers = { { .name = "Authorization", .value = bytes_of(bearer) },
		             { .name = "Accept", .value = bytes_of("application/json") },
		             { .name = "client-request-id", .value = invite->client_request_id } },
		.n_headers = p->kind == PENDING_INVITE ? 3 : 2,
		.body = invite->body,
		.content_type = p->kind == PENDING_INVITE ? "application/json" : NULL,
		.timeout = g->timeout,
		.max_response = ANSWER_BODY_MAX,
		.owner = p,
		.done = on_answered,
		.gate = on_gate,
	};
	struct err err;

	if (p->kind == PENDING_INVITE)
		FAILPOINT(post_before_start);
	else if (p->kind != PENDING_OPERATION)
		FAILPOINT(takeover_before_look);
	p->token_number = token_number(p->token);
	p->sent_at = clock_now();
	if (http_start(g->http, &request, &p->transfer, &err) == 0)
		return;
	p->transfer = NULL;
	pending_put_aside(p, err.msg);
}

static void on_token(void *owner, const char *bearer, const char *problem)
{
	struct pending *p = owner;
	struct graph_invite invite = {
		.id = p->id,
		.call_id = buffer_bytes(&p->call_id),
		.body = buffer_bytes(&p->body),
		.client_request_id = buffer_bytes(&p->client_request_id),
	};

	if (bearer) {
		pending_send(p, &invite, bearer);
		pending_forget(p);
	} else {
		DL_DELETE(p->graph->active, p);
		pending_fail(p, ANSWER_NO_TOKEN, problem);
	}
}

static void pending_wait(struct pending *p, const struct graph_invite *invite)
{
	if (pending_keep(p, invite)) {
		p->waiter = (struct token_waiter){ .owner = p, .cb = on_token };
		token_wait(p->token, &p->waiter);
	} else {
		pending_put_aside(p, "the request is too long");
	}
}

struct graph *graph_new(struct http *http, struct tokens *tokens, uv_loop_t *loop,
                        const struct graph_options *options,
                        const struct graph_callbacks *callbacks, struct err *err)
{
	struct graph *g = calloc(1, sizeof(*g));

	if (!g) {
		err_set(err, "out of memory");
		return NULL;
	}
	*g = (struct graph){ .state = GRAPH_OPEN,
		             .http = http,
		             .tokens = tokens,
		             .callbacks = *callbacks,
		             .timeout = options->timeout };
	buffer_init(&g->url, MAX_URL_SIZE);
	buffer_append_text(&g->url, options->url);
	g->root_size = g->url.size;
	while (g->root_size > 0 && g->url.data[g->root_size - 1] == '/')
		g->root_size--;
	if (!buffer_ok(&g->url) || g->root_size > MAX_URL_SIZE / 2) {
		err_set(err, "the URL of Graph is too long");
		buffer_close(&g->url);
		free(g);
		return NULL;
	}
	CHECK(uv_idle_init(loop, &g->later) == 0);
	g->later.data = g;
	return g;
}

/* 'operation_id' is empty but for PENDING_OPERATION. */
static void graph_begin(struct graph *graph, enum pending_kind kind,
                        const struct graph_invite *invite, struct bytes operation_id)
{
	struct pending *p;
	const char *bearer;

	CHECK(graph->state == GRAPH_OPEN);
	CHECK(id_is_plain(invite->call_id));
	CHECK(kind != PENDING_OPERATION || id_is_plain(operation_id));
	p = pending_take(graph);
	p->id = invite->id;
	p->kind = kind;
	p->expires_at = invite->expires_at;
	if (operation_id.size > 0)
		buffer_append_bytes(&p->operation_id, operation_id);
	p->token = tokens_get(graph->tokens, invite->tenant);
	bearer = token_peek(p->token);
	if (bearer)
		pending_send(p, invite, bearer);
	else
		pending_wait(p, invite);
}

void graph_invite(struct graph *graph, const struct graph_invite *invite)
{
	graph_begin(graph, PENDING_INVITE, invite, bytes_of(""));
}

void graph_look(struct graph *graph, const struct effect_look *look)
{
	static const enum pending_kind kinds[] = {
		[LOOK_OPERATIONS] = PENDING_OPERATIONS,
		[LOOK_ROSTER] = PENDING_ROSTER,
		[LOOK_OPERATION] = PENDING_OPERATION,
	};
	const struct graph_invite question = { .id = look->look_id,
		                               .tenant = look->tenant,
		                               .call_id = look->call_id };

	graph_begin(graph, kinds[look->kind], &question,
	            look->kind == LOOK_OPERATION ? look->operation_id : bytes_of(""));
}

static void on_closed(uv_handle_t *handle)
{
	struct graph *g = handle->data;

	buffer_close(&g->url);
	free(g);
}

/* http_cancel() answers, which takes the invite out of its list. */
static void graph_end_active(struct graph *g)
{
	while (g->active) {
		struct pending *p = g->active;

		if (p->transfer) {
			http_cancel(g->http, p->transfer);
			continue;
		}
		token_cancel(p->token, &p->waiter);
		DL_DELETE(g->active, p);
		pending_free(p);
	}
}

void graph_close(struct graph *graph)
{
	struct pending *p, *next;

	CHECK(graph->state == GRAPH_OPEN);
	graph->state = GRAPH_CLOSING;
	graph_end_active(graph);
	DL_FOREACH_SAFE (graph->unstarted, p, next)
		pending_free(p);
	LL_FOREACH_SAFE(graph->spare, p, next)
	pending_free(p);
	uv_close((uv_handle_t *)&graph->later, on_closed);
}
