/* One call that is held for long, beside 2,000 commands a second on its partition: the others are
 * as fast as without it, fetching never pauses, and the map always fits.
 *
 * The argument says for how many seconds; in half an hour three million commands and more pass. So
 * there is simulated time, but no model beside the engine as in world.h. */
#include "worker/base/slots.h"
#include "worker/core/engine.h"
#include "worker/core/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_US      INT64_C(1769860800000000)
#define RATE          2000
#define STEP_US       (1000000 / RATE)
#define CALLS         500 /* Each has four fifths of its rate, so that some commands wait */
#define ANSWER_US     20000
#define STORE_US      10000
#define HELD_SECONDS  40
#define MAP_EVERY     256   /* Marks between two looks at the map */
#define LATENCY_US    50    /* Width of a class of the histogram */
#define LATENCY_COUNT 20000 /* Classes: up to a second */
#define ALARMS        (4 * CALLS)

/* What comes back after a fixed time comes back in order. */
struct line {
	struct waiting {
		uint64_t id;
		instant_t at;
		bool is_held; /* It is of the call that is held */
	} items[8192];
	size_t first, n;
};

struct traffic {
	struct policy policy;
	struct metrics metrics;
	struct engine *engine;
	instant_t now;
	struct line answers, writes;
	instant_t alarms[ALARMS]; /* By slot; NEVER: not armed */
	uint64_t alarm_ids[ALARMS];
	uint64_t due[ALARMS]; /* Alarms in the order of their instants: a heap of slots */
	size_t place[ALARMS]; /* Where a slot stands in it */
	size_t n_due;
	struct random random; /* Which call is next */
	struct buffer map;
	int64_t next_offset;
	bool holds; /* What is sent for the call "held" is throttled */
	int64_t held_for_s;
	unsigned n_marks, n_pauses, n_throttled;
	int64_t n_replies;
	uint64_t latencies[LATENCY_COUNT];
};

static void line_put(struct line *l, uint64_t id, instant_t at, bool is_held)
{
	size_t size = sizeof(l->items) / sizeof(l->items[0]);

	assert_true(l->n < size);
	l->items[(l->first + l->n++) % size] = (struct waiting){ id, at, is_held };
}

static struct waiting line_take(struct line *l)
{
	struct waiting first = l->items[l->first];

	l->first = (l->first + 1) % (sizeof(l->items) / sizeof(l->items[0]));
	l->n--;
	return first;
}

static instant_t line_at(const struct line *l)
{
	return l->n > 0 ? l->items[l->first].at : INSTANT_NEVER;
}

static bool is_sooner(const struct traffic *t, size_t a, size_t b)
{
	return instant_before(t->alarms[t->due[a]], t->alarms[t->due[b]]);
}

static void swap_due(struct traffic *t, size_t a, size_t b)
{
	uint64_t slot = t->due[a];

	t->due[a] = t->due[b];
	t->due[b] = slot;
	t->place[t->due[a]] = a;
	t->place[slot] = b;
}

/* The heap is put in order around every change, which may be anywhere in it. */
static void sift(struct traffic *t, size_t i)
{
	for (; i > 0 && is_sooner(t, i, (i - 1) / 2); i = (i - 1) / 2)
		swap_due(t, i, (i - 1) / 2);
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < t->n_due; child++)
			if (is_sooner(t, child, least))
				least = child;
		if (least == i)
			return;
		swap_due(t, i, least);
		i = least;
	}
}

static void take_alarm(struct traffic *t, struct effect_alarm alarm)
{
	uint32_t slot = slots_index(alarm.id);

	assert_true(slot < ALARMS);
	t->alarm_ids[slot] = alarm.id;
	t->alarms[slot] = alarm.at;
	if (t->place[slot] >= t->n_due || t->due[t->place[slot]] != slot) {
		t->place[slot] = t->n_due;
		t->due[t->n_due++] = slot;
	}
	sift(t, t->place[slot]);
}

static void count_latency(struct traffic *t, struct bytes reply, instant_t arrived)
{
	size_t class = (size_t)instant_since(t->now, arrived).us / LATENCY_US;

	assert_non_null(memmem(reply.data, reply.size, "\"status\":\"accepted\"", 19));
	assert_true(class < LATENCY_COUNT);
	t->latencies[class]++;
}

