/* A scenario in which the n-th allocation of the engine fails, for every n: it says so, loses
 * nothing of its memory, and does nothing that it should not.
 *
 * There is no trace: a line of it may be lost. The linker wraps the allocation functions of this
 * program; those of the libraries go on. */
#include "worker/core/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The linker's names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

/* Allocations until the one that fails; negative: none fails. */
static long countdown = -1;

static bool fails_now(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

/* One scenario; 'failed' once the engine has said that it has no memory. */
struct scenario {
	struct engine *engine;
	struct metrics metrics;
	struct policy policy;
	int64_t now_us;
	bool failed;
	uint64_t marks[64];
	size_t n_marks;
	uint64_t posts[64];
	size_t n_posts;
	uint64_t writes[64];
	size_t n_writes;
	size_t n_replies;
	long left; /* Of the countdown, before the end */
};

static void step(struct scenario *s, struct event event)
{
	const struct effects *f;

	if (s->failed)
		return;
	event.now.us = s->now_us;
	event.wall.us = INT64_C(1769860800000000) + s->now_us;
	f = engine_step(s->engine, &event);
	s->failed = f->out_of_memory;
	if (s->failed)
		return;
	for (size_t i = 0; i < f->n_marks; i++)
		s->marks[s->n_marks++] = f->marks[i];
	for (size_t i = 0; i < f->n_posts; i++)
		s->posts[s->n_posts++] = f->posts[i]->invite_id;
	for (size_t i = 0; i < f->n_writes; i++) {
		s->writes[s->n_writes++] = f->writes[i]->write_id;
		s->n_replies += f->writes[i]->kind == WRITE_REPLY;
	}
}

static void give(struct scenario *s, int64_t offset, const char *call, const char *text)
{
	const struct record_header headers[] = {
		{ bytes_of("traceparent"), bytes_of("00-0af7651916cd43dd-b7ad6b71-01"), false },
	};
	struct record record = { .topic = bytes_of("invite-commands"),
		                 .offset = offset,
		                 .has_key = true,
		                 .key = bytes_of(call),
		                 .value = bytes_of(text),
		                 .headers = headers,
		                 .n_headers = 1 };

	step(s, (struct event){ .type = EVENT_RECORD, .record = &record });
}

static void give_all(struct scenario *s)
{
	char text[256], call[24];

	for (int i = 0; i < 40; i++) {
		snprintf(call, sizeof(call), "call-%d", i);
		snprintf(text, sizeof(text),
		         "{\"callId\":\"%s\",\"clientContext\":\"context\",\"participants\":["
		         "{\"identity\":{\"user\":{\"id\":\"ann\"}}},"
		         "{\"identity\":{\"user\":{\"id\":\"bob\"}}}]}",
		         call);
		give(s, i, call, i % 10 == 9 ? "{\"nonsense\":true}" : text);
	}
}

static void confirm_all(struct scenario *s)
{
	static const struct answer answers[] = {
		{ ANSWER_COMPLETE, .http_status = 200, .location = "https://graph/operations/1" },
		{ ANSWER_COMPLETE, .http_status = 400 },
		{ ANSWER_BROKEN, .problem = "reset" },
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "1" },
	};

	while (s->n_marks > 0)
		step(s,
		     (struct event){ .type = EVENT_MARKED, .invite_id = s->marks[--s->n_marks] });
	while (s->n_posts > 0) {
		uint64_t id = s->posts[--s->n_posts];

		step(s, (struct event){ .type = EVENT_ANSWER,
		                        .answer = { id, &answers[s->n_posts % 4] } });
	}
	while (s->n_writes > 0) {
		uint64_t id = s->writes[--s->n_writes];

		step(s, (struct event){ .type = EVENT_WRITTEN,
		                        .written = { id, s->n_writes % 7 == 6 ? "no" : NULL } });
	}
}

/* Run it. True when it went through without running out of memory. */
static bool run(struct scenario *s)
{
	static const char *const copied[] = { "traceparent" };
	const int32_t partition = 0;

	*s = (struct scenario){ .policy = policy_default(), .left = -1 };
	s->policy.batch_window = duration_ms(0);
	s->policy.copy_headers = (struct text_list){ copied, 1 };
	s->engine = engine_new(&s->policy, &s->metrics, (instant_t){ 0 });
	if (!s->engine)
		return false;
	step(s, (struct event){ .type = EVENT_ASSIGN, .assign = { &partition, 1, 1, 1 } });
	give_all(s);
	for (int i = 0; i < 3; i++)
		confirm_all(s);
	s->left = countdown;
	countdown = -1;
	engine_free(s->engine);
	return !s->failed;
}

static void the_scenario_goes_through_when_nothing_fails(void **state)
{
	struct scenario s;

	(void)state;
	assert_true(run(&s));
	assert_in_range(s.n_replies, 20, 40);
}

static void whichever_allocation_fails_the_engine_says_so(void **state)
{
	struct scenario s;
	long n = 0;
	bool went_through;

	(void)state;
	do {
		countdown = n++;
		went_through = run(&s);
		/* A countdown that did not end: every allocation had its turn. */
		assert_true(went_through == (s.left >= 0));
		countdown = -1;
	} while (!went_through);
	assert_in_range(n, 200, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scenario_goes_through_when_nothing_fails),
		cmocka_unit_test(whichever_allocation_fails_the_engine_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
