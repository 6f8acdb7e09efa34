/* Judgement of every step: see oracle.h. */
#include "engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PENDING_MAX 2048
#define SLACK_US    5000

/* Take a token. A wake-up may be credited up to the limiter's slack. */
static void spend(struct bucket *b, double rate, double burst, instant_t now)
{
	double most = burst + rate * SLACK_US / 1e6;

	b->tokens += (double)instant_since(now, b->at).us / 1e6 * rate;
	if (b->tokens > most)
		b->tokens = most;
	b->tokens -= 1;
	b->at = now;
	assert_true(b->tokens > -1e-6);
}

void oracle_mark(struct world *w)
{
	spend(&w->application, w->policy.application_rate, w->policy.application_burst, w->now);
	assert_in_range(w->n_marks + world_open_posts(w), 1, w->policy.max_in_flight);
}

static struct world_call *call_of(struct world *w, const struct world_post *post)
{
	struct world_call *call;

	for (size_t i = 0; i < w->n_calls; i++)
		if (w->calls[i].partition == post->partition &&
		    strcmp(w->calls[i].id, post->call) == 0)
			return &w->calls[i];
	w->calls = realloc(w->calls, (w->n_calls + 1) * sizeof(*w->calls));
	call = &w->calls[w->n_calls++];
	*call = (struct world_call){ .partition = post->partition };
	/* It may have waited for long since it was met: spend() cuts this to what may be there. */
	call->bucket = (struct bucket){ w->policy.call_burst + 1, w->marked.at };
	memcpy(call->id, post->call, sizeof(call->id));
	return call;
}

static bool was_pending(const struct world *w, const struct world_command *c,
                        const struct world_post *post)
{
	return !c->is_gone && c->partition == post->partition && strcmp(c->call, post->call) == 0 &&
	       c->arrived_step <= w->marked.step &&
	       (c->replied_step == 0 || c->replied_step > w->marked.step);
}

/* The commands of the call when the request was chosen, in the order of sending. */
static size_t list_pending(const struct world *w, const struct world_post *post,
                           const struct world_command *list[static PENDING_MAX])
{
	size_t n = 0;

	for (int high = 1; high >= 0; high--)
		for (size_t i = 0; i < w->n_commands && n < PENDING_MAX; i++)
			if (w->commands[i].is_high == (high == 1) &&
			    was_pending(w, &w->commands[i], post))
				list[n++] = &w->commands[i];
	return n;
}

/* True when "… name …" or "… kind:name …". */
static bool names(const char *who, const char *name)
{
	size_t size = strlen(name);

	for (const char *p = strstr(who, name); p; p = strstr(p + 1, name))
		if ((p == who || p[-1] == ' ' || p[-1] == ':') &&
		    (p[size] == ' ' || p[size] == '\0'))
			return true;
	return false;
}

static const char *name_of(const json_t *participant)
{
	const json_t *set = json_object_get(participant, "identity");
	const json_t *user = json_object_get(set, "user");

	return json_string_value(
	    json_object_get(user ? user : json_object_get(set, "phone"), "id"));
}

static bool is_alone(const json_t *participant)
{
	return json_object_get(participant, "replacesCallId") ||
	       json_object_get(json_object_get(participant, "identity"), "phone");
}

static void judge_batch(const struct world *w, const json_t *participants)
{
	size_t n = json_array_size(participants);

	assert_in_range(n, 1, w->policy.batch_max);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(participants, i);

		assert_true(n == 1 || !is_alone(one));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(name_of(one),
			                        name_of(json_array_get(participants, j)));
	}
}

/* The request's commands are the first ones of the call, none left out. */
static void judge_order(const struct world *w, const struct world_post *post,
                        const json_t *participants)
{
	const struct world_command *list[PENDING_MAX];
	size_t n = list_pending(w, post, list);
	size_t at = 0;

	for (size_t i = 0; i < json_array_size(participants); i++) {
		const char *name = name_of(json_array_get(participants, i));

		while (at < n && !names(list[at]->who, name)) {
			assert_true(i > 0);
			at++;
			assert_true(at < n && names(list[at]->who, name));
		}
		assert_true(at < n);
	}
}

void oracle_post(struct world *w, const struct world_post *post)
{
	const json_t *participants = json_object_get(post->body, "participants");

	assert_true(w->marked.invite_id == post->invite_id);
	for (size_t i = w->first_open; i < w->n_posts; i++) {
		const struct world_post *other = &w->posts[i];

		assert_false(other != post && other->is_open && !other->is_orphan &&
		             other->partition == post->partition &&
		             strcmp(other->call, post->call) == 0);
	}
	spend(&call_of(w, post)->bucket, w->policy.call_rate, w->policy.call_burst, w->marked.at);
	judge_batch(w, participants);
	if (!w->partitions[post->partition].is_revoking)
		judge_order(w, post, participants);
}

void oracle_write(const struct world_command *command, enum write_kind kind)
{
	unsigned n = kind == WRITE_REPLY ? command->n_replies : command->n_dead_letters;

	assert_in_range(n, 1, 1 + command->n_refused);
}

void oracle_store(const struct world *w, int32_t partition, int64_t offset)
{
	assert_true(w->partitions[partition].is_owned);
	assert_true(offset > w->partitions[partition].stored);
	for (size_t i = 0; i < w->n_commands; i++) {
		const struct world_command *c = &w->commands[i];

		if (c->partition == partition && !c->is_gone && c->offset < offset)
			assert_true(c->n_stored > 0 &&
			            c->n_stored + c->n_refused == c->n_replies + c->n_dead_letters);
	}
}
