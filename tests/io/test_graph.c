/* The Graph client against a server that is login service and Graph at once. */
#include "lib/hostile_server.h"
#include "worker/io/clock.h"
#include "worker/io/graph.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOKEN_TEXT                                                                                 \
	"HTTP/1.1 200 OK\r\nContent-Length: "                                                      \
	"62\r\n\r\n{\"token_type\":\"Bearer\",\"access_token\":"                                   \
	"\"aaa\",\"expires_in\":3600}"
#define OTHER_TOKEN_TEXT                                                                           \
	"HTTP/1.1 200 OK\r\nContent-Length: "                                                      \
	"62\r\n\r\n{\"token_type\":\"Bearer\",\"access_token\":"                                   \
	"\"bbb\",\"expires_in\":3600}"
#define NO_TOKEN_TEXT "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}"
#define INVITE_TEXT                                                                                \
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nLocation: https://g/operations/1\r\n"             \
	"request-id: r-1\r\nclient-request-id: c-1\r\n\r\n{}"
#define REFUSED_TEXT "HTTP/1.1 401 No\r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n"

struct world {
	uv_loop_t loop;
	struct hostile_server server;
	const struct hostile_step *steps;
	size_t n_steps;
	unsigned fetches, invites;
	char fetched[4][16]; /* The beginning of the path of each fetch: its tenant */
	char head[1024];
	char body[1024];
	struct http *http;
	struct tokens *tokens;
	struct token *token; /* Of the first tenant */
	struct graph *graph;
	struct metrics metrics;
	struct log log;
	unsigned answers;
	uint64_t id;
	enum answer_progress progress;
	bool is_withheld;
	int status;
	bool has_location;
	char request_id[64];
	char problem[256];
	instant_t sent_at;
	bool inside;    /* graph_invite() or graph_look() */
	bool is_closed; /* The gate */
	unsigned gates, looks, polls;
};

static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	struct world *w = owner;

	return &w->steps[turn->total < w->n_steps ? turn->total : w->n_steps - 1];
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;

	snprintf(w->head, sizeof(w->head), "%.*s", (int)head.size, head.data);
	snprintf(w->body, sizeof(w->body), "%.*s", (int)body.size, body.data);
	if (strstr(w->head, "/oauth2/") && w->fetches++ < 4)
		snprintf(w->fetched[w->fetches - 1], 16, "%.5s", head.data + strlen("POST "));
	else if (!strstr(w->head, "/oauth2/"))
		w->invites++;
}

static void on_answer(void *owner, uint64_t id, const struct answer *answer)
{
	struct world *w = owner;

	assert_false(w->inside);
	w->answers++;
	w->id = id;
	w->progress = answer->progress;
	w->is_withheld = answer->is_withheld;
	w->status = answer->http_status;
	w->has_location = answer->location != NULL;
	w->sent_at = answer->sent_at;
	snprintf(w->request_id, sizeof(w->request_id), "%s",
	         answer->request_id ? answer->request_id : "");
	snprintf(w->problem, sizeof(w->problem), "%s", answer->problem ? answer->problem : "");
	uv_stop(&w->loop);
}

static void on_evidence(void *owner, uint64_t id, const struct answer *answer)
{
	struct world *w = owner;

	w->looks++;
	on_answer(owner, id, answer);
}

static void on_polled(void *owner, uint64_t id, const struct answer *answer)
{
	struct world *w = owner;

	w->polls++;
	on_answer(owner, id, answer);
}

static bool on_gate(void *owner)
{
	struct world *w = owner;

	w->gates++;
	return !w->is_closed;
}

