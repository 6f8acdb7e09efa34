/* The engine's face: one event in, effects out. See engine.h. */
#include "worker/core/engine.h"

#include "worker/core/departure.h"
#include "worker/core/doubt.h"
#include "worker/core/intake.h"
#include "worker/core/respond.h"
#include "worker/core/scheduler.h"
#include "worker/core/settle.h"
#include "worker/core/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_BYTES      256
#define ERROR_MAX_BYTES     65536
#define OPERATION_MAX_BYTES (8 * ANSWER_BODY_MAX)

/* What Graph and producers say cannot look like a line of its own, nor hide one. */
static void tidy(char *line)
{
	for (char *p = line; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

void trace(struct engine *e, const char *format, ...)
{
	struct buffer *out = &e->effects.trace;
	char line[512];
	va_list args;

	if (!e->policy->trace)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	tidy(line);
	buffer_printf(out, "[%5lld] %s\n",
	              (long long)duration_to_ms(instant_since(e->now, e->origin)), line);
}

static bool open_applications(struct engine *e)
{
	uint32_t n = (uint32_t)e->policy->tenants.count;

	CHECK(n > 0 && n <= UINT16_MAX);
	e->applications = calloc(n, sizeof(*e->applications));
	if (!e->applications)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!application_open(e, i))
			return false;
	return true;
}

struct engine *engine_new(const struct policy *policy, struct metrics *metrics, instant_t now)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->policy = policy;
	e->metrics = metrics;
	e->origin = now;
	e->now = now;
	e->rates.call = limiter_rate_of(policy->call_rate, policy->call_burst);
	e->rates.application = limiter_rate_of(policy->application_rate, policy->application_burst);
	random_init(&e->random, policy->seed);
	slots_init(&e->alarms);
	slots_init(&e->invites);
	slots_init(&e->writes);
	slots_init(&e->looks);
	effects_init(&e->effects);
	buffer_init(&e->scratch, SIZE_MAX / 2);
	buffer_init(&e->operation, OPERATION_MAX_BYTES);
	buffer_init(&e->error, ERROR_MAX_BYTES);
	buffer_init(&e->topic, NAME_MAX_BYTES);
	e->share.grows_at = INSTANT_NEVER;
	if (!open_applications(e)) {
		engine_free(e);
		return NULL;
	}
	return e;
}

void engine_free(struct engine *e)
{
	struct partition *p, *next;

	if (!e)
		return;
	HASH_ITER (hh, e->partitions, p, next) {
		partition_free(e, p);
	}
	for (uint32_t i = 0; i < e->invites.capacity; i++)
		free(slots_at(&e->invites, i));
	slots_close(&e->alarms);
	while (e->spare_invites) {
		struct invite *invite = e->spare_invites;

		e->spare_invites = invite->next;
		free(invite);
	}
	slots_close(&e->invites);
	slots_close(&e->writes);
	slots_close(&e->looks);
	free(e->applications);
	effects_close(&e->effects);
	buffer_close(&e->scratch);
	buffer_close(&e->operation);
	buffer_close(&e->error);
	buffer_close(&e->topic);
	free(e);
}

static void assign(struct engine *e, const struct event *event)
{
	bool had_owner = false;

	for (size_t i = 0; i < event->assign.n; i++) {
		const struct event_offer *offer = &event->assign.offers[i];

		if (!partition_find(e, offer->partition) && !partition_new(e, offer))
			e->effects.out_of_memory = true;
		had_owner = had_owner || offer->offset >= 0;
	}
	/* What came together while nothing was owned was the others' share. */
	if (had_owner || e->share.owned == 0)
		scheduler_spend(e);
	scheduler_share(e, event->assign.owned, event->assign.total);
	metrics_set(e->metrics, METRIC_partitions_owned, event->assign.owned);
}

static void forget(struct engine *e, int32_t number)
{
	struct partition *p = partition_find(e, number);

	if (!p)
		return;
	partition_free(e, p);
	metrics_set(e->metrics, METRIC_partitions_owned, HASH_COUNT(e->partitions));
}

static void position(struct engine *e, const struct event *event)
{
	struct partition *p = partition_find(e, event->position.partition);
	int64_t before;

	if (!p || p->state != PARTITION_OWNED)
		return;
	before = ledger_frontier(&p->ledger);
	ledger_advance(&p->ledger, event->position.offset);
	if (before >= 0 && ledger_frontier(&p->ledger) != before)
		effects_touch(&e->effects, p->number);
}

static void marked(struct engine *e, uint64_t invite_id)
{
	struct invite *invite = slots_find(&e->invites, invite_id);

	if (!invite || invite->state != INVITE_MARKING)
		return;
	if (invite->call->invite == invite)
		departure_add(e, invite);
	else
		invite->state = INVITE_MARKED;
}

