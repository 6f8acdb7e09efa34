/* The engine and its effects; requests to Graph: see shell.h. */
#include "simulation/ink.h"
#include "simulation/lane.h"
#include "simulation/member.h"
#include "simulation/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shell_init(struct shell *s, struct world *w, unsigned number)
{
	*s = (struct shell){ .world = w, .number = number };
}

bool shell_is_paused(const struct shell *s)
{
	return s->world->now_us < s->resume_us;
}

struct broker_caller shell_caller(const struct shell *s)
{
	return (struct broker_caller){ .slot = s->number,
		                       .member = s->member,
		                       .generation = s->generation,
		                       .epoch = s->ink.epoch };
}

void shell_after(struct shell *s, int64_t delay_us, struct task task)
{
	task.shell = s;
	task.life = s->life;
	world_after(s->world, delay_us, task);
}

int64_t shell_distance(struct shell *s)
{
	struct world *w = s->world;

	if (w->now_us >= s->cut_us)
		return world_between(w, 100, 2000);
	if (world_below(w, 2))
		return PLAN_NEVER;
	return s->cut_us - w->now_us + world_between(w, 0, 5000);
}

int64_t shell_producer_distance(struct shell *s)
{
	return s->is_half_cut ? world_between(s->world, 100, 2000) : shell_distance(s);
}

void shell_start(struct shell *s)
{
	struct world *w = s->world;
	struct policy policy = w->plan.policy;
	unsigned number = s->number;
	uint32_t life = s->life + 1;

	*s = (struct shell){ .world = w, .number = number, .life = life, .is_up = true };
	s->policy = policy;
	s->policy.seed += life * 16 + number;
	s->engine = engine_new(&s->policy, &s->metrics, (instant_t){ 0 });
	CHECK(s->engine);
	world_tell(w, s, "starts");
	lane_reset(s);
	ink_start(s);
	member_join(s);
}

void shell_close(struct shell *s)
{
	engine_free(s->engine);
	s->engine = NULL;
	s->is_up = false;
}

void shell_crash(struct shell *s)
{
	shell_close(s);
	s->client = CLIENT_OUT;
	broker_fall_silent(s->world, s->number,
	                   s->world->now_us - world_between(s->world, 0, HEARTBEAT_US));
}

bool shell_map(struct shell *s, int32_t partition, bool staged, struct broker_position *ret)
{
	struct buffer text;
	bool ok;

	buffer_init(&text, MAP_TEXT_MAX);
	ret->partition = partition;
	ok = engine_map(s->engine, partition, staged, &ret->offset, &text);
	if (ok) {
		mutant_map(s->world->plan.mutant, s->owned[partition].position, &ret->offset,
		           &text);
		CHECK(text.size < sizeof(ret->metadata));
		memset(ret->metadata, 0, sizeof(ret->metadata));
		memcpy(ret->metadata, text.data, text.size);
	}
	buffer_close(&text);
	return ok;
}

/* Timers. */

static void ring(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	uint64_t id = (uint64_t)task->a;

	(void)w;
	for (size_t i = 0; i < s->n_alarms; i++) {
		if (s->alarms[i].id != id || s->alarms[i].at_us != task->b)
			continue;
		s->alarms[i] = s->alarms[--s->n_alarms];
		shell_feed(s, (struct event){ .type = EVENT_ALARM, .alarm_id = id });
		return;
	}
}

static void set_alarm(struct shell *s, const struct effect_alarm *alarm)
{
	int64_t now_us = s->world->now_us;

	for (size_t i = 0; i < s->n_alarms; i++) {
		if (s->alarms[i].id == alarm->id) {
			s->alarms[i] = s->alarms[--s->n_alarms];
			break;
		}
	}
	if (instant_is_never(alarm->at))
		return;
	CHECK(s->n_alarms < SHELL_ALARMS);
	s->alarms[s->n_alarms++] = (struct shell_alarm){ alarm->id, alarm->at.us };
	shell_after(s, alarm->at.us > now_us ? alarm->at.us - now_us : 0,
	            (struct task){ .run = ring, .a = (int64_t)alarm->id, .b = alarm->at.us });
}

/* Requests to Graph. */

struct request {
	uint64_t id; /* Of the invite or the look */
	bool is_look;
	enum look_kind kind;
	uint32_t epoch;
	int32_t partition;
	int64_t started_us;
	size_t send; /* Index into chronicle.sends */
	struct cloud_fate fate;
	struct cloud_operation operation;
	size_t accepted; /* Its number, once it had its effect */
};

/* One request lives through several tasks, each with a copy of its own. */
static struct task with_request(void (*run)(struct world *, const struct task *),
                                const struct request *r)
{
	struct request *copy = malloc(sizeof(*copy));

	CHECK(copy);
	*copy = *r;
	return (struct task){ .run = run, .a = (int64_t)r->id, .data = copy };
}

