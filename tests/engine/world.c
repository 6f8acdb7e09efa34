/* The simulated world: see world.h. */
#include "engine/world.h"

#include "engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ORIGIN_US INT64_C(3600000000)
#define START_US  INT64_C(1769860800000000) /* 2026-01-31T12:00:00Z */

static void *more(void *list, size_t n, size_t size)
{
	list = realloc(list, (n + 1) * size);
	assert_non_null(list);
	return list;
}

static void drop(void *list, size_t *n, size_t i, size_t size)
{
	char *at = (char *)list + i * size;

	(*n)--;
	memmove(at, at + size, (*n - i) * size);
}

static wall_t wall_now(const struct world *w)
{
	return (wall_t){ START_US + instant_since(w->now, w->origin).us };
}

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

struct world_command *world_find(struct world *w, int32_t partition, int64_t offset)
{
	for (size_t i = w->n_commands; i-- > 0;)
		if (w->commands[i].partition == partition && w->commands[i].offset == offset)
			return &w->commands[i];
	fail_msg("no command at p%d@%lld", partition, (long long)offset);
	return NULL;
}

static void take_trace(struct world *w, const struct effects *f)
{
	struct bytes text = buffer_bytes(&f->trace);

	for (size_t i = 0; i < text.size; i++)
		w->trace_hash =
		    (w->trace_hash ^ (unsigned char)text.data[i]) * UINT64_C(1099511628211);
	buffer_append_bytes(&w->trace, text);
}

static void take_posts(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_posts; i++) {
		const struct effect_post *effect = f->posts[i];
		struct bytes body = buffer_bytes(&effect->body);
		struct world_post *post;
		int64_t partition = 0;

		w->posts = more(w->posts, w->n_posts, sizeof(*w->posts));
		post = &w->posts[w->n_posts++];
		*post = (struct world_post){ .invite_id = effect->invite_id,
			                     .sent = w->now,
			                     .is_open = true };
		snprintf(post->call, sizeof(post->call), "%.*s", (int)effect->call_id.size,
		         effect->call_id.data);
		post->body = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(post->body);
		/* Tests name calls of partition n > 0 "pn-…". */
		if (post->call[0] == 'p' && post->call[2] == '-')
			partition = post->call[1] - '0';
		post->partition = (int32_t)partition;
		oracle_post(w, post);
	}
}

static int64_t header_number(const struct effect_write *effect, const char *name)
{
	for (size_t i = 0; i < effect->n_headers; i++) {
		struct bytes value = effect->headers[i].value;
		char text[32];

		if (!bytes_equal_text(effect->headers[i].name, name))
			continue;
		snprintf(text, sizeof(text), "%.*s", (int)value.size, value.data);
		return strtoll(text, NULL, 10);
	}
	fail_msg("no header %s", name);
	return -1;
}

static struct world_command *take_reply(struct world *w, const struct effect_write *effect)
{
	json_error_t error;
	json_t *json =
	    json_loadb(effect->value.data, effect->value.size, JSON_REJECT_DUPLICATES, &error);
	const json_t *source = json_object_get(json, "source");
	struct world_command *c;

	assert_non_null(json);
	c = world_find(w, (int32_t)json_integer_value(json_object_get(source, "partition")),
	               json_integer_value(json_object_get(source, "offset")));
	json_decref(c->reply);
	c->reply = json;
	c->replied_step = c->replied_step ? c->replied_step : w->steps;
	c->n_replies++;
	snprintf(c->reply_topic, sizeof(c->reply_topic), "%s", effect->topic);
	return c;
}

static void take_writes(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_writes; i++) {
		const struct effect_write *effect = f->writes[i];
		struct world_command *c;

		if (effect->kind == WRITE_REPLY) {
			c = take_reply(w, effect);
		} else {
			c = world_find(w, (int32_t)header_number(effect, "dead-letter-partition"),
			               header_number(effect, "dead-letter-offset"));
			c->n_dead_letters++;
			assert_string_equal(effect->topic, w->policy.dead_letter_topic);
		}
		assert_false(c->is_gone);
		oracle_write(c, effect->kind);
		w->writes = more(w->writes, w->n_writes, sizeof(*w->writes));
		w->writes[w->n_writes++] = (struct world_write){ effect->write_id, effect->kind,
			                                         (size_t)(c - w->commands) };
	}
}

