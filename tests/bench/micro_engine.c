/* The engine with made-up events: see micro_engine.h. */
#include "bench/micro_engine.h"

#include "bench/commands.h"
#include "bench/micro_memory.h"
#include "worker/core/engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS             5
#define EVENTS_PER_COMMAND 4

/* What Graph answers, as its documentation shows it. */
#define ANSWER                                                                                     \
	"{\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\",\"status\":"            \
	"\"running\","                                                                             \
	"\"createdDateTime\":\"2018-09-06T15:58:41Z\",\"lastActionDateTime\":"                     \
	"\"2018-09-06T15:58:41Z\",\"resultInfo\":{\"@odata.type\":"                                \
	"\"#microsoft.graph.resultInfo\",\"code\":400,\"subcode\":0,\"message\":\"Success\"},"     \
	"\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\","                              \
	"\"id\":\"eec3812a-fdc3-4fb4-825c-a06c9f35414e\",\"participants\":[{\"id\":\"a7ebfb2d\"}]" \
	"}"
#define LOCATION                                                                                   \
	"https://graph.microsoft.com/v1.0/communications/calls/57dab8b1-894c-409a-b240-"           \
	"bd8beae78896/operations/eec3812a-fdc3-4fb4-825c-a06c9f35414e"

struct rig {
	struct policy policy;
	struct metrics metrics;
	struct engine *engine;
	struct commands commands;
	struct command_text *texts; /* Owned: the commands of a round, made beforehand */
	struct answer answer;
	int64_t now_us;
	int64_t offset;
	uint64_t number;
	size_t record_bytes;
};

static struct policy policy_of(double rate, uint32_t burst)
{
	static const char *const tenants[] = { "contoso.example" };
	struct policy policy = policy_default();

	policy.reply_topic = "invite-replies";
	policy.dead_letter_topic = "invite-dead-letters";
	policy.tenants = (struct text_list){ tenants, 1 };
	policy.graph_url = "https://graph.microsoft.com/v1.0";
	policy.require_key = false;
	policy.batch_window = duration_ms(0);
	policy.batch_max = 1;
	policy.call_rate = rate;
	policy.call_burst = burst;
	policy.application_rate = 1e6;
	policy.application_burst = 1000000;
	policy.commands_per_partition = UINT32_MAX;
	policy.offsets_per_partition = UINT32_MAX;
	return policy;
}

static const struct effects *step(struct rig *rig, struct event event)
{
	event.now = (instant_t){ rig->now_us };
	event.wall = (wall_t){ INT64_C(1767225600000000) + rig->now_us };
	return engine_step(rig->engine, &event);
}

static void rig_open(struct rig *rig, struct policy policy, uint32_t calls)
{
	const struct commands_options options = { .calls = calls, .seed = 1 };
	const struct event_offer offer = { .offset = -1 };

	*rig = (struct rig){ .policy = policy,
		             .now_us = 1,
		             .answer = { .progress = ANSWER_COMPLETE,
		                         .http_status = 200,
		                         .body = bytes_of(ANSWER),
		                         .location = LOCATION,
		                         .request_id = "5d1b7a4e-5a70-4a58-8a9a-0b7ea4bdbd22",
		                         .client_request_id =
		                             "0c4b2f6e-f1c5-4f0a-9a0e-3a5a0a7c2b11" } };
	rig->engine = engine_new(&rig->policy, &rig->metrics, (instant_t){ 0 });
	CHECK(rig->engine && commands_init(&rig->commands, &options));
	(void)step(rig, (struct event){ .type = EVENT_ASSIGN,
	                                .assign = { &offer, 1, .owned = 1, .total = 1 } });
}

static void rig_close(struct rig *rig)
{
	engine_free(rig->engine);
	commands_close(&rig->commands);
	free(rig->texts);
}

/* The next 'n' commands, so that making them is not in what is measured. */
static void rig_load(struct rig *rig, uint32_t n)
{
	rig->texts = realloc(rig->texts, n * sizeof(*rig->texts));
	CHECK(rig->texts);
	for (uint32_t i = 0; i < n; i++)
		commands_next(&rig->commands, rig->number++, &rig->texts[i]);
}

static const struct effects *read_command(struct rig *rig, const struct command_text *text)
{
	const struct record record = { .topic = bytes_of("invite-commands"),
		                       .offset = rig->offset++,
		                       .has_key = true,
		                       .key = bytes_of(text->key),
		                       .value = { text->value, text->value_size } };

	rig->now_us += 10;
	rig->record_bytes += record.key.size + record.value.size;
	return step(rig, (struct event){ .type = EVENT_RECORD, .record = &record });
}

/* From its record to its stored reply. */
static void work_on(struct rig *rig, const struct command_text *text)
{
	const struct effects *f = read_command(rig, text);
	uint64_t id;

	CHECK(f->n_marks == 1);
	f = step(rig, (struct event){ .type = EVENT_MARKED, .invite_id = f->marks[0].invite_id });
	CHECK(f->n_posts == 1);
	id = f->posts[0]->invite_id;
	f = step(rig, (struct event){ .type = EVENT_ANSWER, .answer = { id, &rig->answer } });
	CHECK(f->n_writes == 1);
	id = f->writes[0]->write_id;
	f = step(rig, (struct event){ .type = EVENT_WRITTEN, .written = { .write_id = id } });
	CHECK(f->n_writes == 0);
}

/* Nanoseconds of processor time: other programs on the machine do not count. */
static double clock_ns(void)
{
	struct timespec time;

	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Until the engine has met nearly every call: each has taken a token, and is remembered. */
static void meet_all(struct rig *rig, uint32_t calls)
{
	for (uint32_t i = 0; i < 3 * calls; i += 1000) {
		rig_load(rig, 1000);
		for (uint32_t j = 0; j < 1000; j++)
			work_on(rig, &rig->texts[j]);
	}
}

struct micro_cost micro_engine_cost(uint32_t calls, uint32_t commands)
{
	struct micro_cost cost = { .ns_per_event = 1e18 };
	struct rig rig;
	size_t taken;

	/* A bucket that is not full for as long as this lasts. */
	rig_open(&rig, policy_of(0.001, 1000000), calls);
	meet_all(&rig, calls);
	for (int round = 0; round < ROUNDS; round++) {
		double began;

		rig_load(&rig, commands);
		taken = micro_memory().taken;
		began = clock_ns();
		for (uint32_t i = 0; i < commands; i++)
			work_on(&rig, &rig.texts[i]);
		double ns = (clock_ns() - began) / commands / EVENTS_PER_COMMAND;

		cost.taken_per_command = (double)(micro_memory().taken - taken) / commands;
		cost.ns_per_event = ns < cost.ns_per_event ? ns : cost.ns_per_event;
	}
	rig_close(&rig);
	return cost;
}

struct micro_room micro_engine_room(uint32_t calls, uint32_t each)
{
	const uint32_t commands = calls * each;
	struct micro_room room;
	struct rig rig;
	size_t before;

	/* No request is ever answered. */
	rig_open(&rig, policy_of(0.001, 1), calls);
	rig_load(&rig, 1);
	before = micro_memory().bytes;
	for (uint32_t i = 0; i < commands; i++) {
		rig_load(&rig, 1);
		(void)read_command(&rig, &rig.texts[0]);
	}
	room.bytes = (double)(micro_memory().bytes - before) / commands;
	room.record = (double)rig.record_bytes / commands;
	rig_close(&rig);
	return room;
}