static void feed_answer(struct shell *s, const struct request *r, const struct answer *answer)
{
	if (r->is_look)
		shell_feed(s,
		           (struct event){ .type = EVENT_EVIDENCE, .evidence = { r->id, answer } });
	else
		shell_feed(s, (struct event){ .type = EVENT_ANSWER, .answer = { r->id, answer } });
}

static void not_sent(struct world *w, const struct task *task)
{
	const struct answer answer = { .progress = ANSWER_NOT_SENT, .problem = "not sent" };

	(void)w;
	feed_answer(task->shell, task->data, &answer);
}

static void broken(struct world *w, const struct task *task)
{
	const struct answer answer = {
		.progress = w->plan.mutant == MUTANT_BLIND_RETRY ? ANSWER_NOT_SENT : ANSWER_BROKEN,
		.problem = "the transfer broke",
	};

	feed_answer(task->shell, task->data, &answer);
}

static void write_body(const struct world *w, const struct request *r, struct buffer *out)
{
	if (r->is_look && r->fate.status == 200)
		cloud_show(&w->cloud, r->operation.call, r->kind, out);
	else if (r->fate.status == 200)
		buffer_printf(out, "{\"id\":\"op%zu\",\"status\":\"Running\"}", r->accepted);
	else
		buffer_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":\"No.\"}}",
		              r->fate.graph_code ? r->fate.graph_code : "Other");
}

static void answered(struct world *w, const struct task *task)
{
	const struct request *r = task->data;
	struct answer answer = { .progress = ANSWER_COMPLETE,
		                 .http_status = r->fate.status,
		                 .retry_after = r->fate.retry_after };
	struct buffer body;

	buffer_init(&body, ANSWER_BODY_MAX);
	write_body(w, r, &body);
	answer.body = buffer_bytes(&body);
	world_tell(w, task->shell, "gets %d for %s", r->fate.status,
	           r->is_look ? "a look" : r->operation.context);
	feed_answer(task->shell, r, &answer);
	buffer_close(&body);
}

/* The worker gets the answer, or gives up after its time. */
static void expect_answer(struct shell *s, const struct request *r)
{
	struct world *w = s->world;
	int64_t gone_us = w->now_us - r->started_us;
	int64_t left_us = HTTP_TIMEOUT_US > gone_us ? HTTP_TIMEOUT_US - gone_us : 0;

	if (r->fate.answer_us == PLAN_NEVER && world_below(w, 2))
		left_us = world_between(w, left_us / 100, left_us);
	if (r->fate.answer_us < left_us)
		shell_after(s, r->fate.answer_us, with_request(answered, r));
	else
		shell_after(s, left_us, with_request(broken, r));
}

static void have_effect(struct world *w, const struct task *task)
{
	const struct request *r = task->data;
	struct told_send *send = &w->chronicle.sends[r->send];

	send->had_effect = true;
	send->effect_us = w->now_us;
	world_tell(w, NULL, "graph: op%lld for c%u, %u invited, %s", (long long)task->b,
	           r->operation.call, r->operation.n, r->operation.context);
	cloud_accept(&w->cloud, &r->operation);
}

static void note_send(struct shell *s, struct request *r)
{
	struct world *w = s->world;
	struct told_send *send = chronicle_send(&w->chronicle);

	r->send = w->chronicle.n_sends - 1;
	*send = (struct told_send){ .worker = s->number,
		                    .call = r->operation.call,
		                    .n = r->operation.n,
		                    .at_us = w->now_us };
	send->was_owner = broker_is_owner(&w->broker, r->partition, s->number);
	memcpy(send->identities, r->operation.identities, sizeof(r->operation.identities));
}

static void use_token(struct shell *s, uint64_t id)
{
	struct chronicle *c = &s->world->chronicle;

	for (size_t i = c->n_requests; i-- > 0;) {
		struct told_request *told = &c->requests[i];

		if (told->worker == s->number && told->life == s->life && told->id == id) {
			told->was_used = true;
			return;
		}
	}
}

static bool is_still_owned(const struct shell *s, const struct request *r)
{
	return r->epoch == s->epoch && s->owned[r->partition].is_owned;
}

