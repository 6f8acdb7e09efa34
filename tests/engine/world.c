/* The simulated world: see world.h. */
#include "engine/world.h"

#include "engine/oracle.h"
#include "engine/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ORIGIN_US INT64_C(3600000000)

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

/* Tests name calls of partition n > 0 "pn-…". */
static int32_t partition_of(const char *call)
{
	return call[0] == 'p' && call[1] && call[2] == '-' ? call[1] - '0' : 0;
}

static void take_posts(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_posts; i++) {
		const struct effect_post *effect = f->posts[i];
		struct bytes body = buffer_bytes(&effect->body);
		struct world_post *post;

		w->posts = more(w->posts, w->n_posts, sizeof(*w->posts));
		post = &w->posts[w->n_posts++];
		*post = (struct world_post){ .invite_id = effect->invite_id,
			                     .tenant = effect->tenant,
			                     .left = w->steps,
			                     .sent = w->now,
			                     .expires_at = effect->expires_at,
			                     .is_open = true };
		world_name_call(post->call, effect->call_id, effect->tenant);
		post->body = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(post->body);
		post->partition = partition_of(post->call);
		post->chosen = oracle_mark_of(w, post->invite_id);
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
	oracle_reply(w, c);
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
			world_take_letter(c, effect);
			assert_string_equal(effect->topic, w->policy.dead_letter_topic);
		}
		oracle_write(c, effect->kind);
		w->writes = more(w->writes, w->n_writes, sizeof(*w->writes));
		w->writes[w->n_writes++] =
		    (struct world_write){ .id = effect->write_id,
			                  .with_id = effect->with_id,
			                  .kind = effect->kind,
			                  .command = (size_t)(c - w->commands) };
	}
}

/* One that is set to what it is set to keeps its place. */
static void take_alarm(struct world *w, struct effect_alarm alarm)
{
	for (size_t i = 0; i < w->n_alarms; i++) {
		if (w->alarms[i].id == alarm.id) {
			if (w->alarms[i].at.us == alarm.at.us)
				return;
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
		w->marks[w->n_marks++] = (struct world_mark){ .invite_id = f->marks[i].invite_id,
			                                      .partition = f->marks[i].partition,
			                                      .step = w->steps,
			                                      .at = w->now };
		oracle_mark(w);
	}
}

static void take_looks(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_looks; i++) {
		const struct effect_look *effect = &f->looks[i];
		struct world_look *look;

		w->looks = more(w->looks, w->n_looks, sizeof(*w->looks));
		look = &w->looks[w->n_looks++];
		*look = (struct world_look){ .id = effect->look_id,
			                     .kind = effect->kind,
			                     .tenant = effect->tenant };
		world_name_call(look->call, effect->call_id, effect->tenant);
		look->partition = partition_of(look->call);
		w->n_looked[look->kind]++;
		oracle_look(w, look);
	}
}

static void take_partitions(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_fetches; i++) {
		struct world_partition *p = &w->partitions[f->fetches[i].partition];

		assert_true(p->is_paused != f->fetches[i].paused);
		p->is_paused = f->fetches[i].paused;
	}
	for (size_t i = 0; i < f->n_quiet; i++)
		assert_int_equal(++w->partitions[f->quiet[i]].n_quiet, 1);
	for (size_t i = 0; i < f->n_alerts; i++) {
		struct world_partition *p = &w->partitions[f->alerts[i].partition];

		p->n_alerts++;
		p->problem = f->alerts[i].problem;
	}
}

static void take_notices(struct world *w, const struct effects *f)
{
	for (size_t i = 0; i < f->n_notices; i++) {
		w->n_notices[f->notices[i].kind]++;
		w->notice = f->notices[i];
		snprintf(w->notice_code, sizeof(w->notice_code), "%s",
		         w->notice.graph_code ? w->notice.graph_code : "");
	}
}

