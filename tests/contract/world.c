/* Performs effects in simulated time: see world.h. */
#include "contract/world.h"

#include <stdlib.h>

/* 2026-01-01T00:00:00Z in microseconds. */
#define WALL_START INT64_C(1767225600000000)
#define STEPS_MAX  200000

struct pending {
	struct event event;
	struct answer answer;
};

struct alarm {
	uint64_t id;
	instant_t at;
};

struct world {
	struct engine *engine;
	struct metrics metrics;
	const struct world_hooks *hooks;
	instant_t now;
	struct pending *queue; /* Owned; events that are to come at once, in their order */
	size_t first, n, capacity;
	struct alarm *alarms; /* Owned */
	size_t n_alarms, alarms_capacity;
	int64_t stored;
};

static struct pending *expect(struct world *w, enum event_type type)
{
	struct pending *pending;

	if (w->n == w->capacity) {
		w->capacity = w->capacity ? 2 * w->capacity : 16;
		w->queue = realloc(w->queue, w->capacity * sizeof(*w->queue));
		CHECK(w->queue);
	}
	pending = &w->queue[w->n++];
	*pending = (struct pending){ .event.type = type };
	return pending;
}

static void arm(struct world *w, const struct effect_alarm *effect)
{
	size_t i = 0;

	while (i < w->n_alarms && w->alarms[i].id != effect->id)
		i++;
	if (instant_is_never(effect->at)) {
		if (i < w->n_alarms)
			w->alarms[i] = w->alarms[--w->n_alarms];
		return;
	}
	if (i == w->alarms_capacity) {
		w->alarms_capacity = w->alarms_capacity ? 2 * w->alarms_capacity : 16;
		w->alarms = realloc(w->alarms, w->alarms_capacity * sizeof(*w->alarms));
		CHECK(w->alarms);
	}
	if (i == w->n_alarms)
		w->n_alarms++;
	w->alarms[i] = (struct alarm){ effect->id, effect->at };
}

static void note_stored(struct world *w, int32_t partition)
{
	struct buffer text;

	buffer_init(&text, MAP_TEXT_MAX);
	CHECK(engine_map(w->engine, partition, false, &w->stored, &text));
	buffer_close(&text);
}

static void perform(struct world *w, const struct effects *effects)
{
	CHECK(!effects->out_of_memory);
	for (size_t i = 0; i < effects->n_marks; i++)
		expect(w, EVENT_MARKED)->event.invite_id = effects->marks[i].invite_id;
	for (size_t i = 0; i < effects->n_posts; i++) {
		struct pending *pending = expect(w, EVENT_ANSWER);

		pending->event.answer.invite_id = effects->posts[i]->invite_id;
		w->hooks->on_post(w->hooks->owner, effects->posts[i], &pending->answer);
		pending->answer.sent_at = w->now;
	}
	for (size_t i = 0; i < effects->n_writes; i++) {
		struct pending *pending = expect(w, EVENT_WRITTEN);

		pending->event.written.write_id = effects->writes[i]->write_id;
		pending->event.written.error =
		    w->hooks->on_write(w->hooks->owner, effects->writes[i]);
	}
	for (size_t i = 0; i < effects->n_alarms; i++)
		arm(w, &effects->alarms[i]);
	for (size_t i = 0; i < effects->n_looks; i++) {
		struct pending *pending = expect(w, EVENT_EVIDENCE);

		pending->event.evidence.look_id = effects->looks[i].look_id;
		w->hooks->on_look(w->hooks->owner, &effects->looks[i], &pending->answer);
	}
	for (size_t i = 0; i < effects->n_touches; i++)
		note_stored(w, effects->touches[i]);
	if (effects->trace.size > 0 && w->hooks->on_trace)
		w->hooks->on_trace(w->hooks->owner, buffer_bytes(&effects->trace));
}

static void step(struct world *w, struct event *event)
{
	event->now = w->now;
	event->wall = (wall_t){ WALL_START + w->now.us };
	perform(w, engine_step(w->engine, event));
}

struct world *world_new(const struct policy *policy, const struct world_hooks *hooks)
{
	static const struct event_offer offer = { .offset = -1 };
	struct world *w = calloc(1, sizeof(*w));
	struct event event = { .type = EVENT_ASSIGN, .assign = { &offer, 1, 1, 1 } };

	CHECK(w);
	w->hooks = hooks;
	w->stored = -1;
	w->engine = engine_new(policy, &w->metrics, w->now);
	CHECK(w->engine);
	step(w, &event);
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	engine_free(w->engine);
	free(w->queue);
	free(w->alarms);
	free(w);
}

void world_record(struct world *w, const struct record *record)
{
	struct event event = { .type = EVENT_RECORD, .record = record };

	step(w, &event);
}

/* Let the next expected thing happen, or else time pass until the first timer. False when there is
 * neither. */
static bool advance(struct world *w)
{
	struct alarm alarm;
	struct event event;
	size_t first = 0;

	if (w->first < w->n) {
		struct pending pending = w->queue[w->first++];

		if (pending.event.type == EVENT_ANSWER)
			pending.event.answer.answer = &pending.answer;
		if (pending.event.type == EVENT_EVIDENCE)
			pending.event.evidence.answer = &pending.answer;
		step(w, &pending.event);
		return true;
	}
	w->first = w->n = 0;
	if (w->n_alarms == 0)
		return false;
	for (size_t i = 1; i < w->n_alarms; i++)
		if (instant_before(w->alarms[i].at, w->alarms[first].at))
			first = i;
	alarm = w->alarms[first];
	w->alarms[first] = w->alarms[--w->n_alarms];
	w->now = instant_max(w->now, alarm.at);
	event = (struct event){ .type = EVENT_ALARM, .alarm_id = alarm.id };
	step(w, &event);
	return true;
}

bool world_run(struct world *w)
{
	for (size_t i = 0; i < STEPS_MAX; i++)
		if (!advance(w))
			return engine_is_quiet(w->engine);
	return false;
}

int64_t world_stored(const struct world *w)
{
	return w->stored;
}
