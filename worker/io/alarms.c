/* One libuv timer for each millisecond in which somebody is due: see alarms.h.
 *
 * libuv's timers count in milliseconds: alarms of the same one share a timer, and each takes
 * little room itself. Very many calls may wait. */
#include "worker/io/alarms.h"

#include "worker/base/hash.h"
#include "worker/base/slots.h"

#include <stdlib.h>
#include <utlist.h>

#define US_PER_MS 1000
#define NS_PER_US 1000

#define FIRST_CAPACITY 64
#define MAX_SPARE      64 /* Ticks that are kept for the next ones */
#define NO_SLOT        UINT32_MAX

/* All that is due in a millisecond. */
struct tick {
	uv_timer_t timer;
	UT_hash_handle hh; /* In alarms.ticks, by 'due_ms', until it fires */
	struct alarms *alarms;
	uint64_t id;          /* In alarms.numbers */
	uint64_t due_ms;      /* By the loop's time */
	uint32_t first, last; /* Slots of its alarms, in the order in which they were armed */
	struct tick *next;    /* While it is spare */
};

/* What is armed of a slot of the engine, for whatever is in it. The table moves when it grows, so
 * that neighbours are known by their slots; and there may be very many, so the tick is too. */
struct alarm {
	uint32_t generation; /* Of the engine's id for it */
	uint32_t tick;       /* Slot in alarms.numbers, and one more; 0: not armed */
	uint32_t prev, next; /* In the tick */
};

struct alarms {
	uv_loop_t *loop;
	alarms_cb cb;
	void *owner;
	struct alarm *by_slot; /* Owned */
	uint32_t capacity;
	struct slots numbers; /* All ticks */
	struct tick *ticks;   /* uthash, owned */
	struct tick *spare;   /* Owned */
	unsigned n_spare;
	uv_idle_t end; /* Never started: so that there always is a handle to close */
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

struct alarms *alarms_new(uv_loop_t *loop, alarms_cb cb, void *owner)
{
	struct alarms *alarms = calloc(1, sizeof(*alarms));

	if (!alarms)
		return NULL;
	alarms->loop = loop;
	alarms->cb = cb;
	alarms->owner = owner;
	slots_init(&alarms->numbers);
	uv_idle_init(loop, &alarms->end);
	alarms->end.data = alarms;
	alarms->open_handles = 1;
	return alarms;
}

static void close_one(struct alarms *alarms)
{
	if (--alarms->open_handles > 0)
		return;
	if (alarms->closed)
		alarms->closed(alarms->closed_owner);
	slots_close(&alarms->numbers);
	free(alarms->by_slot);
	free(alarms);
}

/* Ticks. */

static void on_tick_closed(uv_handle_t *handle)
{
	struct tick *tick = handle->data;
	struct alarms *alarms = tick->alarms;

	slots_remove(&alarms->numbers, tick->id);
	free(tick);
	close_one(alarms);
}

static void close_tick(struct tick *tick)
{
	uv_close((uv_handle_t *)&tick->timer, on_tick_closed);
}

/* A tick without alarms that is not in the hash any more. */
static void give_back(struct tick *tick)
{
	struct alarms *alarms = tick->alarms;

	uv_timer_stop(&tick->timer);
	if (alarms->n_spare == MAX_SPARE) {
		close_tick(tick);
		return;
	}
	LL_PREPEND(alarms->spare, tick);
	alarms->n_spare++;
}

static struct tick *take(struct alarms *alarms)
{
	struct tick *tick = alarms->spare;

	if (tick) {
		LL_DELETE(alarms->spare, tick);
		alarms->n_spare--;
		return tick;
	}
	tick = calloc(1, sizeof(*tick));
	if (!tick)
		return NULL;
	tick->id = slots_put(&alarms->numbers, tick);
	if (tick->id == SLOTS_NONE) {
		free(tick);
		return NULL;
	}
	uv_timer_init(alarms->loop, &tick->timer);
	tick->timer.data = tick;
	tick->alarms = alarms;
	alarms->open_handles++;
	return tick;
}

static void on_timer(uv_timer_t *timer);

/* The tick of that millisecond, made when it is new. NULL when there is no memory. */
static struct tick *find_tick(struct alarms *alarms, uint64_t due_ms)
{
	uint64_t loop_ms = uv_now(alarms->loop);
	struct tick *tick;

	HASH_FIND(hh, alarms->ticks, &due_ms, sizeof(due_ms), tick);
	if (tick)
		return tick;
	tick = take(alarms);
	if (!tick)
		return NULL;
	tick->due_ms = due_ms;
	tick->first = tick->last = NO_SLOT;
	HASH_ADD(hh, alarms->ticks, due_ms, sizeof(due_ms), tick);
	if (!tick->hh.tbl) {
		give_back(tick);
		return NULL;
	}
	uv_timer_start(&tick->timer, on_timer, due_ms > loop_ms ? due_ms - loop_ms : 0, 0);
	return tick;
}

/* Alarms. */

/* The tick in which the slot is armed, or NULL. */
static struct tick *tick_of(const struct alarms *alarms, uint32_t slot)
{
	uint32_t number = alarms->by_slot[slot].tick;