static void answered(struct engine *e, const struct event *event)
{
	struct invite *invite = slots_find(&e->invites, event->answer.invite_id);

	if (invite && invite->state == INVITE_IN_FLIGHT)
		settle_answer(e, invite, event->answer.answer);
}

static void evidence(struct engine *e, const struct event *event)
{
	struct call *call = slots_find(&e->looks, event->evidence.look_id);

	if (call)
		doubt_judge(e, call, event->evidence.answer);
}

static void staged(struct engine *e, const struct event *event)
{
	for (size_t i = 0; i < event->staged.n; i++) {
		struct write *write = slots_find(&e->writes, event->staged.write_ids[i]);

		if (write)
			write->is_staged = true;
	}
}

static void unstaged(struct engine *e)
{
	for (uint32_t i = 0; i < e->writes.capacity; i++) {
		struct write *write = slots_at(&e->writes, i);

		if (write)
			write->is_staged = false;
	}
}

static void written(struct engine *e, const struct event *event)
{
	struct write *write = slots_find(&e->writes, event->written.write_id);

	if (write)
		respond_written(e, write, event->written.error);
}

/* A timer went off: the shell holds it no more. */
static void alarm_rang(struct engine *e, uint64_t id)
{
	void *object = slots_find(&e->alarms, id);
	struct call *call = object;

	if (!object)
		return;
	if (slots_index(id) < e->policy->tenants.count) {
		((struct application *)object)->armed = INSTANT_NEVER;
		return;
	}
	call->is_armed = false;
	if (call->state != CALL_BUSY)
		call_update(e, call);
}

static void revoke(struct engine *e, int32_t number)
{
	struct partition *p = partition_find(e, number);

	if (p)
		partition_revoke(e, p);
}

static void drain(struct engine *e)
{
	struct partition *p, *next;

	HASH_ITER (hh, e->partitions, p, next) {
		partition_revoke(e, p);
	}
}

static void dispatch(struct engine *e, const struct event *event)
{
	switch (event->type) {
	case EVENT_ASSIGN:
		assign(e, event);
		break;
	case EVENT_REVOKE:
		revoke(e, event->partition);
		break;
	case EVENT_FORGET:
		forget(e, event->partition);
		break;
	case EVENT_RECORD:
		intake_record(e, event->record);
		break;
	case EVENT_POSITION:
		position(e, event);
		break;
	case EVENT_MARKED:
		marked(e, event->invite_id);
		break;
	case EVENT_ANSWER:
		answered(e, event);
		break;
	case EVENT_EVIDENCE:
		evidence(e, event);
		break;
	case EVENT_STAGED:
		staged(e, event);
		break;
	case EVENT_UNSTAGED:
		unstaged(e);
		break;
	case EVENT_WRITTEN:
		written(e, event);
		break;
	case EVENT_SIGNED_IN:
		CHECK(event->tenant < e->policy->tenants.count);
		application_sign_in(e, &e->applications[event->tenant]);
		break;
	case EVENT_ALARM:
		alarm_rang(e, event->alarm_id);
		break;
	case EVENT_DRAIN:
		drain(e);
		break;
	}
}

const struct effects *engine_step(struct engine *e, const struct event *event)
{
	CHECK(!e->effects.out_of_memory);
	e->now = event->now;
	e->wall = event->wall;
	effects_clear(&e->effects);
	dispatch(e, event);
	if (!e->effects.out_of_memory)
		scheduler_run(e);
	return &e->effects;
}

bool engine_is_refused(const struct engine *e, struct buffer *why)
{
	for (size_t i = 0; i < e->policy->tenants.count; i++) {
		const struct application *a = &e->applications[i];

		if (!application_is_refused(a))
			continue;
		buffer_printf(why, "Graph lets the application do nothing in tenant %s: HTTP %d",
		              e->policy->tenants.texts[i], a->refused_status);
		return true;
	}
	return false;
}

bool engine_is_quiet(const struct engine *e)
{
	return e->begun == 0 && e->writes.used == 0;
}

/* The window of a partition is such that a map without progress always fits. */
static bool encode(struct map *map, struct buffer *text)
{
	if (map_encode(map, text))
		return true;
	partition_coarsen(map);
	return buffer_ok(text) && map_encode(map, text);
}

bool engine_map(const struct engine *e, int32_t number, bool staged, int64_t *ret_offset,
                struct buffer *text)
{
	const struct partition *p = partition_find(e, number);
	struct map map;
	bool ok;

	if (!p || p->state == PARTITION_STOPPED || !p->ledger.is_known)
		return false;
	ok = partition_map(p, staged, &map) && encode(&map, text);
	*ret_offset = map.base;
	map_close(&map);
	return ok;
}