/* Commands carry the moment of their making in their commandId. */
static void take_write(struct traffic *t, const struct effect_write *write)
{
	long long arrived;

	t->n_replies++;
	line_put(&t->writes, write->write_id, instant_add(t->now, (duration_t){ STORE_US }), false);
	if (sscanf(write->value.data, "{\"commandId\":\"%lld\"", &arrived) == 1)
		count_latency(t, write->value, (instant_t){ arrived });
}

static void step(struct traffic *t, struct event event);

static void look_at_map(struct traffic *t)
{
	struct map map;
	int64_t offset;

	buffer_clear(&t->map);
	assert_true(engine_map(t->engine, 0, false, &offset, &t->map));
	assert_int_equal(map_decode(buffer_bytes(&t->map), offset, &map), MAP_OK);
	map_close(&map);
}

/* Marks are granted at once; an effect's ids are taken before the next step. */
static void grant(struct traffic *t, const struct effects *f)
{
	uint64_t ids[256];
	size_t n = f->n_marks;

	assert_true(n <= 256);
	for (size_t i = 0; i < n; i++)
		ids[i] = f->marks[i].invite_id;
	for (size_t i = 0; i < n; i++) {
		if (++t->n_marks % MAP_EVERY == 0)
			look_at_map(t);
		step(t, (struct event){ .type = EVENT_MARKED, .invite_id = ids[i] });
	}
}

static void step(struct traffic *t, struct event event)
{
	const struct effects *f;

	event.now = t->now;
	event.wall = (wall_t){ START_US + t->now.us };
	f = engine_step(t->engine, &event);
	assert_false(f->out_of_memory);
	for (size_t i = 0; i < f->n_posts; i++)
		line_put(&t->answers, f->posts[i]->invite_id,
		         instant_add(t->now, (duration_t){ ANSWER_US }),
		         bytes_equal_text(f->posts[i]->call_id, "held"));
	for (size_t i = 0; i < f->n_writes; i++)
		take_write(t, f->writes[i]);
	for (size_t i = 0; i < f->n_alarms; i++)
		take_alarm(t, f->alarms[i]);
	for (size_t i = 0; i < f->n_fetches; i++)
		t->n_pauses += f->fetches[i].paused;
	grant(t, f);
}

static void give(struct traffic *t, const char *call, const char *id)
{
	char text[256];
	struct record record = { .topic = bytes_of("invite-commands"),
		                 .offset = t->next_offset++,
		                 .timestamp = { START_US + t->now.us },
		                 .has_key = true,
		                 .key = bytes_of(call) };

	snprintf(text, sizeof(text),
	         "{\"callId\":\"%s\",\"commandId\":\"%s\",\"participants\":[{\"identity\":"
	         "{\"user\":{\"id\":\"u-%lld\"}}}]}",
	         call, id, (long long)record.offset);
	record.value = bytes_of(text);
	step(t, (struct event){ .type = EVENT_RECORD, .record = &record });
}

static void answer_next(struct traffic *t)
{
	struct waiting w = line_take(&t->answers);
	char pause[32];
	struct answer answer = { .progress = ANSWER_COMPLETE,
		                 .http_status = 200,
		                 .body = bytes_of("{\"id\":\"op\",\"status\":\"running\"}") };

	if (w.is_held && t->holds) {
		snprintf(pause, sizeof(pause), "%lld", (long long)t->held_for_s);
		answer = (struct answer){ .progress = ANSWER_COMPLETE,
			                  .http_status = 429,
			                  .retry_after = pause };
		t->n_throttled++;
		t->holds = false;
	}
	step(t, (struct event){ .type = EVENT_ANSWER, .answer = { w.id, &answer } });
}

static void ring_next(struct traffic *t)
{
	uint64_t slot = t->due[0];

	t->due[0] = t->due[--t->n_due];
	t->place[t->due[0]] = 0;
	t->alarms[slot] = INSTANT_NEVER;
	if (t->n_due > 0)
		sift(t, 0);
	step(t, (struct event){ .type = EVENT_ALARM, .alarm_id = t->alarm_ids[slot] });
}