	return number > 0 ? slots_at(&alarms->numbers, number - 1) : NULL;
}

static void enter(struct alarms *alarms, uint32_t slot, struct tick *tick)
{
	struct alarm *alarm = &alarms->by_slot[slot];

	alarm->tick = slots_index(tick->id) + 1;
	alarm->prev = tick->last;
	alarm->next = NO_SLOT;
	if (tick->last == NO_SLOT)
		tick->first = slot;
	else
		alarms->by_slot[tick->last].next = slot;
	tick->last = slot;
}

/* The tick that it was in. */
static struct tick *leave(struct alarms *alarms, uint32_t slot)
{
	struct alarm *alarm = &alarms->by_slot[slot];
	struct tick *tick = tick_of(alarms, slot);

	*(alarm->prev == NO_SLOT ? &tick->first : &alarms->by_slot[alarm->prev].next) = alarm->next;
	*(alarm->next == NO_SLOT ? &tick->last : &alarms->by_slot[alarm->next].prev) = alarm->prev;
	alarm->tick = 0;
	return tick;
}

/* What is armed meanwhile is due in another tick, even when that is the same millisecond. */
static void on_timer(uv_timer_t *timer)
{
	struct tick *tick = timer->data;
	struct alarms *alarms = tick->alarms;

	HASH_DEL(alarms->ticks, tick);
	while (tick->first != NO_SLOT) {
		uint32_t slot = tick->first;

		leave(alarms, slot);
		alarms->cb(alarms->owner, slots_id(slot, alarms->by_slot[slot].generation));
	}
	give_back(tick);
}

/* A tick that is firing is given back by on_timer(). */
static void disarm(struct alarms *alarms, uint32_t slot)
{
	struct tick *tick = leave(alarms, slot);
	struct tick *found;

	if (tick->first != NO_SLOT)
		return;
	HASH_FIND(hh, alarms->ticks, &tick->due_ms, sizeof(tick->due_ms), found);
	if (found != tick)
		return;
	HASH_DEL(alarms->ticks, tick);
	give_back(tick);
}

static bool reserve(struct alarms *alarms, uint32_t slot)
{
	uint32_t capacity = alarms->capacity ? alarms->capacity : FIRST_CAPACITY;
	struct alarm *by_slot;

	if (slot < alarms->capacity)
		return true;
	while (capacity <= slot)
		capacity *= 2;
	by_slot = realloc(alarms->by_slot, capacity * sizeof(*by_slot));
	if (!by_slot)
		return false;
	memset(by_slot + alarms->capacity, 0, (capacity - alarms->capacity) * sizeof(*by_slot));
	alarms->by_slot = by_slot;
	alarms->capacity = capacity;
	return true;
}

/* The first millisecond of the loop's own time, which stands still while callbacks run, that is not
 * before 'at'. Rounded once: for the same instant it is the same, whenever it is asked for. */
static uint64_t due_ms(const struct alarms *alarms, instant_t at, instant_t now)
{
	int64_t wait_us = instant_since(at, now).us;
	uint64_t at_us = uv_hrtime() / NS_PER_US + (uint64_t)(wait_us > 0 ? wait_us : 0);
	uint64_t at_ms = (at_us + US_PER_MS - 1) / US_PER_MS;
	uint64_t loop_ms = uv_now(alarms->loop);

	return at_ms > loop_ms ? at_ms : loop_ms;
}

bool alarms_set(struct alarms *alarms, uint64_t id, instant_t at, instant_t now)
{
	uint32_t slot = slots_index(id);
	struct tick *before, *tick;

	if (!reserve(alarms, slot))
		return false;
	before = tick_of(alarms, slot);
	/* An alarm that is cleared for one that has left is not that of its successor. */
	if (instant_is_never(at)) {
		if (before && alarms->by_slot[slot].generation == slots_generation(id))
			disarm(alarms, slot);
		return true;
	}
	tick = find_tick(alarms, due_ms(alarms, at, now));
	if (!tick)
		return false;
	alarms->by_slot[slot].generation = slots_generation(id);
	if (before == tick)
		return true;
	if (before)
		disarm(alarms, slot);
	enter(alarms, slot, tick);
	return true;
}

static void on_end_closed(uv_handle_t *handle)
{
	close_one(handle->data);
}

void alarms_close(struct alarms *alarms, void (*closed)(void *owner), void *owner)
{
	struct tick *tick, *next;

	alarms->closed = closed;
	alarms->closed_owner = owner;
	HASH_ITER (hh, alarms->ticks, tick, next) {
		HASH_DEL(alarms->ticks, tick);
		close_tick(tick);
	}
	LL_FOREACH_SAFE(alarms->spare, tick, next)
	close_tick(tick);
	uv_close((uv_handle_t *)&alarms->end, on_end_closed);
}
