/* Answers of the simulated Graph to requests and looks. */
#include "engine/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world_post *world_first_open(struct world *w)
{
	while (w->first_open < w->n_posts && !w->posts[w->first_open].is_open)
		w->first_open++;
	return w->first_open < w->n_posts ? &w->posts[w->first_open] : NULL;
}

size_t world_open_posts(const struct world *w)
{
	size_t n = 0;

	for (size_t i = w->first_open; i < w->n_posts; i++)
		n += w->posts[i].is_open;
	return n;
}

void world_answer_post(struct world *w, struct world_post *post, struct answer answer)
{
	assert_true(post && post->is_open);
	post->is_open = false;
	post->answered = w->steps + 1;
	post->is_accepted = answer.progress == ANSWER_COMPLETE && answer.http_status / 100 == 2;
	answer.sent_at = post->sent;
	if (post->is_accepted)
		graph_apply(&w->graph, post->call, post->partition, post->body);
	world_happen(
	    w, (struct event){ .type = EVENT_ANSWER, .answer = { post->invite_id, &answer } });
}

void world_accept_post(struct world *w, struct world_post *post)
{
	char body[80], location[80];

	unsigned operation = w->graph.n_operations + 1;

	snprintf(body, sizeof(body), "{\"id\":\"op-%u\",\"status\":\"Running\"}", operation);
	snprintf(location, sizeof(location), "https://graph/operations/op-%u", operation);
	world_answer_post(w, post,
	                  (struct answer){ .progress = ANSWER_COMPLETE,
	                                   .http_status = 200,
	                                   .body = bytes_of(body),
	                                   .location = location });
}

void world_accept(struct world *w)
{
	world_accept_post(w, world_first_open(w));
}

void world_answer(struct world *w, int status, const char *retry_after, const char *body)
{
	world_answer_post(w, world_first_open(w),
	                  (struct answer){ .progress = ANSWER_COMPLETE,
	                                   .http_status = status,
	                                   .body = bytes_of(body),
	                                   .retry_after = retry_after });
}

void world_refuse(struct world *w, int status, const char *graph_code)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"No.\"}}",
	         graph_code);
	world_answer(w, status, NULL, body);
}

void world_fail(struct world *w, enum answer_progress progress)
{
	world_answer_post(w, world_first_open(w),
	                  (struct answer){ .progress = progress, .problem = "it broke" });
}

void world_break_after_effect(struct world *w)
{
	struct world_post *post = world_first_open(w);

	assert_non_null(post);
	graph_apply(&w->graph, post->call, post->partition, post->body);
	world_fail(w, ANSWER_BROKEN);
}
