/* The token provider against a scripted login service, under a clock that the test moves. */
#include "lib/hostile_server.h"
#include "worker/io/token.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)

#define GRANT(size, token, expires)                                                                \
	"HTTP/1.1 200 OK\r\nContent-Length: " size                                                 \
	"\r\n\r\n{\"token_type\":\"Bearer\",\"access_token\":\"" token                             \
	"\",\"expires_in\":" expires "}"

#define GRANT_A GRANT("62", "aaa", "3600")
#define GRANT_B GRANT("62", "bbb", "3600")
#define REFUSAL                                                                                    \
	"HTTP/1.1 401 No\r\nContent-Length: 115\r\n\r\n{\"error\":\"invalid_client\","             \
	"\"error_codes\":[7000215],\"error_description\":\"AADSTS7000215: wrong "                  \
	"s+cr&t\\r\\nTrace: 1234\"}"

#define BUSY                                                                                       \
	"HTTP/1.1 503 No\r\nContent-Length: 76\r\n\r\n{\"error\":\"temporarily_unavailable\","     \
	"\"error_description\":\"AADSTS90033: later\"}"

struct world {
	uv_loop_t loop;
	struct hostile_server server;
	const struct hostile_step *steps;
	size_t n_steps;
	unsigned fetches;
	char head[1024];
	char body[1024];
	struct http *http;
	struct credential *credential;
	struct token *token;
	struct metrics metrics;
	struct log log;
	char *log_text;
	size_t log_size;
	instant_t now;
	unsigned closed;
	unsigned recovered;
};

struct waiting {
	struct token_waiter waiter;
	struct world *world;
	unsigned calls;
	char bearer[64];
	char problem[256];
};

static instant_t world_clock(void *owner)
{
	struct world *w = owner;

	return w->now;
}

static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	struct world *w = owner;

	return &w->steps[turn->total < w->n_steps ? turn->total : w->n_steps - 1];
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;

	w->fetches++;
	snprintf(w->head, sizeof(w->head), "%.*s", (int)head.size, head.data);
	snprintf(w->body, sizeof(w->body), "%.*s", (int)body.size, body.data);
}

static void on_recovered(void *owner, uint32_t tenant)
{
	struct world *w = owner;

	assert_int_equal(tenant, 7);
	w->recovered++;
}

static void world_open_with(struct world *w, const struct hostile_step *steps, size_t n_steps,
                            const struct credential_options *credential)
{
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options http_options = { .max_connections = 4,
		                             .connect_timeout = duration_ms(5000) };
	struct token_options options = { .tenant_id = "contoso.example",
		                         .client_id = "client 1",
		                         .scope = "https://graph/.default",
		                         .timeout = duration_ms(20000),
		                         .recovered = on_recovered,
		                         .owner = w,
		                         .tenant = 7,
		                         .clock = world_clock,
		                         .clock_owner = w };
	char login_url[64];
	struct err err = { "" };

	*w = (struct world){ .steps = steps, .n_steps = n_steps, .now = { 1000 * SECOND } };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	log_init(&w->log, open_memstream(&w->log_text, &w->log_size), LOG_DEBUG);
	snprintf(login_url, sizeof(login_url), "http://127.0.0.1:%u/", w->server.port);
	options.login_url = login_url;
	w->http = http_new(&w->loop, &http_options, &err);
	assert_non_null(w->http);
	w->credential = credential_new(credential, &w->log, &err);
	if (!w->credential)
		fail_msg("%s", err.msg);
	options.credential = w->credential;
	w->token = token_new(w->http, &w->loop, &options, &w->log, &w->metrics, &err);
	if (!w->token)
		fail_msg("%s", err.msg);
}

static void world_open(struct world *w, const struct hostile_step *steps, size_t n_steps)
{
	struct credential_options secret = { .secret = { .text = "s+cr&t" } };

	world_open_with(w, steps, n_steps, &secret);
}

static void on_closed(void *owner)
{
	struct world *w = owner;

	w->closed++;
}

