/* Commands as records, given once and read as often as a partition is taken over. */
#include "engine/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_US INT64_C(1769860800000000) /* 2026-01-31T12:00:00Z */

wall_t world_wall(const struct world *w)
{
	return (wall_t){ START_US + w->clock_set_us + instant_since(w->now, w->origin).us };
}

void world_name_call(char name[static WORLD_CALL_SIZE], struct bytes id, uint32_t tenant)
{
	int n = snprintf(name, WORLD_CALL_SIZE, "%.*s", (int)id.size, id.data);

	assert_in_range(n, 0, WORLD_CALL_SIZE - 4);
	if (tenant > 0)
		snprintf(name + n, WORLD_CALL_SIZE - (size_t)n, "@%u", tenant);
}

static json_t *participant_json(const char *name, int64_t tag, size_t index)
{
	const char *id = strchr(name, ':') ? strchr(name, ':') + 1 : name;
	json_t *json =
	    json_pack("{s:{s:{s:s}}}", "identity", id[0] == '+' ? "phone" : "user", "id", id);
	char text[32];

	snprintf(text, sizeof(text), "%lld/%zu", (long long)tag, index);
	json_object_set_new(json, "tag", json_string(text));
	if (id != name)
		json_object_set_new(json, "replacesCallId", json_string("old-call"));
	if (strncmp(name, "move:", 5) == 0)
		json_object_set_new(json, "participantId", json_string("leg"));
	return json;
}

static void set_text(json_t *json, const char *name, const char *text)
{
	if (text)
		json_object_set_new(json, name, json_string(text));
}

