/* What the tests of the HTTP client share. */
#include "io/http_world.h"

#include <stdio.h>

static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	struct world *w = owner;

	return &w->steps[turn->total < w->n_steps ? turn->total : w->n_steps - 1];
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;

	w->effects++;
	uv_stop(&w->loop);
	snprintf(w->head, sizeof(w->head), "%.*s", (int)head.size, head.data);
	snprintf(w->body, sizeof(w->body), "%.*s", (int)body.size, body.data);
}

void world_open(struct world *w, const struct hostile_step *steps, size_t n_steps)
{
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options options = { .user_agent = "http-test",
		                        .max_connections = 4,
		                        .connect_timeout = duration_ms(5000) };

	*w = (struct world){ .steps = steps, .n_steps = n_steps };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u/a/../b", w->server.port);
	w->http = http_new(&w->loop, &options, NULL);
	assert_non_null(w->http);
}

void world_closed(void *owner)
{
	struct world *w = owner;

	w->closed++;
	uv_stop(&w->loop);
}

void world_run(struct world *w)
{
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

void world_close(struct world *w)
{
	if (!w->closed)
		http_close(w->http, world_closed, w);
	hostile_server_close(&w->server);
	while (uv_run(&w->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(w->closed, 1);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static void on_done(void *owner, const struct http_response *response)
{
	struct result *r = owner;

	r->calls++;
	uv_stop(r->loop);
	r->body_begun = response->body_begun;
	r->status = response->status;
	snprintf(r->body, sizeof(r->body), "%.*s", (int)response->body.size,
	         response->problem ? "" : response->body.data);
	for (int i = 0; i < HTTP_RESPONSE_HEADERS; i++)
		snprintf(r->headers[i], sizeof(r->headers[i]), "%s",
		         response->headers[i] ? response->headers[i] : "");
	snprintf(r->problem, sizeof(r->problem), "%s", response->problem ? response->problem : "");
}

struct http_request post(struct world *w, struct result *r)
{
	*r = (struct result){ .loop = &w->loop };
	return (struct http_request){ .method = HTTP_POST,
		                      .url = w->url,
		                      .body = bytes_of("{\"n\":1}"),
		                      .content_type = "application/json",
		                      .timeout = duration_ms(20000),
		                      .max_response = 1000,
		                      .owner = r,
		                      .done = on_done };
}

void start_request(struct world *w, const struct http_request *request, struct result *r)
{
	struct err err = { "" };

	if (http_start(w->http, request, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(r->calls, 0);
}

void wait_for_result(struct world *w, const struct result *r)
{
	while (r->calls == 0)
		world_run(w);
	assert_int_equal(r->calls, 1);
}

struct result post_once(struct world *w)
{
	struct result r;
	struct http_request request = post(w, &r);

	start_request(w, &request, &r);
	wait_for_result(w, &r);
	return r;
}