static void world_close(struct world *w)
{
	token_close(w->token, on_closed, w);
	http_close(w->http, NULL, NULL);
	hostile_server_close(&w->server);
	while (uv_run(&w->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(w->closed, 1);
	credential_free(w->credential);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	fclose(w->log.file);
	assert_null(strstr(w->log_text, "s+cr"));
	assert_null(strstr(w->log_text, "aaa"));
	free(w->log_text);
}

static void on_told(void *owner, const char *bearer, const char *problem)
{
	struct waiting *waiting = owner;

	waiting->calls++;
	snprintf(waiting->bearer, sizeof(waiting->bearer), "%s", bearer ? bearer : "");
	snprintf(waiting->problem, sizeof(waiting->problem), "%s", problem ? problem : "");
	assert_true(!bearer != !problem);
	uv_stop(&waiting->world->loop);
}

static void begin(struct world *w, struct waiting *waiting)
{
	*waiting = (struct waiting){ .waiter = { .owner = waiting, .cb = on_told }, .world = w };
	token_wait(w->token, &waiting->waiter);
	assert_int_equal(waiting->calls, 0);
}

static void finish(struct world *w, struct waiting *waiting)
{
	while (waiting->calls == 0)
		uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(waiting->calls, 1);
}

static struct waiting ask(struct world *w)
{
	struct waiting waiting;

	begin(w, &waiting);
	finish(w, &waiting);
	return waiting;
}

static void elapse(struct world *w, int64_t us)
{
	w->now.us += us;
}

/* Until the login service was asked 'fetches' times and the answers are in. */
static void run_until_fetched(struct world *w, unsigned fetches)
{
	while (w->fetches < fetches || http_pending(w->http) > 0)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void asks_as_the_protocol_wants(void **state)
{
	struct hostile_step step = { .text = GRANT_A };
	struct world w;
	struct waiting told;

	(void)state;
	world_open(&w, &step, 1);
	assert_null(token_peek(w.token));
	told = ask(&w);
	assert_string_equal(told.bearer, "Bearer aaa");
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_ptr_equal(strstr(w.head, "POST /contoso.example/oauth2/v2.0/token HTTP/1.1\r\n"),
	                 w.head);
	assert_non_null(strstr(w.head, "Content-Type: application/x-www-form-urlencoded\r\n"));
	assert_string_equal(w.body, "client_id=client%201&scope=https%3A%2F%2Fgraph%2F.default&"
	                            "client_secret=s%2Bcr%26t&grant_type=client_credentials");
	assert_int_equal(w.metrics.values[METRIC_tokens_fetched], 1);
	world_close(&w);
}

static void fetches_once_for_all_who_wait(void **state)
{
	struct hostile_step step = { .text = GRANT_A };
	struct world w;
	struct waiting told[20];

	(void)state;
	world_open(&w, &step, 1);
	for (size_t i = 0; i < 20; i++)
		begin(&w, &told[i]);
	token_cancel(w.token, &told[7].waiter);
	token_cancel(w.token, &told[7].waiter);
	for (size_t i = 0; i < 20; i++) {
		if (i != 7)
			finish(&w, &told[i]);
	}
	assert_int_equal(told[7].calls, 0);
	assert_int_equal(w.fetches, 1);
	world_close(&w);
}

static void renews_in_time_and_goes_on_with_the_old_token_meanwhile(void **state)
{
	struct hostile_step steps[] = { { .text = GRANT_A }, { .text = GRANT_B } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	ask(&w);
	elapse(&w, 55 * MINUTE - 1);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_int_equal(http_pending(w.http), 0);
	elapse(&w, 1);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_int_equal(http_pending(w.http), 1);
	run_until_fetched(&w, 2);
	assert_string_equal(token_peek(w.token), "Bearer bbb");
	assert_int_equal(w.fetches, 2);
	world_close(&w);
}

static void uses_no_token_past_its_end(void **state)
{
	struct hostile_step steps[] = { { .text = GRANT_A }, { .text = GRANT_B } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	ask(&w);
	elapse(&w, 60 * MINUTE);
	assert_null(token_peek(w.token));
	assert_string_equal(ask(&w).bearer, "Bearer bbb");
	world_close(&w);
}

static void keeps_a_valid_token_when_its_renewal_fails(void **state)
{
	struct hostile_step steps[] = { { .text = GRANT_A },
		                        { .text = REFUSAL },
		                        { .text = GRANT_B } };
	struct world w;

	(void)state;
	world_open(&w, steps, 3);
	ask(&w);
	elapse(&w, 56 * MINUTE);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	run_until_fetched(&w, 2);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_int_equal(http_pending(w.http), 0);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	elapse(&w, 13 * SECOND);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	run_until_fetched(&w, 3);
	assert_string_equal(token_peek(w.token), "Bearer bbb");
	world_close(&w);
}

static void tells_all_who_wait_of_a_failure_and_pauses(void **state)
{
	struct hostile_step steps[] = { { .text = BUSY }, { .text = BUSY }, { .text = GRANT_A } };
	struct world w;
	struct waiting first, second;

	(void)state;
	world_open(&w, steps, 3);
	begin(&w, &first);
	begin(&w, &second);
	finish(&w, &first);
	finish(&w, &second);
	assert_string_equal(first.problem, "the login service answered with status 503 "
	                                   "error=temporarily_unavailable code=AADSTS90033");
	assert_string_equal(second.problem, first.problem);
	elapse(&w, SECOND - 1);
	assert_string_equal(ask(&w).problem, first.problem);
	assert_int_equal(w.fetches, 1);
	elapse(&w, SECOND / 2);
	assert_string_equal(ask(&w).problem, first.problem);
	assert_int_equal(w.fetches, 2);
	elapse(&w, 2 * SECOND - 1);
	ask(&w);
	assert_int_equal(w.fetches, 2);
	elapse(&w, SECOND);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	assert_int_equal(w.metrics.values[METRIC_token_failures], 2);
	fflush(w.log.file);
	assert_non_null(strstr(w.log_text, "token.fetch_failed"));
	assert_null(strstr(w.log_text, "Trace"));
	world_close(&w);
}

static void a_person_is_called_in_the_log_by_code_and_hint(void **state)
{
	struct hostile_step steps[] = { { .text = REFUSAL }, { .text = GRANT_A } };
	struct buffer why;
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	buffer_init(&why, 512);
	assert_true(token_is_well(w.token, &why));
	ask(&w);
	assert_false(token_was_granted(w.token));
	assert_false(token_is_well(w.token, &why));
	assert_string_equal(why.data, "no access token for Graph: the login service answered with "
	                              "status 401 error=invalid_client code=AADSTS7000215");
	assert_int_equal(w.metrics.values[METRIC_tokens_missing], 1);
	fflush(w.log.file);
	assert_non_null(strstr(w.log_text, "error token.refused"));
	assert_non_null(strstr(w.log_text, "use its value, not its id"));
	elapse(&w, 9 * SECOND);
	ask(&w);
	assert_int_equal(w.fetches, 1);
	assert_int_equal(w.recovered, 0);
	elapse(&w, 4 * SECOND);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	while (w.recovered == 0)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_true(token_was_granted(w.token));
	assert_true(token_is_well(w.token, &why));
	assert_int_equal(w.metrics.values[METRIC_tokens_missing], 0);
	buffer_close(&why);
	world_close(&w);
}

static void write_secret(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* The clock of the test stands still: it is not the pause that ends. */
static void a_secret_that_changes_ends_the_pause(void **state)
{
	struct hostile_step steps[] = { { .text = REFUSAL }, { .text = GRANT_A } };
	char path[] = "/tmp/token-XXXXXX";
	struct credential_options options = { .secret = { .text = "s+cr&t", .file = path } };
	struct world w;

	(void)state;
	close(mkstemp(path));
	write_secret(path, "s+cr&t");
	world_open_with(&w, steps, 2, &options);
	ask(&w);
	assert_int_equal(w.fetches, 1);
	write_secret(path, "s+cret");
	run_until_fetched(&w, 2);
	assert_string_equal(token_peek(w.token), "Bearer aaa");
	assert_non_null(strstr(w.body, "client_secret=s%2Bcret&"));
	assert_int_equal(w.recovered, 1);
	world_close(&w);
	unlink(path);
}

static void waits_as_long_as_the_service_asks_for(void **state)
{
	struct hostile_step steps[] = {
		{ .text = "HTTP/1.1 429 No\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\n{}" },
		{ .text = GRANT_A }
	};
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	ask(&w);
	elapse(&w, 30 * SECOND - 1);
	ask(&w);
	assert_int_equal(w.fetches, 1);
	elapse(&w, 1);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	world_close(&w);
}

static void survives_a_login_service_that_drops_the_connection(void **state)
{
	struct hostile_step steps[] = { { .then = HOSTILE_RESET }, { .text = GRANT_A } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	assert_non_null(strstr(ask(&w).problem, "the login service did not answer"));
	elapse(&w, 2 * SECOND);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	world_close(&w);
}

/* A login service may give the same token again: that is another one. */
static void drops_only_the_token_that_was_refused(void **state)
{
	static const char *const seconds[][2] = { { GRANT_B, "Bearer bbb" },
		                                  { GRANT_A, "Bearer aaa" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct hostile_step steps[] = { { .text = GRANT_A }, { .text = seconds[i][0] } };
		struct world w;
		uint64_t first;

		world_open(&w, steps, 2);
		ask(&w);
		first = token_number(w.token);
		elapse(&w, MINUTE);
		token_drop(w.token, first - 1);
		assert_string_equal(token_peek(w.token), "Bearer aaa");
		token_drop(w.token, first);
		assert_null(token_peek(w.token));
		assert_string_equal(ask(&w).bearer, seconds[i][1]);
		token_drop(w.token, first);
		assert_string_equal(token_peek(w.token), seconds[i][1]);
		world_close(&w);
	}
}

/* Graph that refuses every token must not make the worker fetch without end. */
static void pauses_when_new_tokens_are_refused(void **state)
{
	struct hostile_step step = { .text = GRANT_A };
	struct world w;

	(void)state;
	world_open(&w, &step, 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(ask(&w).bearer, "Bearer aaa");
		assert_int_equal(w.fetches, i + 1);
		token_drop(w.token, token_number(w.token));
		elapse(&w, (INT64_C(1) << i) * SECOND - 1);
		assert_string_equal(ask(&w).problem,
		                    "Graph refuses the token that was just fetched");
		elapse(&w, (INT64_C(1) << i) * SECOND);
	}
	world_close(&w);
}

static void a_new_token_that_has_worked_is_dropped_when_it_is_refused_twice_in_a_row(void **state)
{
	struct hostile_step steps[] = { { .text = GRANT_A }, { .text = GRANT_B } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	ask(&w);
	for (unsigned i = 0; i < 3; i++) {
		token_confirm(w.token, token_number(w.token));
		token_drop(w.token, token_number(w.token));
		assert_string_equal(token_peek(w.token), "Bearer aaa");
	}
	token_drop(w.token, token_number(w.token));
	assert_null(token_peek(w.token));
	assert_string_equal(ask(&w).bearer, "Bearer bbb");
	assert_int_equal(w.fetches, 2);
	world_close(&w);
}

static void a_token_that_has_worked_long_ago_is_dropped_at_once(void **state)
{
	struct hostile_step steps[] = { { .text = GRANT_A }, { .text = GRANT_B } };
	struct world w;

	(void)state;
	world_open(&w, steps, 2);
	ask(&w);
	token_confirm(w.token, token_number(w.token));
	elapse(&w, MINUTE);
	token_drop(w.token, token_number(w.token));
	assert_string_equal(ask(&w).bearer, "Bearer bbb");
	world_close(&w);
}

static void a_token_that_works_ends_the_growth_of_the_pause(void **state)
{
	struct hostile_step step = { .text = GRANT_A };
	struct world w;

	(void)state;
	world_open(&w, &step, 1);
	for (unsigned i = 0; i < 3; i++) {
		ask(&w);
		token_drop(w.token, token_number(w.token));
		elapse(&w, 8 * SECOND);
	}
	ask(&w);
	token_confirm(w.token, token_number(w.token));
	for (unsigned i = 0; i < 2; i++)
		token_drop(w.token, token_number(w.token));
	ask(&w);
	token_drop(w.token, token_number(w.token));
	elapse(&w, 2 * SECOND);
	assert_string_equal(ask(&w).bearer, "Bearer aaa");
	world_close(&w);
}

static void tells_who_waits_when_it_closes(void **state)
{
	struct hostile_step step = { .then = HOSTILE_HANG };
	struct world w;
	struct waiting told;

	(void)state;
	world_open(&w, &step, 1);
	begin(&w, &told);
	while (w.fetches == 0)
		uv_run(&w.loop, UV_RUN_ONCE);
	world_close(&w);
	assert_int_equal(told.calls, 1);
	assert_string_equal(told.problem, "the worker is stopping");
}

static void refuses_a_tenant_that_would_leave_its_path(void **state)
{
	static const char *const tenants[] = { "", "..", "a/b", "a?b", "a\r\nb", "%2e" };
	struct token_options options = { .login_url = "http://127.0.0.1",
		                         .client_id = "c",
		                         .scope = "s",
		                         .timeout = duration_ms(1000) };

	(void)state;
	for (size_t i = 0; i < sizeof(tenants) / sizeof(tenants[0]); i++) {
		options.tenant_id = tenants[i];
		assert_null(token_new(NULL, NULL, &options, NULL, NULL, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_as_the_protocol_wants),
		cmocka_unit_test(fetches_once_for_all_who_wait),
		cmocka_unit_test(renews_in_time_and_goes_on_with_the_old_token_meanwhile),
		cmocka_unit_test(uses_no_token_past_its_end),
		cmocka_unit_test(keeps_a_valid_token_when_its_renewal_fails),
		cmocka_unit_test(tells_all_who_wait_of_a_failure_and_pauses),
		cmocka_unit_test(a_person_is_called_in_the_log_by_code_and_hint),
		cmocka_unit_test(a_secret_that_changes_ends_the_pause),
		cmocka_unit_test(waits_as_long_as_the_service_asks_for),
		cmocka_unit_test(survives_a_login_service_that_drops_the_connection),
		cmocka_unit_test(drops_only_the_token_that_was_refused),
		cmocka_unit_test(pauses_when_new_tokens_are_refused),
		cmocka_unit_test(
		    a_new_token_that_has_worked_is_dropped_when_it_is_refused_twice_in_a_row),
		cmocka_unit_test(a_token_that_has_worked_long_ago_is_dropped_at_once),
		cmocka_unit_test(a_token_that_works_ends_the_growth_of_the_pause),
		cmocka_unit_test(tells_who_waits_when_it_closes),
		cmocka_unit_test(refuses_a_tenant_that_would_leave_its_path),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