static void world_open(struct world *w, const struct hostile_step *steps, size_t n_steps)
{
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options http_options = { .max_connections = 1,
		                             .connect_timeout = duration_ms(5000) };
	static const char *const tenants[] = { "t-0", "t-1" };
	const struct text_list tenant_list = { tenants, 2 };
	struct tokens_base base = { .loop = &w->loop, .log = &w->log, .metrics = &w->metrics };
	struct credential_options credential = { .secret = { .text = "s" } };
	struct token_options token_options = { .client_id = "c",
		                               .scope = "s",
		                               .timeout = duration_ms(20000) };
	struct graph_options options = { .timeout = duration_ms(20000) };
	const struct graph_callbacks callbacks = {
		.owner = w,
		.answered = on_answer,
		.evidence = on_evidence,
		.polled = on_polled,
		.may_send = on_gate,
	};
	char url[64];

	*w = (struct world){ .steps = steps, .n_steps = n_steps };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	log_init(&w->log, NULL, LOG_ERROR);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", w->server.port);
	token_options.login_url = url;
	options.url = url;
	w->http = http_new(&w->loop, &http_options, NULL);
	assert_non_null(w->http);
	base.http = w->http;
	base.credential = &credential;
	w->tokens = tokens_new(&base, &token_options, &tenant_list, NULL);
	assert_non_null(w->tokens);
	w->token = tokens_get(w->tokens, 0);
	w->graph = graph_new(w->http, w->tokens, &w->loop, &options, &callbacks, NULL);
	assert_non_null(w->graph);
}

static void world_close(struct world *w)
{
	graph_close(w->graph);
	tokens_close(w->tokens, NULL, NULL);
	http_close(w->http, NULL, NULL);
	hostile_server_close(&w->server);
	while (uv_run(&w->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void invite_with(struct world *w, struct graph_invite invite)
{
	w->inside = true;
	graph_invite(w->graph, &invite);
	w->inside = false;
}

static void invite(struct world *w, uint64_t id)
{
	invite_with(w, (struct graph_invite){ .id = id,
	                                      .call_id = bytes_of("call~1"),
	                                      .body = bytes_of("{\"participants\":[]}"),
	                                      .client_request_id = bytes_of("uuid-1"),
	                                      .expires_at = { INT64_MAX } });
}

static void wait_for_answer(struct world *w)
{
	unsigned before = w->answers;

	while (w->answers == before)
		uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(w->answers, before + 1);
}

static void sends_an_invite_as_graph_wants_it(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct world w;
	instant_t before = clock_now();

	(void)state;
	world_open(&w, steps, 2);
	invite(&w, 7);
	wait_for_answer(&w);
	assert_ptr_equal(strstr(w.head, "POST /communications/calls/call~1/participants/invite "
	                                "HTTP/1.1\r\n"),
	                 w.head);
	assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer aaa\r\n"));
	assert_non_null(strstr(w.head, "\r\nclient-request-id: uuid-1\r\n"));
	assert_non_null(strstr(w.head, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(w.head, "\r\nAccept: application/json\r\n"));
	assert_string_equal(w.body, "{\"participants\":[]}");
	assert_int_equal(w.id, 7);
	assert_int_equal(w.progress, ANSWER_COMPLETE);
	assert_int_equal(w.status, 200);
	assert_true(w.has_location);
	assert_string_equal(w.request_id, "r-1");
	assert_in_range(w.sent_at.us, before.us, clock_now().us);
	world_close(&w);
}

static void sends_the_next_invite_with_the_same_token(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	for (uint64_t id = 1; id <= 10; id++) {
		invite(&w, id);
		wait_for_answer(&w);
		assert_int_equal(w.id, id);
	}
	assert_int_equal(w.fetches, 1);
	assert_int_equal(w.invites, 10);
	world_close(&w);
}

static void says_when_there_is_no_token(void **state)
{
	struct hostile_step step = { .text = NO_TOKEN_TEXT };
	struct world w;

	(void)state;
	world_open(&w, &step, 1);
	invite(&w, 1);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_NO_TOKEN);
	assert_non_null(strstr(w.problem, "login service"));
	assert_int_equal(w.invites, 0);
	world_close(&w);
}

static void drops_the_token_that_graph_refuses(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = REFUSED_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	invite(&w, 1);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_COMPLETE);
	assert_int_equal(w.status, 401);
	assert_null(token_peek(w.token));
	world_close(&w);
}

static void invite_in(struct world *w, uint32_t tenant)
{
	invite_with(w, (struct graph_invite){ .id = tenant,
	                                      .tenant = tenant,
	                                      .call_id = bytes_of("call~1"),
	                                      .body = bytes_of("{}"),
	                                      .client_request_id = bytes_of("uuid-1"),
	                                      .expires_at = { INT64_MAX } });
	wait_for_answer(w);
}

/* All on one connection, so that the order is known. */
static void every_request_carries_the_token_of_its_tenant(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT },
		                        { .text = INVITE_TEXT },
		                        { .text = OTHER_TOKEN_TEXT },
		                        { .text = INVITE_TEXT },
		                        { .text = INVITE_TEXT } };
	struct effect_look question = { .look_id = 9, .tenant = 1, .call_id = bytes_of("c") };
	struct world w;

	(void)state;
	world_open(&w, steps, 5);
	invite_in(&w, 0);
	assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer aaa\r\n"));
	invite_in(&w, 1);
	assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer bbb\r\n"));
	invite_in(&w, 0);
	assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer aaa\r\n"));
	graph_look(w.graph, &question);
	wait_for_answer(&w);
	assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer bbb\r\n"));
	assert_int_equal(w.fetches, 2);
	assert_string_equal(w.fetched[0], "/t-0/");
	assert_string_equal(w.fetched[1], "/t-1/");
	world_close(&w);
}

