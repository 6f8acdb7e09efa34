/* A scenario in which the n-th allocation of the engine fails, for every n: it says so, loses
 * nothing of its memory, and does nothing that it should not.
 *
 * There is no trace: a line of it may be lost. The linker wraps the allocation functions of this
 * program; those of the libraries go on. */
#include "worker/base/slots.h"
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
	struct buffer map; /* Of the last mark; outlives its engine */
	int64_t offset;
	uint64_t marks[64];
	size_t n_marks;
	uint64_t posts[64];
	size_t n_posts;
	uint64_t writes[64];
	size_t n_writes;
	uint64_t looks[64];
	size_t n_looks;
	size_t n_posted, n_looked;
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
		s->marks[s->n_marks++] = f->marks[i].invite_id;
	for (size_t i = 0; i < f->n_looks; i++)
		s->looks[s->n_looks++] = f->looks[i].look_id;
	s->n_looked += f->n_looks;
	s->n_posted += f->n_posts;
	for (size_t i = 0; i < f->n_posts; i++)
		s->posts[s->n_posts++] = f->posts[i]->invite_id;
	for (size_t i = 0; i < f->n_writes; i++) {
		s->writes[s->n_writes++] = f->writes[i]->write_id;
		s->n_replies += f->writes[i]->kind == WRITE_REPLY;
	}
}

/* An alarm may be late: all that are armed ring. */
static void ring(struct scenario *s)
{
	static const uint64_t none = SLOTS_NONE;

	s->now_us += 30 * 1000 * 1000;
	for (uint64_t i = 0; i < 64; i++)
		for (uint64_t generation = 1; generation < 4; generation++)
			step(s, (struct event){ .type = EVENT_ALARM,
			                        .alarm_id = generation << 32 | i });
	step(s, (struct event){ .type = EVENT_ALARM, .alarm_id = none });
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
	char text[256], call[24], cancel[64];

	for (int i = 0; i < 40; i++) {
		snprintf(call, sizeof(call), "call-%d", i);
		snprintf(text, sizeof(text),
		         "{\"callId\":\"%s\",\"commandId\":\"same\",\"participants\":["
		         "{\"identity\":{\"user\":{\"id\":\"ann\"}}},"
		         "{\"identity\":{\"user\":{\"id\":\"bob\"}}}]}",
		         call);
		snprintf(cancel, sizeof(cancel), "{\"callId\":\"%s\",\"cancel\":\"same\"}", call);
		give(s, i, call, i % 10 == 4 ? "{\"nonsense\":true}" : text);
		if (i % 10 == 6)
			give(s, ++i, call, cancel);
		if (i % 10 == 8)
			give(s, ++i, call, text);
	}
}

static void confirm_all(struct scenario *s)
{
	static const struct answer answers[] = {
		{ ANSWER_COMPLETE, .http_status = 200, .location = "https://graph/operations/1" },
		{ ANSWER_COMPLETE, .http_status = 400 },
		{ ANSWER_BROKEN, .problem = "reset" },
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "1" },
		{ ANSWER_COMPLETE, .http_status = 409 },
		{ ANSWER_COMPLETE, .http_status = 404 },
	};

	while (s->n_marks > 0)
		step(s,
		     (struct event){ .type = EVENT_MARKED, .invite_id = s->marks[--s->n_marks] });
	while (s->n_posts > 0) {
		uint64_t id = s->posts[--s->n_posts];

		step(s, (struct event){ .type = EVENT_ANSWER,
		                        .answer = { id, &answers[s->n_posts % 6] } });
	}
	while (s->n_writes > 0) {
		uint64_t id = s->writes[--s->n_writes];

		step(s, (struct event){ .type = EVENT_WRITTEN,
		                        .written = { id, s->n_writes % 7 == 6 ? "no" : NULL } });
	}
}