static void take_alarm(struct world *w, struct effect_alarm alarm)
{
	for (size_t i = 0; i < w->n_alarms; i++) {
		if (w->alarms[i].id == alarm.id) {
			drop(w->alarms, &w->n_alarms, i, sizeof(*w->alarms));
			break;
		}
	}
	if (instant_is_never(alarm.at))
		return;
	w->alarms = more(w->alarms, w->n_alarms, sizeof(*w->alarms));
	w->alarms[w->n_alarms++] = (struct world_alarm){ alarm.id, alarm.at };
}

static void take_marks(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_marks; i++) {
		w->marks = more(w->marks, w->n_marks, sizeof(*w->marks));
		w->marks[w->n_marks++] = (struct world_mark){ f->marks[i], w->steps, w->now };
		oracle_mark(w);
	}
}

static void step(struct world *w, struct event event)
{
	const struct effects *f;

	event.now = w->now;
	event.wall = wall_now(w);
	w->steps++;
	f = engine_step(w->engine, &event);
	assert_false(f->out_of_memory);
	take_trace(w, f);
	take_posts(w, f);
	take_marks(w, f);
	take_writes(w, f);
	for (size_t i = 0; i < f->n_alarms; i++)
		take_alarm(w, f->alarms[i]);
	for (size_t i = 0; i < f->n_stores; i++) {
		oracle_store(w, f->stores[i].partition, f->stores[i].offset);
		w->partitions[f->stores[i].partition].stored = f->stores[i].offset;
	}
	for (size_t i = 0; i < f->n_fetches; i++) {
		struct world_partition *p = &w->partitions[f->fetches[i].partition];

		assert_true(p->is_paused != f->fetches[i].paused);
		p->is_paused = f->fetches[i].paused;
	}
	for (size_t i = 0; i < f->n_quiet; i++)
		assert_int_equal(++w->partitions[f->quiet[i]].n_quiet, 1);
}

void world_mark(struct world *w)
{
	assert_true(w->n_marks > 0);
	w->marked = w->marks[0];
	drop(w->marks, &w->n_marks, 0, sizeof(*w->marks));
	step(w, (struct event){ .type = EVENT_MARKED, .invite_id = w->marked.invite_id });
	w->marked.invite_id = 0;
}

void world_write_done(struct world *w, size_t i, const char *error)
{
	struct world_write write;
	struct world_command *c;

	assert_true(i < w->n_writes);
	write = w->writes[i];
	c = &w->commands[write.command];
	drop(w->writes, &w->n_writes, i, sizeof(*w->writes));
	if (error)
		c->n_refused++;
	else
		c->n_stored++;
	step(w, (struct event){ .type = EVENT_WRITTEN, .written = { write.id, error } });
}

void world_written(struct world *w, const char *error)
{
	world_write_done(w, 0, error);
}

/* What the world does by itself at once. */
static void settle(struct world *w)
{
	while ((!w->marks_by_hand && w->n_marks > 0) || (!w->writes_by_hand && w->n_writes > 0)) {
		if (!w->marks_by_hand && w->n_marks > 0)
			world_mark(w);
		else
			world_written(w, NULL);
	}
}

static void happen(struct world *w, struct event event)
{
	step(w, event);
	settle(w);
}

void world_assign(struct world *w, int32_t partition, uint32_t owned, uint32_t total)
{
	w->partitions[partition] = (struct world_partition){ .is_owned = true, .stored = -1 };
	happen(w,
	       (struct event){ .type = EVENT_ASSIGN, .assign = { &partition, 1, owned, total } });
}