/* The last moment before the body leaves: where curl's read callback asks. */
static void leave_worker(struct world *w, const struct task *task)
{
	struct shell *s = task->shell;
	struct request r = *(const struct request *)task->data;
	bool may_send = w->plan.mutant == MUTANT_NO_EPOCH || is_still_owned(s, &r);

	if (!r.is_look && (!may_send || !lane_may_send(s))) {
		world_tell(w, s, "may not send %s", r.operation.context);
		not_sent(w, task);
		return;
	}
	if (r.is_look) {
		cloud_decide_look(w, &r.fate);
		expect_answer(s, &r);
		return;
	}
	cloud_decide(w, r.operation.call, r.operation.n, &r.fate);
	note_send(s, &r);
	use_token(s, r.id);
	world_tell(w, s, "sends %s, %u participants", r.operation.context, r.operation.n);
	if (r.fate.has_effect && r.fate.effect_us != PLAN_NEVER)
		world_after(w, r.fate.effect_us, with_request(have_effect, &r));
	expect_answer(s, &r);
}

static void start_request(struct shell *s, struct request *r)
{
	struct world *w = s->world;
	int64_t delay_us = world_between(w, 50, 2000);

	r->started_us = w->now_us;
	r->epoch = s->epoch;
	if (world_is_faulty(w) && world_chance(w, w->plan.graph_faults / 4)) {
		delay_us = world_between(w, 1000, 6000000);
		chronicle_fault(&w->chronicle, "connect", w->now_us, w->now_us + delay_us);
	}
	shell_after(s, delay_us, with_request(leave_worker, r));
}

/* The identities of the body, and its context. */
static void read_body(struct bytes body, struct cloud_operation *ret)
{
	const char *text = body.data;
	const char *context = strstr(text, "\"clientContext\":\"");

	for (const char *p = strstr(text, "\"id\":\"u"); p; p = strstr(p + 1, "\"id\":\"u")) {
		CHECK(ret->n < BATCH_MAX);
		ret->identities[ret->n++] = (uint16_t)strtoul(p + 7, NULL, 10);
	}
	CHECK(context);
	context += strlen("\"clientContext\":\"");
	snprintf(ret->context, sizeof(ret->context), "%.*s", (int)strcspn(context, "\""), context);
}

static void post(struct shell *s, const struct effect_post *effect)
{
	struct request r = { .id = effect->invite_id };

	r.operation.call = producer_call(effect->call_id);
	r.partition = (int32_t)(r.operation.call % s->world->plan.partitions);
	read_body(buffer_bytes(&effect->body), &r.operation);
	start_request(s, &r);
}

static struct told_request *note_token(struct shell *s, int32_t partition, uint64_t id)
{
	struct told_request *told = chronicle_request(&s->world->chronicle);

	*told = (struct told_request){ .worker = s->number,
		                       .partition = partition,
		                       .id = id,
		                       .life = s->life,
		                       .taken_us = s->world->now_us };
	return told;
}

static void look(struct shell *s, const struct effect_look *effect)
{
	struct request r = { .id = effect->look_id, .is_look = true, .kind = effect->kind };

	r.operation.call = producer_call(effect->call_id);
	r.partition = (int32_t)(r.operation.call % s->world->plan.partitions);
	note_token(s, r.partition, effect->look_id)->was_used =
	    broker_is_owner(&s->world->broker, r.partition, s->number);
	start_request(s, &r);
}

/* Effects. */

static void tell_trace(struct shell *s, struct bytes text)
{
	const char *line = text.data, *end = text.data + text.size;

	while (s->world->is_told && line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		world_tell(s->world, s, "    %.*s", (int)(stop - line), line);
		line = stop + 1;
	}
}

static void perform(struct shell *s, const struct effects *f)
{
	bool is_quiet = f->n_quiet > 0;

	tell_trace(s, buffer_bytes(&f->trace));
	for (size_t i = 0; i < f->n_marks; i++) {
		note_token(s, f->marks[i].partition, f->marks[i].invite_id);
		lane_mark(s, f->marks[i].partition, f->marks[i].invite_id);
	}
	for (size_t i = 0; i < f->n_posts; i++)
		post(s, f->posts[i]);
	for (size_t i = 0; i < f->n_looks; i++)
		look(s, &f->looks[i]);
	for (size_t i = 0; i < f->n_writes; i++)
		ink_write(s, f->writes[i]);
	for (size_t i = 0; i < f->n_alarms; i++)
		set_alarm(s, &f->alarms[i]);
	s->lane.is_touched |= f->n_touches > 0;
	for (size_t i = 0; i < f->n_fetches; i++)
		s->owned[f->fetches[i].partition].is_paused = f->fetches[i].paused;
	for (size_t i = 0; i < f->n_quiet; i++)
		s->owned[f->quiet[i]].is_quiet = true;
	for (size_t i = 0; i < f->n_fetches; i++)
		member_fetch(s, f->fetches[i].partition);
	if (is_quiet)
		member_check_quiet(s);
}

void shell_feed(struct shell *s, struct event event)
{
	const struct effects *effects;

	event.now = world_now(s->world);
	event.wall = world_wall(s->world);
	effects = engine_step(s->engine, &event);
	CHECK(!effects->out_of_memory);
	perform(s, effects);
}