/* Do what happens first, before 'end'. False when nothing does. */
static bool happens_next(struct traffic *t, instant_t end)
{
	instant_t alarm = t->n_due > 0 ? t->alarms[t->due[0]] : INSTANT_NEVER;
	instant_t at = instant_min(alarm, instant_min(line_at(&t->answers), line_at(&t->writes)));

	if (!instant_before(at, end))
		return false;
	t->now = instant_max(t->now, at);
	if (at.us == line_at(&t->answers).us) {
		answer_next(t);
	} else if (at.us == line_at(&t->writes).us) {
		step(t, (struct event){ .type = EVENT_WRITTEN,
		                        .written = { line_take(&t->writes).id, NULL } });
	} else {
		ring_next(t);
	}
	return true;
}

static void pass(struct traffic *t, instant_t until)
{
	while (happens_next(t, until))
		continue;
	t->now = until;
}

static struct traffic *traffic_new(void)
{
	struct event_offer offer = { .offset = -1 };
	struct traffic *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->policy = policy_default();
	t->policy.max_hold = duration_ms(3600 * 1000);
	for (size_t i = 0; i < ALARMS; i++)
		t->alarms[i] = INSTANT_NEVER;
	random_init(&t->random, 1);
	buffer_init(&t->map, MAP_TEXT_MAX);
	t->engine = engine_new(&t->policy, &t->metrics, t->now);
	assert_non_null(t->engine);
	step(t, (struct event){ .type = EVENT_ASSIGN,
	                        .assign = { .offers = &offer, .n = 1, .owned = 1, .total = 1 } });
	/* The application's bucket fills. */
	pass(t, (instant_t){ 10 * 1000000 });
	return t;
}

static void traffic_free(struct traffic *t)
{
	engine_free(t->engine);
	buffer_close(&t->map);
	free(t);
}

/* So many seconds of commands to other calls. */
static void flow(struct traffic *t, int64_t seconds)
{
	for (int64_t i = 0; i < seconds * RATE; i++) {
		char call[16], id[24];

		snprintf(call, sizeof(call), "call-%d", (int)random_below(&t->random, CALLS));
		snprintf(id, sizeof(id), "%lld", (long long)t->now.us);
		give(t, call, id);
		pass(t, instant_add(t->now, (duration_t){ STEP_US }));
	}
}

static int64_t quantile_us(const struct traffic *t, unsigned per_mille)
{
	uint64_t n = 0, sum = 0;
	int64_t class = 0;

	for (size_t i = 0; i < LATENCY_COUNT; i++)
		n += t->latencies[i];
	while (sum + t->latencies[class] < n * per_mille / 1000)
		sum += t->latencies[class ++];
	return (class + 1) * LATENCY_US;
}

static void a_held_call_slows_nobody_and_pauses_nothing(void **state)
{
	struct traffic *alone = traffic_new();
	struct traffic *beside = traffic_new();
	const int64_t *seconds = *state;

	flow(alone, 30);
	beside->holds = true;
	beside->held_for_s = *seconds;
	give(beside, "held", "h-0");
	give(beside, "held", "h-1");
	flow(beside, *seconds - 1);
	assert_int_equal(beside->n_pauses, 0);
	assert_int_equal(beside->n_throttled, 1);
	print_message("p50 %lld us and %lld us, p99 %lld us and %lld us\n",
	              (long long)quantile_us(alone, 500), (long long)quantile_us(beside, 500),
	              (long long)quantile_us(alone, 990), (long long)quantile_us(beside, 990));
	assert_true(quantile_us(beside, 990) * 100 <= quantile_us(alone, 990) * 105);
	assert_true(quantile_us(beside, 500) * 100 <= quantile_us(alone, 500) * 105);
	/* All but the two that are held have been answered; then these are sent. */
	pass(beside, instant_add(beside->now, duration_ms(500)));
	assert_int_equal(beside->n_replies, beside->next_offset - 2);
	pass(beside, instant_add(beside->now, duration_ms(2000)));
	assert_int_equal(beside->n_replies, beside->next_offset);
	assert_int_equal(beside->metrics.values[METRIC_jobs_open], 0);
	traffic_free(alone);
	traffic_free(beside);
}

int main(int argc, char **argv)
{
	int64_t seconds = argc > 1 ? strtoll(argv[1], NULL, 10) : HELD_SECONDS;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_held_call_slows_nobody_and_pauses_nothing, &seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
