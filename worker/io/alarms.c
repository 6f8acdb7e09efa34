/* One libuv timer for each that waits: see alarms.h. */
#include "worker/io/alarms.h"

#include "worker/base/slots.h"

#include <stdlib.h>

#define US_PER_MS 1000
#define NS_PER_MS 1000000

/* A timer belongs to a slot of the engine, and to whatever is in it: slots are used again, and so
 * are their timers. */
struct alarm {
	uv_timer_t timer;
	struct alarms *alarms;
	uint64_t id; /* Of what it is armed for */
};

struct alarms {
	uv_loop_t *loop;
	alarms_cb cb;
	void *owner;
	struct alarm **by_slot; /* Owned; NULL for a slot that never had an alarm */
	uint32_t capacity;
	uv_idle_t end; /* Never started: so that there always is a handle to close */
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

static void start(struct alarms *alarms, struct alarm *alarm, uint64_t id)
{
	uv_timer_init(alarms->loop, &alarm->timer);
	alarm->timer.data = alarm;
	alarm->alarms = alarms;
	alarm->id = id;
	alarms->open_handles++;
}

struct alarms *alarms_new(uv_loop_t *loop, alarms_cb cb, void *owner)
{
	struct alarms *alarms = calloc(1, sizeof(*alarms));

	if (!alarms)
		return NULL;
	alarms->loop = loop;
	alarms->cb = cb;
	alarms->owner = owner;
	uv_idle_init(loop, &alarms->end);
	alarms->end.data = alarms;
	alarms->open_handles = 1;
	return alarms;
}

static void on_timer(uv_timer_t *timer)
{
	struct alarm *alarm = timer->data;

	alarm->alarms->cb(alarm->alarms->owner, alarm->id);
}

static bool reserve(struct alarms *alarms, uint32_t slot)
{
	uint32_t capacity = alarms->capacity ? alarms->capacity : 64;
	struct alarm **by_slot;

	if (slot < alarms->capacity)
		return true;
	while (capacity <= slot)
		capacity *= 2;
	by_slot = realloc(alarms->by_slot, capacity * sizeof(struct alarm *));
	if (!by_slot)
		return false;
	for (uint32_t i = alarms->capacity; i < capacity; i++)
		by_slot[i] = NULL;
	alarms->by_slot = by_slot;
	alarms->capacity = capacity;
	return true;
}

/* The alarm of that slot, made when it is new. NULL when there is no memory. */
static struct alarm *find(struct alarms *alarms, uint64_t id)
{
	uint32_t slot = slots_index(id);

	if (!reserve(alarms, slot))
		return NULL;
	if (!alarms->by_slot[slot]) {
		alarms->by_slot[slot] = calloc(1, sizeof(struct alarm));
		if (!alarms->by_slot[slot])
			return NULL;
		start(alarms, alarms->by_slot[slot], id);
	}
	return alarms->by_slot[slot];
}

/* libuv counts from its loop's own time, which stands still while callbacks run. */
static uint64_t timeout_ms(const struct alarms *alarms, instant_t at, instant_t now)
{
	int64_t wait_us = instant_since(at, now).us;
	uint64_t wait_ms = wait_us > 0 ? (uint64_t)(wait_us + US_PER_MS - 1) / US_PER_MS : 0;
	uint64_t loop_ms = uv_now(alarms->loop);
	uint64_t real_ms = uv_hrtime() / NS_PER_MS;

	return wait_ms + (real_ms > loop_ms ? real_ms - loop_ms : 0);
}

bool alarms_set(struct alarms *alarms, uint64_t id, instant_t at, instant_t now)
{
	struct alarm *alarm = find(alarms, id);

	if (!alarm)
		return false;
	/* A cleared alarm of one that has left must not stop the timer of its successor. */
	if (instant_is_never(at)) {
		if (alarm->id == id)
			uv_timer_stop(&alarm->timer);
		return true;
	}
	alarm->id = id;
	uv_timer_start(&alarm->timer, on_timer, timeout_ms(alarms, at, now), 0);
	return true;
}

static void close_one(struct alarms *alarms)
{
	if (--alarms->open_handles > 0)
		return;
	if (alarms->closed)
		alarms->closed(alarms->closed_owner);
	free(alarms->by_slot);
	free(alarms);
}

static void on_alarm_closed(uv_handle_t *handle)
{
	struct alarm *alarm = handle->data;
	struct alarms *alarms = alarm->alarms;

	free(alarm);
	close_one(alarms);
}

static void on_end_closed(uv_handle_t *handle)
{
	close_one(handle->data);
}

void alarms_close(struct alarms *alarms, void (*closed)(void *owner), void *owner)
{
	alarms->closed = closed;
	alarms->closed_owner = owner;
	for (uint32_t i = 0; i < alarms->capacity; i++)
		if (alarms->by_slot[i])
			uv_close((uv_handle_t *)&alarms->by_slot[i]->timer, on_alarm_closed);
	uv_close((uv_handle_t *)&alarms->end, on_end_closed);
}