static char *cancel_json(const struct given *g)
{
	json_t *json = json_pack("{s:s, s:s}", "callId", g->call, "cancel", g->cancel);
	char *text;

	set_text(json, "commandId", g->id);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

static char *command_json(const struct world *w, const struct given *g)
{
	json_t *json = json_pack("{s:s, s:[]}", "callId", g->call, "participants");
	char *copy = strdup(g->who), *rest = copy, *text;
	size_t n = 0;

	for (char *name = strsep(&rest, " "); name; name = strsep(&rest, " "))
		json_array_append_new(json_object_get(json, "participants"),
		                      participant_json(name, g->offset, n++));
	free(copy);
	set_text(json, "tenantId", g->tenant ? w->policy.tenants.texts[g->tenant] : NULL);
	set_text(json, "commandId", g->id);
	set_text(json, "clientContext", g->context);
	set_text(json, "priority", g->is_high ? "high" : NULL);
	set_text(json, "onUnknown", g->resends ? "resend" : NULL);
	if (g->expires_in_ms) {
		char date[WALL_TEXT_SIZE];

		wall_format((wall_t){ world_wall(w).us + g->expires_in_ms * 1000 }, date);
		set_text(json, "expiresAt", date);
	}
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

void world_lose_command(struct world_command *c)
{
	c->is_gone = true;
	c->arrived_step = c->replied_step = 0;
	c->n_refused = c->n_replies = c->n_dead_letters = c->n_stored = 0;
	c->n_in_transaction = c->n_refused_replies = 0;
	c->is_reply_staged = c->is_reply_stored = false;
	if (!c->is_done) {
		json_decref(c->reply);
		c->reply = NULL;
	}
}

void world_take_letter(struct world_command *c, const struct effect_write *effect)
{
	for (size_t i = 0; i < effect->n_headers; i++)
		if (bytes_equal_text(effect->headers[i].name, "dead-letter-reason"))
			snprintf(c->dead_letter_reason, sizeof(c->dead_letter_reason), "%.*s",
			         (int)effect->headers[i].value.size, effect->headers[i].value.data);
	c->has_dead_value = effect->value.size > 0;
	assert_true(!c->has_dead_value || bytes_equal_text(effect->value, c->text));
	assert_true(effect->has_key && bytes_equal_text(effect->key, c->call_id));
}

/* Give the record to the engine. */
static void feed(struct world *w, const struct world_command *c)
{
	const struct record_header headers[] = {
		{ bytes_of("reply-topic"), bytes_of(c->reply_topic_header), false },
		{ bytes_of("redrive"), bytes_of("1"), false },
	};
	struct record record = { .topic = bytes_of("invite-commands"),
		                 .partition = c->partition,
		                 .offset = c->offset,
		                 .timestamp = c->timestamp,
		                 .has_key = true,
		                 .key = bytes_of(c->call_id),
		                 .value = bytes_of(c->text),
		                 .headers = c->reply_topic_header ? headers : headers + 1,
		                 .n_headers = (c->reply_topic_header ? 1u : 0u) +
		                              (c->is_redriven ? 1u : 0u) };

	w->n_cancels = w->n_marks > 0 ? w->n_cancels + c->is_cancel : 0;
	world_happen(w, (struct event){ .type = EVENT_RECORD, .record = &record });
}

static bool is_seen(const struct world *w, int32_t partition, int64_t offset)
{
	return w->partitions[partition].is_owned && offset < w->partitions[partition].next;
}

/* Room for one more. An older one of the same offset is a record that this one replaces. */
static struct world_command *new_command(struct world *w, const struct given *g)
{
	struct world_command *c;

	for (size_t i = 0; i < w->n_commands; i++)
		if (w->commands[i].partition == g->partition &&
		    w->commands[i].offset == g->offset && w->commands[i].is_gone)
			w->commands[i].is_void = true;
	w->commands = realloc(w->commands, (w->n_commands + 1) * sizeof(*w->commands));
	assert_non_null(w->commands);
	c = &w->commands[w->n_commands++];
	*c = (struct world_command){ .partition = g->partition,
		                     .offset = g->offset,
		                     .tag = g->offset,
		                     .reply_topic_header = g->reply_topic,
		                     .is_redriven = g->is_redriven,
		                     .is_high = g->is_high,
		                     .resends = g->resends,
		                     .has_id = g->id != NULL,
		                     .is_cancel = g->cancel != NULL,
		                     .is_void = is_seen(w, g->partition, g->offset),
		                     .is_gone = !w->partitions[g->partition].is_owned,
		                     .arrived_step = w->steps + 1 };
	snprintf(c->call_id, sizeof(c->call_id), "%s", g->call);
	world_name_call(c->call, bytes_of(g->call), g->tenant);
	return c;
}

void world_give(struct world *w, struct given g)
{
	const struct world_command *first = g.repeats ? world_find(w, g.partition, g.first) : NULL;
	size_t index = first ? (size_t)(first - w->commands) : 0;
	struct world_partition *p = &w->partitions[g.partition];
	struct world_command *c = new_command(w, &g);

	c->timestamp.us = world_wall(w).us - g.age_ms * 1000;
	if (g.repeats) {
		first = &w->commands[index];
		c->tag = first->tag;
		c->is_high = first->is_high;
		c->is_cancel = first->is_cancel;
		c->resends = first->resends;
		memcpy(c->call, first->call, sizeof(c->call));
		memcpy(c->call_id, first->call_id, sizeof(c->call_id));
		c->who = strdup(first->who);
		c->text = strdup(first->text);
	} else {
		c->who = strdup(g.who ? g.who : "");
		c->text = g.raw ? strdup(g.raw) : g.cancel ? cancel_json(&g) : command_json(w, &g);
	}
	c->is_repeat = g.repeats && !g.is_redriven;
	if (p->next <= c->offset)
		p->next = c->offset + 1;
	feed(w, c);
}

void world_command(struct world *w, int64_t offset, const char *call, const char *who)
{
	world_give(w, (struct given){ .offset = offset, .call = call, .who = who });
}

void world_position(struct world *w, int32_t partition, int64_t offset)
{
	if (w->partitions[partition].next < offset)
		w->partitions[partition].next = offset;
	world_happen(w,
	             (struct event){ .type = EVENT_POSITION, .position = { partition, offset } });
}

void world_offer(struct world *w, int32_t partition, int64_t offset, const char *map)
{
	struct world_partition *p = &w->partitions[partition];
	const char *text = map ? map : p->committed.map;
	const struct event_offer offer = { partition, offset, bytes_of(text) };
	uint32_t owned = 1;

	for (int32_t i = 0; i < WORLD_PARTITIONS; i++)
		owned += i != partition && w->partitions[i].is_owned;
	*p = (struct world_partition){ .is_owned = true,
		                       .stored = -1,
		                       .next = offset < 0 ? 0 : offset,
		                       .committed = p->committed };
	world_happen(w,
	             (struct event){ .type = EVENT_ASSIGN, .assign = { &offer, 1, owned, owned } });
}

void world_offer_empty(struct world *w, int32_t partition, int64_t offset)
{
	struct map map;
	struct buffer text;

	map_init(&map, offset);
	buffer_init(&text, MAP_TEXT_MAX);
	assert_true(map_encode(&map, &text));
	world_offer(w, partition, offset, buffer_bytes(&text).data);
	buffer_close(&text);
	map_close(&map);
}

void world_assign(struct world *w, int32_t partition, uint32_t owned, uint32_t total)
{
	struct world_partition *p = &w->partitions[partition];
	const struct event_offer offer = { .partition = partition, .offset = -1 };

	free(p->committed.map);
	*p = (struct world_partition){ .is_owned = true, .stored = -1, .committed.offset = -1 };
	world_happen(w,
	             (struct event){ .type = EVENT_ASSIGN, .assign = { &offer, 1, owned, total } });
}

void world_read(struct world *w, int32_t partition)
{
	struct world_partition *p = &w->partitions[partition];
	int64_t base = p->next;

	for (size_t i = 0; i < w->n_commands; i++) {
		struct world_command *c = &w->commands[i];

		if (c->partition != partition || c->is_void ||
		    c->offset < base - (int64_t)w->policy.history)
			continue;
		c->is_gone = c->offset < base || c->is_done;
		c->arrived_step = c->is_gone ? 0 : w->steps + 1;
		if (p->next <= c->offset)
			p->next = c->offset + 1;
		feed(w, c);
	}
}

void world_revoke(struct world *w, int32_t partition)
{
	w->partitions[partition].is_revoking = true;
	world_happen(w, (struct event){ .type = EVENT_REVOKE, .partition = partition });
}
