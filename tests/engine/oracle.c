/* Judgement of every step: see oracle.h. */
#include "engine/oracle.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* Requests and looks that Graph has. */
static size_t count_in_flight(const struct world *w)
{
	size_t n = world_open_posts(w);

	for (size_t i = 0; i < w->n_looks; i++)
		n += !w->looks[i].is_late;
	return n;
}

static void judge_in_flight(const struct world *w)
{
	assert_in_range(count_in_flight(w), 1, w->policy.max_in_flight);
}

/* With those that wait for their marks: where marks take their time, a quarter more. */
static void judge_begun(const struct world *w)
{
	size_t most = w->policy.max_in_flight;
	size_t n = count_in_flight(w);

	if (w->policy.exactly_once)
		most += (most + 2) / 4;
	for (size_t i = 0; i < w->n_marks; i++)
		n += !w->marks[i].is_late;
	assert_in_range(n, 1, most + w->n_cancels);
}

static void spend_application(struct world *w, uint32_t tenant)
{
	spend(&w->applications[tenant], w->policy.application_rate, w->policy.application_burst,
	      w->now);
}

/* While Graph is ill nothing is begun, but for one probe when the pause is over. */
static void judge_health(const struct world *w)
{
	const int64_t *figures = w->metrics.values;

	assert_true(figures[METRIC_breakers_open] < (int64_t)w->policy.tenants.count);
	assert_true(figures[METRIC_in_flight] <= figures[METRIC_in_flight_limit] ||
	            w->policy.tenants.count > 1);
}

void oracle_mark(struct world *w)
{
	judge_begun(w);
	judge_health(w);
}

unsigned oracle_mark_of(struct world *w, uint64_t invite_id)
{
	for (size_t i = 0; i < w->n_granted; i++) {
		unsigned step = w->granted[i].step;

		if (w->granted[i].invite_id != invite_id || w->granted[i].is_late)
			continue;
		w->granted[i] = w->granted[--w->n_granted];
		return step;
	}
	fail_msg("a request without a mark");
	return 0;
}

static struct world_call *call_of(struct world *w, const char *id, int32_t partition, instant_t now)
{
	struct world_call *call;

	for (size_t i = 0; i < w->n_calls; i++)
		if (w->calls[i].partition == partition && strcmp(w->calls[i].id, id) == 0)
			return &w->calls[i];
	w->calls = realloc(w->calls, (w->n_calls + 1) * sizeof(*w->calls));
	assert_non_null(w->calls);
	call = &w->calls[w->n_calls++];
	*call = (struct world_call){ .partition = partition };
	/* It may have waited for long since it was met: spend() cuts this to what may be there. */
	call->bucket = (struct bucket){ w->policy.call_burst + 1, now };
	memcpy(call->id, id, strlen(id) + 1);
	return call;
}

void oracle_look(struct world *w, const struct world_look *look)
{
	spend_application(w, look->tenant);
	spend(&call_of(w, look->call, look->partition, w->now)->bucket, w->policy.call_rate,
	      w->policy.call_burst, w->now);
	assert_true(look->kind == LOOK_OPERATIONS ? w->policy.look_at_operations
	                                          : w->policy.look_at_roster);
	judge_in_flight(w);
}

void oracle_follows(struct world *w, const struct effects *effects)
{
	assert_true(effects->n_follows == 0 || w->policy.follow_operations);
	for (size_t i = 0; i < effects->n_follows; i++) {
		const struct effect_follow *follow = &effects->follows[i];

		snprintf(w->followed, sizeof(w->followed), "%s %.*s", follow->call_id,
		         (int)follow->json.size, follow->json.data);
		w->n_follows++;
	}
}

static bool was_pending(const struct world_command *c, const struct world_post *post)
{
	return !c->is_gone && !c->is_void && !c->is_repeat && !c->is_cancel &&
	       c->partition == post->partition && strcmp(c->call, post->call) == 0 &&
	       c->arrived_step <= post->chosen &&
	       (c->replied_step == 0 || c->replied_step > post->chosen);
}

/* The request of the same call that was in flight when this one was chosen, or NULL. */
static const struct world_post *post_before(const struct world *w, const struct world_post *post)
{
	for (size_t i = w->n_posts; i-- > 0;) {
		const struct world_post *other = &w->posts[i];

		if (other != post && !other->is_orphan && other->partition == post->partition &&
		    strcmp(other->call, post->call) == 0 && other->left <= post->chosen &&
		    other->answered > post->chosen)
			return other;
	}
	return NULL;
}

/* Whose participant it is. */
struct tag {
	int64_t offset;
	size_t index;
};

static struct tag tag_of(const json_t *participant)
{
	const char *text = json_string_value(json_object_get(participant, "tag"));
	struct tag tag = { .offset = -1 };

	assert_non_null(text);
	assert_int_equal(sscanf(text, "%" SCNd64 "/%zu", &tag.offset, &tag.index), 2);
	return tag;
}

static bool carries(const struct world_post *post, int64_t command_tag)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(post->body, "participants"), i, one)
	{
		if (tag_of(one).offset == command_tag)
			return true;
	}
	return false;
}