void world_step(struct world *w, struct event event)
{
	const struct effects *f;

	event.now = w->now;
	event.wall = world_wall(w);
	w->steps++;
	f = engine_step(w->engine, &event);
	assert_false(f->out_of_memory);
	take_trace(w, f);
	take_posts(w, f);
	take_looks(w, f);
	oracle_follows(w, f);
	take_marks(w, f);
	take_writes(w, f);
	for (size_t i = 0; i < f->n_alarms; i++)
		take_alarm(w, f->alarms[i]);
	take_partitions(w, f);
	take_notices(w, f);
	oracle_maps(w, event.type, f);
}

void world_commit(struct world *w, int32_t partition)
{
	struct world_commit *commit = &w->partitions[partition].committed;
	int64_t offset;

	buffer_clear(&w->map);
	if (!engine_map(w->engine, partition, false, &offset, &w->map))
		return;
	free(commit->map);
	*commit = (struct world_commit){ offset, strdup(buffer_bytes(&w->map).data) };
}

void world_mark(struct world *w)
{
	struct world_mark mark;

	assert_true(w->n_marks > 0);
	mark = w->marks[0];
	drop(w->marks, &w->n_marks, 0, sizeof(*w->marks));
	w->granted = more(w->granted, w->n_granted, sizeof(*w->granted));
	w->granted[w->n_granted++] = mark;
	world_commit(w, mark.partition);
	world_step(w, (struct event){ .type = EVENT_MARKED, .invite_id = mark.invite_id });
}

void world_stage(struct world *w, size_t n)
{
	uint64_t *ids = calloc(n + 1, sizeof(*ids));
	size_t n_ids = 0;
	struct world_command *c;

	assert_non_null(ids);
	for (size_t i = 0; i < w->n_writes && n_ids < n; i++) {
		if (w->writes[i].is_staged || w->writes[i].is_late)
			continue;
		c = &w->commands[w->writes[i].command];
		w->writes[i].is_staged = true;
		c->n_in_transaction++;
		c->is_reply_staged |= w->writes[i].kind == WRITE_REPLY;
		ids[n_ids++] = w->writes[i].id;
	}
	world_step(w, (struct event){ .type = EVENT_STAGED, .staged = { ids, n_ids } });
	free(ids);
}

void world_unstage(struct world *w)
{
	for (size_t i = 0; i < w->n_writes; i++)
		w->writes[i].is_staged = false;
	for (size_t i = 0; i < w->n_commands; i++) {
		w->commands[i].n_in_transaction = 0;
		w->commands[i].is_reply_staged = false;
	}
	world_step(w, (struct event){ .type = EVENT_UNSTAGED });
}

/* What is in the transaction, and the map that knows of it, take effect together. */
static void commit_transaction(struct world *w)
{
	for (size_t i = 0; i < w->n_writes; i++) {
		struct world_command *c = &w->commands[w->writes[i].command];

		if (!w->writes[i].is_staged)
			continue;
		c->n_stored++;
		c->n_in_transaction--;
		c->is_reply_stored |= w->writes[i].kind == WRITE_REPLY;
		c->is_done = oracle_is_replied(w, c, false);
	}
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++) {
		struct world_commit *commit = &w->partitions[i].committed;
		int64_t offset;

		buffer_clear(&w->map);
		if (!engine_map(w->engine, i, true, &offset, &w->map))
			continue;
		free(commit->map);
		*commit = (struct world_commit){ offset, strdup(buffer_bytes(&w->map).data) };
	}
}

void world_commit_staged(struct world *w)
{
	commit_transaction(w);
	w->is_committing = true;
	for (size_t i = 0; i < w->n_writes;) {
		uint64_t id = w->writes[i].id;

		if (!w->writes[i].is_staged) {
			i++;
			continue;
		}
		drop(w->writes, &w->n_writes, i, sizeof(*w->writes));
		world_step(w, (struct event){ .type = EVENT_WRITTEN, .written = { id, NULL } });
	}
	w->is_committing = false;
}

