/* What a test expects of its world: see expect.h. */
#include "engine/expect.h"

#include "engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct policy world_policy(void)
{
	static const char *const copied[] = { "traceparent" };
	static const char *const topics[] = { "other-replies" };
	struct policy policy = policy_default();

	policy.trace = true;
	policy.call_rate = 1000;
	policy.call_burst = 1000;
	policy.application_rate = 100000;
	policy.application_burst = 100000;
	policy.copy_headers = (struct text_list){ copied, 1 };
	policy.reply_topics = (struct text_list){ topics, 1 };
	return policy;
}

struct policy world_policy_of_tenants(void)
{
	static const char *const tenants[WORLD_TENANTS] = { "tenant-0", "tenant-1", "tenant-2" };
	struct policy policy = world_policy();

	policy.tenants = (struct text_list){ tenants, WORLD_TENANTS };
	return policy;
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	world_open(w, world_policy());
	buffer_clear(&w->trace);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

void world_reopen(struct world *w, struct policy policy)
{
	world_close(w);
	world_open(w, policy);
	buffer_clear(&w->trace);
}

void expect_trace(struct world *w, const char *text)
{
	assert_string_equal(buffer_bytes(&w->trace).data, text);
	buffer_clear(&w->trace);
}

const char *world_who(struct world *w, size_t i)
{
	const json_t *participants, *one;
	size_t index;

	assert_true(i < w->n_posts);
	buffer_clear(&w->who);
	participants = json_object_get(w->posts[i].body, "participants");
	json_array_foreach(participants, index, one)
	{
		const json_t *set = json_object_get(one, "identity");
		const json_t *user = json_object_get(set, "user");

		if (index > 0)
			buffer_append_char(&w->who, ' ');
		if (!user)
			user = json_object_get(set, "phone");
		buffer_append_text(&w->who, json_string_value(json_object_get(user, "id")));
	}
	return buffer_bytes(&w->who).data;
}

void expect_requests(struct world *w, size_t n, const char *const who[])
{
	for (size_t i = 0; i < n && i < w->n_posts; i++)
		assert_string_equal(world_who(w, i), who[i]);
	assert_int_equal(w->n_posts, n);
}

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "(none)";
}

void expect_status(struct world *w, int64_t offset, const char *status)
{
	assert_string_equal(text_of(world_find(w, 0, offset)->reply, "status"), status);
}

void expect_error(struct world *w, int64_t offset, const char *code)
{
	const json_t *reply = world_find(w, 0, offset)->reply;

	assert_string_equal(text_of(json_object_get(reply, "error"), "code"), code);
}

void expect_evidence(struct world *w, int64_t offset, const char *evidence)
{
	assert_string_equal(text_of(world_find(w, 0, offset)->reply, "evidence"), evidence);
}

void expect_message(struct world *w, int64_t offset, const char *part)
{
	const json_t *reply = world_find(w, 0, offset)->reply;
	const char *message = text_of(json_object_get(reply, "error"), "message");

	if (!strstr(message, part))
		fail_msg("no \"%s\" in \"%s\"", part, message);
}

int64_t waited_for(struct world *w, int64_t offset, const char *member)
{
	const json_t *timing = json_object_get(world_find(w, 0, offset)->reply, "timing");
	const json_t *waited = json_object_get(json_object_get(timing, "waitedFor"), member);

	assert_true(json_is_integer(waited));
	return json_integer_value(waited);
}

void expect_attempts(struct world *w, int64_t offset, json_int_t attempts)
{
	const json_t *reply = world_find(w, 0, offset)->reply;

	assert_int_equal(json_integer_value(json_object_get(reply, "attempts")), attempts);
}

void expect_no_reply(struct world *w, int64_t offset)
{
	assert_null(world_find(w, 0, offset)->reply);
}

void expect_stored(struct world *w, int64_t offset)
{
	assert_int_equal(w->partitions[0].stored, offset);
}

/* What is rejected has a dead letter, and what failed if the policy says so; nothing else. */
static void expect_letter(const struct world *w, const struct world_command *c)
{
	const char *status = text_of(c->reply, "status");
	bool has_failed = strcmp(status, "failed") == 0 || strcmp(status, "unknown") == 0;
	bool is_dead = strcmp(status, "rejected") == 0 ||
	               (w->policy.dead_letter_failed && !c->is_cancel && has_failed);

	if (c->n_refused == 0)
		assert_int_equal(c->n_dead_letters, is_dead);
}

void expect_all_done(struct world *w)
{
	for (size_t i = 0; i < w->n_commands; i++) {
		const struct world_command *c = &w->commands[i];

		if (c->is_void || (c->is_gone && c->is_done))
			continue;
		expect_letter(w, c);
		if (!c->is_done || (c->n_replies != 1 && c->n_refused == 0))
			fail_msg("p%d@%lld has %u replies, %u stored", c->partition,
			         (long long)c->offset, c->n_replies, c->n_stored);
	}
	oracle_invites(w);
	assert_int_equal(w->n_alarms, 0);
	assert_int_equal(world_open_posts(w), 0);
	assert_true(engine_is_quiet(w->engine));
	assert_int_equal(w->metrics.values[METRIC_jobs_open], 0);
	assert_int_equal(w->metrics.values[METRIC_in_flight], 0);
	assert_int_equal(w->metrics.values[METRIC_calls_active], 0);
	for (size_t i = METRIC_waiting_batch; i <= METRIC_waiting_call; i++)
		assert_int_equal(w->metrics.values[i], 0);
}

void expect_rest_done(struct world *w)
{
	w->latency_us = 1000;
	world_finish(w);
	expect_all_done(w);
}