/* What stands in the offsets when the marks are confirmed. It is not the engine's memory. */
static void commit(struct scenario *s)
{
	struct buffer text;
	int64_t offset;

	if (s->failed)
		return;
	buffer_init(&text, MAP_TEXT_MAX);
	if (engine_map(s->engine, 0, false, &offset, &text)) {
		buffer_close(&s->map);
		s->map = text;
		s->offset = offset;
		return;
	}
	s->failed = true;
	buffer_close(&text);
}

static void start(struct scenario *s, int64_t offset)
{
	const struct event_offer offer = { .offset = offset, .map = buffer_bytes(&s->map) };

	s->n_marks = s->n_posts = s->n_writes = s->n_looks = 0;
	s->engine = engine_new(&s->policy, &s->metrics, (instant_t){ s->now_us });
	s->failed = s->failed || !s->engine;
	step(s, (struct event){ .type = EVENT_ASSIGN, .assign = { &offer, 1, 1, 1 } });
	/* The rate begins without tokens. */
	s->now_us += 1000 * 1000;
}

static void stage_and_map(struct scenario *s)
{
	struct buffer text;
	int64_t offset;

	step(s, (struct event){ .type = EVENT_STAGED, .staged = { s->writes, s->n_writes } });
	if (s->failed)
		return;
	buffer_init(&text, MAP_TEXT_MAX);
	s->failed = !engine_map(s->engine, 0, true, &offset, &text);
	buffer_close(&text);
}

/* A worker that sends, and dies with requests and doubts in hand. */
static void live(struct scenario *s)
{
	start(s, -1);
	give_all(s);
	for (int i = 0; i < 3; i++) {
		commit(s);
		stage_and_map(s);
		confirm_all(s);
	}
	ring(s);
	commit(s);
	engine_free(s->engine);
}

static void look_all(struct scenario *s)
{
	static const char found[] = "{\"value\":[{\"id\":\"op\",\"clientContext\":"
	                            "\"iw:28ee4ca5:0:2:1\"},{\"info\":{\"identity\":{\"user\":"
	                            "{\"id\":\"bob\"}}}}]}";
	static const struct answer answers[] = {
		{ ANSWER_COMPLETE, .http_status = 200, .body = { found, sizeof(found) - 1 } },
		{ ANSWER_COMPLETE, .http_status = 200, .body = { found, sizeof(found) - 1 } },
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "1" },
		{ ANSWER_BROKEN, .problem = "reset" },
	};

	while (s->n_looks > 0) {
		uint64_t id = s->looks[--s->n_looks];

		step(s, (struct event){ .type = EVENT_EVIDENCE,
		                        .evidence = { id, &answers[s->n_looks % 4] } });
	}
}

/* The next one takes over. */
static void take_over(struct scenario *s)
{
	start(s, s->offset);
	give_all(s);
	for (int i = 0; i < 4; i++) {
		ring(s);
		look_all(s);
		commit(s);
		confirm_all(s);
	}
	engine_free(s->engine);
}

/* Run it. True when it went through without running out of memory. */
static bool run(struct scenario *s)
{
	static const char *const copied[] = { "traceparent" };

	*s = (struct scenario){ .policy = policy_default(), .left = -1 };
	buffer_init(&s->map, MAP_TEXT_MAX);
	s->policy.batch_window = duration_ms(0);
	s->policy.call_grace = duration_ms(0);
	s->policy.dead_letter_failed = true;
	s->policy.copy_headers = (struct text_list){ copied, 1 };
	live(s);
	if (!s->failed)
		take_over(s);
	s->left = countdown;
	countdown = -1;
	buffer_close(&s->map);
	return !s->failed;
}

static void the_scenario_goes_through_when_nothing_fails(void **state)
{
	struct scenario s;

	(void)state;
	assert_true(run(&s));
	assert_in_range(s.n_replies, 35, 80);
	assert_in_range(s.n_posted, 20, 200);
	assert_in_range(s.n_looked, 10, 200);
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