/* Without transactions the map follows the replies. */
static void write_plainly(struct world *w, size_t i)
{
	struct world_command *c = &w->commands[w->writes[i].command];
	uint64_t id = w->writes[i].id;

	drop(w->writes, &w->n_writes, i, sizeof(*w->writes));
	c->n_stored++;
	c->is_done = oracle_is_replied(w, c, false);
	world_step(w, (struct event){ .type = EVENT_WRITTEN, .written = { id, NULL } });
	world_commit(w, c->partition);
}

void world_write_done(struct world *w, size_t i, const char *error)
{
	struct world_write write;
	struct world_command *c;

	assert_true(i < w->n_writes);
	write = w->writes[i];
	c = &w->commands[write.command];
	if (error || write.is_late) {
		c->n_refused += !write.is_late;
		c->n_refused_replies += !write.is_late && write.kind == WRITE_REPLY;
		drop(w->writes, &w->n_writes, i, sizeof(*w->writes));
		world_step(w,
		           (struct event){ .type = EVENT_WRITTEN, .written = { write.id, error } });
		return;
	}
	if (!w->policy.exactly_once) {
		write_plainly(w, i);
		return;
	}
	w->writes[i] = w->writes[0];
	w->writes[0] = write;
	world_stage(w, 1);
	world_commit_staged(w);
}

void world_written(struct world *w, const char *error)
{
	world_write_done(w, 0, error);
}

void world_answer_look(struct world *w, struct answer answer)
{
	uint64_t id;

	assert_true(w->n_looks > 0);
	id = w->looks[0].id;
	drop(w->looks, &w->n_looks, 0, sizeof(*w->looks));
	world_happen(w, (struct event){ .type = EVENT_EVIDENCE, .evidence = { id, &answer } });
}

void world_look(struct world *w)
{
	char *body;

	assert_true(w->n_looks > 0);
	body = graph_body(&w->graph, w->looks[0].call, w->looks[0].kind);
	world_answer_look(w, (struct answer){ .progress = ANSWER_COMPLETE,
	                                      .http_status = 200,
	                                      .body = bytes_of(body) });
	free(body);
}

/* What the world does by itself at once. */
static void settle(struct world *w)
{
	for (;;) {
		if (!w->marks_by_hand && w->n_marks > 0)
			world_mark(w);
		else if (!w->writes_by_hand && w->n_writes > 0)
			world_written(w, NULL);
		else if (!w->looks_by_hand && w->n_looks > 0)
			world_look(w);
		else
			return;
	}
}

void world_happen(struct world *w, struct event event)
{
	world_step(w, event);
	settle(w);
}

static void open_engine(struct world *w, instant_t now)
{
	w->metrics = (struct metrics){ 0 };
	w->engine = engine_new(&w->policy, &w->metrics, now);
	assert_non_null(w->engine);
}

void world_open(struct world *w, struct policy policy)
{
	*w = (struct world){ .policy = policy, .latency_us = -1 };
	w->origin.us = ORIGIN_US;
	w->now.us = 0;
	for (size_t i = 0; i < WORLD_TENANTS; i++)
		w->applications[i] = (struct bucket){ policy.application_burst, w->now };
	buffer_init(&w->trace, 16 * 1024 * 1024);
	buffer_init(&w->who, 4096);
	buffer_init(&w->map, MAP_TEXT_MAX);
	w->trace_hash = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < WORLD_PARTITIONS; i++)
		w->partitions[i].committed.offset = w->partitions[i].stored = -1;
	open_engine(w, w->origin);
	world_assign(w, 0, 1, 1);
	w->now = w->origin;
}

void world_close(struct world *w)
{
	engine_free(w->engine);
	for (size_t i = 0; i < w->n_commands; i++) {
		json_decref(w->commands[i].reply);
		free(w->commands[i].who);
		free(w->commands[i].text);
	}
	for (size_t i = 0; i < w->n_posts; i++)
		json_decref(w->posts[i].body);
	for (size_t i = 0; i < WORLD_PARTITIONS; i++)
		free(w->partitions[i].committed.map);
	graph_close(&w->graph);
	free(w->commands);
	free(w->marks);
	free(w->granted);
	free(w->posts);
	free(w->writes);
	free(w->looks);
	free(w->alarms);
	free(w->calls);
	buffer_close(&w->trace);
	buffer_close(&w->who);
	buffer_close(&w->map);
}