static void a_token_that_is_refused_is_dropped_for_its_tenant_alone(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT },
		                        { .text = INVITE_TEXT },
		                        { .text = OTHER_TOKEN_TEXT },
		                        { .text = REFUSED_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 4);
	invite_in(&w, 0);
	invite_in(&w, 1);
	assert_int_equal(w.status, 401);
	assert_non_null(token_peek(w.token));
	assert_null(token_peek(tokens_get(w.tokens, 1)));
	world_close(&w);
}

static void a_tenant_without_a_token_keeps_no_other_from_sending(void **state)
{
	struct hostile_step steps[] = { { .text = NO_TOKEN_TEXT },
		                        { .text = TOKEN_TEXT },
		                        { .text = INVITE_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 3);
	invite_in(&w, 1);
	assert_int_equal(w.progress, ANSWER_NO_TOKEN);
	invite_in(&w, 0);
	assert_int_equal(w.status, 200);
	world_close(&w);
}

static void counts_a_lost_answer_as_sent(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .then = HOSTILE_RESET } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	invite(&w, 1);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_BROKEN);
	assert_int_equal(w.status, 0);
	assert_string_not_equal(w.problem, "");
	assert_int_equal(w.invites, 1);
	world_close(&w);
}

static void knows_what_was_not_sent(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	invite(&w, 1);
	wait_for_answer(&w);
	hostile_server_close(&w.server);
	invite(&w, 2);
	wait_for_answer(&w);
	assert_int_equal(w.id, 2);
	assert_int_equal(w.progress, ANSWER_NOT_SENT);
	assert_false(w.is_withheld);
	assert_int_equal(w.status, 0);
	assert_string_not_equal(w.problem, "");
	assert_int_equal(w.invites, 1);
	world_close(&w);
}

static void answers_later_what_cannot_be_started(void **state)
{
	struct hostile_step step = { .text = TOKEN_TEXT };
	struct graph_invite forged = { .id = 5,
		                       .call_id = bytes_of("c"),
		                       .body = bytes_of("{}"),
		                       .client_request_id = bytes_of("a\r\nX: y") };
	struct world w;

	(void)state;
	world_open(&w, &step, 1);
	invite_with(&w, forged);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_NOT_SENT);
	assert_true(w.is_withheld);
	assert_non_null(token_peek(w.token));
	invite_with(&w, forged);
	wait_for_answer(&w);
	assert_int_equal(w.id, 5);
	assert_int_equal(w.progress, ANSWER_NOT_SENT);
	assert_int_equal(w.invites, 0);
	world_close(&w);
}

static void ends_in_silence_with_invites_in_every_state(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .then = HOSTILE_HANG } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	invite(&w, 1);
	while (w.invites == 0)
		uv_run(&w.loop, UV_RUN_ONCE);
	invite(&w, 2);
	invite_with(&w, (struct graph_invite){ .id = 4,
	                                       .call_id = bytes_of("c"),
	                                       .body = bytes_of("{}"),
	                                       .client_request_id = bytes_of("\n") });
	token_drop(w.token, token_number(w.token));
	invite(&w, 3);
	world_close(&w);
	assert_int_equal(w.answers, 0);
}