void world_open(struct world *w, struct policy policy)
{
	*w = (struct world){ .policy = policy, .latency_us = -1 };
	w->origin.us = ORIGIN_US;
	w->now.us = 0;
	w->application = (struct bucket){ policy.application_burst, w->now };
	buffer_init(&w->trace, 16 * 1024 * 1024);
	buffer_init(&w->who, 4096);
	w->trace_hash = UINT64_C(14695981039346656037);
	w->engine = engine_new(&w->policy, &w->metrics, w->origin);
	assert_non_null(w->engine);
	world_assign(w, 0, 1, 1);
	w->now = w->origin;
}

void world_close(struct world *w)
{
	engine_free(w->engine);
	for (size_t i = 0; i < w->n_commands; i++) {
		json_decref(w->commands[i].reply);
		free(w->commands[i].who);
	}
	for (size_t i = 0; i < w->n_posts; i++)
		json_decref(w->posts[i].body);
	free(w->commands);
	free(w->marks);
	free(w->posts);
	free(w->writes);
	free(w->alarms);
	free(w->calls);
	buffer_close(&w->trace);
	buffer_close(&w->who);
}

static json_t *participant_json(const char *name)
{
	const char *id = strchr(name, ':') ? strchr(name, ':') + 1 : name;
	json_t *json =
	    json_pack("{s:{s:{s:s}}}", "identity", id[0] == '+' ? "phone" : "user", "id", id);

	if (id != name)
		json_object_set_new(json, "replacesCallId", json_string("old-call"));
	if (strncmp(name, "move:", 5) == 0)
		json_object_set_new(json, "participantId", json_string("leg"));
	return json;
}

static char *command_json(const struct world *w, const struct given *g)
{
	json_t *json = json_pack("{s:s, s:[]}", "callId", g->call, "participants");
	char *copy = strdup(g->who), *rest = copy, *text;

	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
		json_array_append_new(json_object_get(json, "participants"),
		                      participant_json(name));
	free(copy);
	if (g->context)
		json_object_set_new(json, "clientContext", json_string(g->context));
	if (g->is_high)
		json_object_set_new(json, "priority", json_string("high"));
	if (g->resends)
		json_object_set_new(json, "onUnknown", json_string("resend"));
	if (g->expires_in_ms) {
		char date[WALL_TEXT_SIZE];

		wall_format((wall_t){ wall_now(w).us + g->expires_in_ms * 1000 }, date);
		json_object_set_new(json, "expiresAt", json_string(date));
	}
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

void world_give(struct world *w, struct given g)
{
	struct record_header header = { bytes_of("reply-topic"), bytes_of(g.reply_topic), false };
	char *text = g.raw ? strdup(g.raw) : command_json(w, &g);
	struct record record = { .topic = bytes_of("invite-commands"),
		                 .partition = g.partition,
		                 .offset = g.offset,
		                 .timestamp = { wall_now(w).us - g.age_ms * 1000 },
		                 .has_key = true,
		                 .key = bytes_of(g.call),
		                 .value = bytes_of(text),
		                 .headers = &header,
		                 .n_headers = g.reply_topic ? 1 : 0 };
	struct world_command *c;

	w->commands = more(w->commands, w->n_commands, sizeof(*w->commands));
	c = &w->commands[w->n_commands++];
	*c = (struct world_command){ .partition = g.partition,
		                     .offset = g.offset,
		                     .is_high = g.is_high,
		                     .is_gone = !w->partitions[g.partition].is_owned,
		                     .arrived_step = w->steps + 1 };
	snprintf(c->call, sizeof(c->call), "%s", g.call);
	c->who = strdup(g.who ? g.who : "");
	happen(w, (struct event){ .type = EVENT_RECORD, .record = &record });
	free(text);
}

void world_command(struct world *w, int64_t offset, const char *call, const char *who)
{
	world_give(w, (struct given){ .offset = offset, .call = call, .who = who });
}

void world_position(struct world *w, int32_t partition, int64_t offset)
{
	happen(w, (struct event){ .type = EVENT_POSITION, .position = { partition, offset } });
}

void world_revoke(struct world *w, int32_t partition)
{
	w->partitions[partition].is_revoking = true;
	happen(w, (struct event){ .type = EVENT_REVOKE, .partition = partition });
}

void world_forget(struct world *w, int32_t partition)
{
	for (size_t i = 0; i < w->n_commands; i++)
		w->commands[i].is_gone |= w->commands[i].partition == partition;
	for (size_t i = 0; i < w->n_posts; i++)
		w->posts[i].is_orphan |= w->posts[i].partition == partition;
	/* A new owner starts its calls with one token. */
	for (size_t i = 0; i < w->n_calls; i++)
		if (w->calls[i].partition == partition && w->calls[i].bucket.tokens < 1)
			w->calls[i].bucket.tokens = 1;
	w->partitions[partition] = (struct world_partition){ .stored = -1 };
	happen(w, (struct event){ .type = EVENT_FORGET, .partition = partition });
}

void world_drain(struct world *w)
{
	for (size_t i = 0; i < WORLD_PARTITIONS; i++)
		w->partitions[i].is_revoking = true;
	happen(w, (struct event){ .type = EVENT_DRAIN });
}

static struct world_post *first_open(struct world *w)
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
	answer.sent_at = post->sent;
	happen(w, (struct event){ .type = EVENT_ANSWER, .answer = { post->invite_id, &answer } });
}