/* The commands of the call when the request was chosen, in the order of sending; without those that
 * the request 'before' carried. */
static size_t list_pending(const struct world *w, const struct world_post *post,
                           const struct world_post *before,
                           const struct world_command *list[static PENDING_MAX])
{
	size_t n = 0;

	for (int high = 1; high >= 0; high--) {
		for (size_t i = 0; i < w->n_commands && n < PENDING_MAX; i++) {
			const struct world_command *c = &w->commands[i];

			if (c->is_high == (high == 1) && was_pending(c, post) &&
			    !(before && carries(before, c->tag)))
				list[n++] = c;
		}
	}
	return n;
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

/* The request's commands are the first ones of the call, none left out. One that was chosen while
 * another was in flight leaves only behind an accepted one. */
static void judge_order(const struct world *w, const struct world_post *post,
                        const json_t *participants)
{
	const struct world_post *before = post_before(w, post);
	const struct world_command *list[PENDING_MAX];
	size_t n = list_pending(w, post, before, list);
	size_t at = 0;

	assert_true(!before || before->is_accepted);
	for (size_t i = 0; i < json_array_size(participants); i++) {
		struct tag tag = tag_of(json_array_get(participants, i));

		if (i > 0 && at < n && list[at]->tag != tag.offset)
			at++;
		assert_true(at < n && list[at]->tag == tag.offset);
	}
}

/* The map of a partition as text and read back; what is written of it must be the same again. */
static bool read_map(struct world *w, int32_t partition, bool staged, struct map *ret)
{
	struct buffer again;
	int64_t offset;

	buffer_clear(&w->map);
	if (!engine_map(w->engine, partition, staged, &offset, &w->map)) {
		assert_int_equal(w->map.size, 0);
		return false;
	}
	assert_int_equal(map_decode(buffer_bytes(&w->map), offset, ret), MAP_OK);
	assert_int_equal(ret->base, offset);
	buffer_init(&again, MAP_TEXT_MAX);
	assert_true(map_encode(ret, &again));
	assert_string_equal(buffer_bytes(&w->map).data, buffer_bytes(&again).data);
	buffer_close(&again);
	return true;
}

/* True when the map says that the participant may have been sent. */
static bool covers(const struct map *map, int64_t offset, size_t index)
{
	const struct map_entry *entry = map_find(map, offset);

	if (!entry || entry->state == MAP_NEW)
		return false;
	return entry->state == MAP_STARTED ||
	       (index >= entry->progress.settled &&
	        index < (size_t)entry->progress.settled + entry->progress.in_flight);
}

/* The offset under which the participant is being sent. */
static int64_t offset_of(const struct world *w, const struct world_post *post, struct tag tag)
{
	for (size_t i = 0; i < w->n_commands; i++) {
		const struct world_command *c = &w->commands[i];

		if (c->partition == post->partition && c->tag == tag.offset && !c->is_gone &&
		    !c->is_void && !c->is_repeat && c->replied_step == 0)
			return c->offset;
	}
	return -1;
}

static void judge_covered(const struct world *w, const struct world_post *post,
                          const struct map *map)
{
	const json_t *participants = json_object_get(post->body, "participants"), *one;
	size_t i;

	json_array_foreach(participants, i, one)
	{
		struct tag tag = tag_of(one);

		assert_true(covers(map, offset_of(w, post, tag), tag.index));
	}
}

/* What was committed before the request may go says that it may have been sent. */
static void judge_mark(const struct world *w, const struct world_post *post)
{
	const struct world_commit *commit = &w->partitions[post->partition].committed;
	struct map map;

	assert_int_equal(map_decode(bytes_of(commit->map), commit->offset, &map), MAP_OK);
	judge_covered(w, post, &map);
	map_close(&map);
}

void oracle_post(struct world *w, const struct world_post *post)
{
	const json_t *participants = json_object_get(post->body, "participants");

	judge_in_flight(w);
	judge_health(w);
	for (size_t i = w->first_open; i < w->n_posts; i++) {
		const struct world_post *other = &w->posts[i];

		assert_false(other != post && other->is_open && !other->is_orphan &&
		             other->partition == post->partition &&
		             strcmp(other->call, post->call) == 0);
	}
	/* Rates are about what leaves, not about what is marked. */
	spend_application(w, post->tenant);
	spend(&call_of(w, post->call, post->partition, w->now)->bucket, w->policy.call_rate,
	      w->policy.call_burst, w->now);
	judge_batch(w, participants);
	if (w->policy.exactly_once)
		judge_mark(w, post);
	if (!w->partitions[post->partition].is_revoking)
		judge_order(w, post, participants);
}

void oracle_write(const struct world_command *command, enum write_kind kind)
{
	unsigned n = kind == WRITE_REPLY ? command->n_replies : command->n_dead_letters;

	assert_in_range(n, 1, 1 + command->n_refused);
}

static bool is_status(const json_t *participant, const char *status)
{
	return strcmp(json_string_value(json_object_get(participant, "status")), status) == 0;
}

/* True when the command to which the invite belongs may be sent more than once. */
static bool may_repeat(const struct world *w, const struct graph_invite *invite)
{
	int64_t tag = strtoll(invite->tag, NULL, 10);

	for (size_t i = 0; i < w->n_commands; i++) {
		const struct world_command *c = &w->commands[i];

		if (c->partition == invite->partition && c->tag == tag &&
		    (c->resends || c->is_redriven))
			return true;
	}
	return !w->policy.exactly_once;
}

void oracle_invites(const struct world *w)
{
	for (size_t i = 0; i < w->graph.n; i++) {
		const struct graph_invite *a = &w->graph.invites[i];

		for (size_t k = 0; k < i; k++) {
			const struct graph_invite *b = &w->graph.invites[k];

			if (a->partition == b->partition && strcmp(a->tag, b->tag) == 0)
				assert_true(may_repeat(w, a));
		}
	}
}

/* Nobody waited for longer than the world is old, all reasons together. */
static void judge_waits(const struct world *w, const json_t *reply)
{
	json_t *waits = json_object_get(json_object_get(reply, "timing"), "waitedFor"), *one;
	json_int_t sum = 0;
	const char *name;

	json_object_foreach(waits, name, one) sum += json_integer_value(one);
	assert_in_range(sum, 0, w->now.us / 1000);
}

/* The last request is told where there was one, and only there. */
static void judge_requests(const json_t *reply)
{
	const json_t *batch = json_object_get(reply, "batch");
	bool was_sent = json_integer_value(json_object_get(reply, "attempts")) > 0;

	assert_true((json_integer_value(json_object_get(batch, "commands")) > 0) == was_sent);
	assert_true((json_integer_value(json_object_get(batch, "participants")) > 0) == was_sent);
}

void oracle_reply(const struct world *w, const struct world_command *c)
{
	const json_t *participants = json_object_get(c->reply, "participants"), *one;
	size_t i;

	assert_false(c->is_gone || c->is_done || c->is_void);
	judge_waits(w, c->reply);
	judge_requests(c->reply);
	json_array_foreach(participants, i, one)
	{
		unsigned n = graph_count(&w->graph, c->partition, c->tag, i);

		if (is_status(one, "accepted") || is_status(one, "reconciled"))
			assert_true(n > 0);
		else if (is_status(one, "failed") || is_status(one, "expired") ||
		         is_status(one, "canceled"))
			assert_int_equal(n, 0);
	}
}

bool oracle_is_replied(const struct world *w, const struct world_command *c, bool staged)
{
	unsigned n = c->n_stored + c->n_refused + (staged ? c->n_in_transaction : 0);

	if (w->policy.exactly_once && (c->is_reply_stored || (staged && c->is_reply_staged)))
		return true;
	return (!staged || c->n_in_transaction > 0) && n == c->n_replies + c->n_dead_letters;
}

/* What a map must say of a command, if it must say anything. Of two letters nobody but the engine
 * knows which one stands for a reply that was refused. */
static void judge_entry(const struct world *w, const struct world_command *c, const struct map *map,
                        bool staged)
{
	bool is_in_it = staged && oracle_is_replied(w, c, true);
	bool is_replied = c->offset < map->base || map_state(map, c->offset) == MAP_REPLIED;

	if (c->n_dead_letters > 1 && c->n_refused_replies == c->n_replies)
		return;
	if (is_replied)
		assert_true(c->is_done || is_in_it);
	else if (!w->is_committing)
		assert_false(c->is_done || is_in_it);
}

static bool is_touched(const struct effects *f, int32_t partition)
{
	for (size_t i = 0; i < f->n_touches; i++)
		if (f->touches[i] == partition)
			return true;
	return false;
}

static void judge_map(struct world *w, int32_t partition, bool staged, struct map *ret)
{
	for (size_t i = 0; i < w->n_commands; i++) {
		const struct world_command *c = &w->commands[i];

		if (c->partition == partition && !c->is_void)
			judge_entry(w, c, ret, staged);
	}
	for (size_t i = w->first_open; i < w->n_posts; i++) {
		const struct world_post *post = &w->posts[i];

		if (post->is_open && !post->is_orphan && post->partition == partition)
			judge_covered(w, post, ret);
	}
}

void oracle_maps(struct world *w, enum event_type type, const struct effects *f)
{
	for (int32_t i = 0; i < WORLD_PARTITIONS; i++) {
		struct world_partition *p = &w->partitions[i];
		struct map map;

		if (!p->is_owned || !read_map(w, i, false, &map))
			continue;
		judge_map(w, i, false, &map);
		assert_true(map.base >= p->stored);
		if (map.base != p->stored && p->stored >= 0 && type != EVENT_RECORD)
			assert_true(is_touched(f, i));
		p->stored = map.base;
		map_close(&map);
		assert_true(read_map(w, i, true, &map));
		assert_true(map.base >= p->stored);
		judge_map(w, i, true, &map);
		map_close(&map);
	}
}