/* While a token is fetched, or a connection made, the time of a command can be over. */
static void sends_nothing_that_has_expired(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct graph_invite late = { .id = 1,
		                     .call_id = bytes_of("c"),
		                     .body = bytes_of("{}"),
		                     .client_request_id = bytes_of("uuid-1"),
		                     .expires_at = clock_wall() };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	invite_with(&w, late);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_NOT_SENT);
	assert_int_equal(w.invites, 0);
	late.expires_at.us += INT64_C(3600) * 1000000;
	invite_with(&w, late);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_COMPLETE);
	assert_int_equal(w.invites, 1);
	world_close(&w);
}

static void look(struct world *w, uint64_t id, enum look_kind kind)
{
	const struct effect_look question = { .look_id = id,
		                              .kind = kind,
		                              .call_id = bytes_of("call~1"),
		                              .operation_id = bytes_of("op-1") };

	w->inside = true;
	graph_look(w->graph, &question);
	w->inside = false;
}

static void asks_for_operations_and_participants_of_a_call(void **state)
{
	static const char *const lines[] = {
		[LOOK_OPERATIONS] = "GET /communications/calls/call~1/operations HTTP/1.1\r\n",
		[LOOK_ROSTER] = "GET /communications/calls/call~1/participants HTTP/1.1\r\n",
		[LOOK_OPERATION] = "GET /communications/calls/call~1/operations/op-1 HTTP/1.1\r\n",
	};
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	w.is_closed = true; /* Asking changes nothing: it needs no leave */
	for (enum look_kind kind = LOOK_OPERATIONS; kind <= LOOK_OPERATION; kind++) {
		look(&w, 5 + (uint64_t)kind, kind);
		wait_for_answer(&w);
		assert_ptr_equal(strstr(w.head, lines[kind]), w.head);
		assert_non_null(strstr(w.head, "\r\nAuthorization: Bearer aaa\r\n"));
		assert_string_equal(w.body, "");
		assert_int_equal(w.id, 5 + (uint64_t)kind);
		assert_int_equal(w.status, 200);
	}
	assert_int_equal(w.looks, 2);
	assert_int_equal(w.polls, 1);
	assert_int_equal(w.gates, 0);
	world_close(&w);
}

static void sends_nothing_when_the_gate_is_closed(void **state)
{
	struct hostile_step steps[] = { { .text = TOKEN_TEXT }, { .text = INVITE_TEXT } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	w.is_closed = true;
	invite(&w, 1);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_NOT_SENT);
	assert_true(w.is_withheld);
	assert_int_equal(w.gates, 1);
	assert_int_equal(w.invites, 0);
	w.is_closed = false;
	invite(&w, 2);
	wait_for_answer(&w);
	assert_int_equal(w.progress, ANSWER_COMPLETE);
	assert_false(w.is_withheld);
	assert_int_equal(w.invites, 1);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_an_invite_as_graph_wants_it),
		cmocka_unit_test(sends_the_next_invite_with_the_same_token),
		cmocka_unit_test(says_when_there_is_no_token),
		cmocka_unit_test(drops_the_token_that_graph_refuses),
		cmocka_unit_test(every_request_carries_the_token_of_its_tenant),
		cmocka_unit_test(a_token_that_is_refused_is_dropped_for_its_tenant_alone),
		cmocka_unit_test(a_tenant_without_a_token_keeps_no_other_from_sending),
		cmocka_unit_test(counts_a_lost_answer_as_sent),
		cmocka_unit_test(knows_what_was_not_sent),
		cmocka_unit_test(answers_later_what_cannot_be_started),
		cmocka_unit_test(asks_for_operations_and_participants_of_a_call),
		cmocka_unit_test(sends_nothing_when_the_gate_is_closed),
		cmocka_unit_test(sends_nothing_that_has_expired),
		cmocka_unit_test(ends_in_silence_with_invites_in_every_state),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