void world_accept_post(struct world *w, struct world_post *post)
{
	char body[80], location[80];

	snprintf(body, sizeof(body), "{\"id\":\"op-%u\",\"status\":\"Running\"}",
	         ++w->n_operations);
	snprintf(location, sizeof(location), "https://graph/operations/op-%u", w->n_operations);
	world_answer_post(w, post,
	                  (struct answer){ .progress = ANSWER_COMPLETE,
	                                   .http_status = 200,
	                                   .body = bytes_of(body),
	                                   .location = location });
}

void world_accept(struct world *w)
{
	world_accept_post(w, first_open(w));
}

void world_answer(struct world *w, int status, const char *retry_after, const char *body)
{
	world_answer_post(w, first_open(w),
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
	world_answer_post(w, first_open(w),
	                  (struct answer){ .progress = progress, .problem = "it broke" });
}

/* The alarm that goes off next, by the first id among those of the same instant. */
static size_t next_alarm(const struct world *w)
{
	size_t best = w->n_alarms;

	for (size_t i = 0; i < w->n_alarms; i++)
		if (best == w->n_alarms || instant_before(w->alarms[i].at, w->alarms[best].at))
			best = i;
	return best;
}

/* Do what happens first, not after 'end'. False when nothing does. */
static bool happens_next(struct world *w, instant_t end)
{
	size_t i = next_alarm(w);
	instant_t alarm = INSTANT_NEVER, answer = INSTANT_NEVER;
	struct world_post *post = w->latency_us < 0 ? NULL : first_open(w);

	if (i < w->n_alarms)
		alarm = instant_add(w->alarms[i].at, (duration_t){ w->late_us });
	if (post)
		answer = instant_add(post->sent, (duration_t){ w->latency_us });
	if (instant_before(end, instant_min(alarm, answer)))
		return false;
	if (!instant_before(alarm, answer)) {
		w->now = instant_max(w->now, answer);
		world_accept_post(w, post);
		return true;
	}
	if (instant_is_never(alarm))
		return false;
	w->now = instant_max(w->now, alarm);
	alarm.us = (int64_t)w->alarms[i].id;
	drop(w->alarms, &w->n_alarms, i, sizeof(*w->alarms));
	happen(w, (struct event){ .type = EVENT_ALARM, .alarm_id = (uint64_t)alarm.us });
	return true;
}

void world_elapse(struct world *w, int64_t ms)
{
	instant_t end = instant_add(w->now, duration_ms(ms));

	while (happens_next(w, end))
		continue;
	w->now = end;
}

void world_finish(struct world *w)
{
	for (unsigned i = 0; i < 100000; i++)
		if ((w->n_alarms == 0 && !(w->latency_us >= 0 && first_open(w))) ||
		    !happens_next(w, (instant_t){ INT64_MAX - 1 }))
			return;
	fail_msg("the world does not come to rest");
}