/* What the engine has in hand of a partition is lost; what is committed stays. */
static void lose(struct world *w, int32_t partition)
{
	struct world_commit committed = w->partitions[partition].committed;

	for (size_t i = 0; i < w->n_commands; i++)
		if (w->commands[i].partition == partition)
			world_lose_command(&w->commands[i]);
	for (size_t i = 0; i < w->n_posts; i++)
		w->posts[i].is_orphan |= w->posts[i].partition == partition;
	w->partitions[partition] = (struct world_partition){ .stored = -1, .committed = committed };
}

void world_forget(struct world *w, int32_t partition)
{
	for (size_t i = w->n_writes; i-- > 0;)
		if (w->commands[w->writes[i].command].partition == partition) {
			w->writes[i].is_late = true;
			w->writes[i].is_staged = false;
		}
	for (size_t i = 0; i < w->n_marks; i++)
		w->marks[i].is_late |= w->marks[i].partition == partition;
	for (size_t i = 0; i < w->n_granted; i++)
		w->granted[i].is_late |= w->granted[i].partition == partition;
	for (size_t i = 0; i < w->n_looks; i++)
		w->looks[i].is_late |= w->looks[i].partition == partition;
	lose(w, partition);
	world_happen(w, (struct event){ .type = EVENT_FORGET, .partition = partition });
}

void world_crash(struct world *w)
{
	engine_free(w->engine);
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++)
		lose(w, i);
	for (size_t i = 0; i < w->n_posts; i++)
		w->posts[i].is_open = false;
	w->n_marks = w->n_granted = w->n_writes = w->n_looks = w->n_alarms = 0;
	open_engine(w, w->now);
}

void world_restart(struct world *w)
{
	bool was_owned[WORLD_PARTITIONS];

	for (int32_t i = 0; i < WORLD_PARTITIONS; i++)
		was_owned[i] = w->partitions[i].is_owned;
	world_crash(w);
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++)
		if (was_owned[i])
			world_offer(w, i, w->partitions[i].committed.offset, NULL);
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++)
		if (was_owned[i])
			world_read(w, i);
}

void world_drain(struct world *w)
{
	for (size_t i = 0; i < WORLD_PARTITIONS; i++)
		w->partitions[i].is_revoking = true;
	world_happen(w, (struct event){ .type = EVENT_DRAIN });
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
	struct world_post *post = w->latency_us < 0 ? NULL : world_first_open(w);

	if (i < w->n_alarms)
		alarm = instant_add(w->alarms[i].at, (duration_t){ w->late_us });
	if (post)
		answer = instant_add(post->sent, (duration_t){ w->latency_us });
	if (instant_before(end, instant_min(alarm, answer)))
		return false;
	if (!instant_before(alarm, answer)) {
		w->now = instant_max(w->now, answer);
		/* What became of an orphan was decided when its partition was lost. */
		if (post->is_orphan)
			world_fail(w, ANSWER_BROKEN);
		else
			world_accept_post(w, post);
		return true;
	}
	if (instant_is_never(alarm))
		return false;
	w->now = instant_max(w->now, alarm);
	alarm.us = (int64_t)w->alarms[i].id;
	drop(w->alarms, &w->n_alarms, i, sizeof(*w->alarms));
	world_happen(w, (struct event){ .type = EVENT_ALARM, .alarm_id = (uint64_t)alarm.us });
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
		if ((w->n_alarms == 0 && !(w->latency_us >= 0 && world_first_open(w))) ||
		    !happens_next(w, (instant_t){ INT64_MAX - 1 }))
			return;
	fail_msg("the world does not come to rest");
}
