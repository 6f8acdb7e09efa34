/* Timers of slots: which fire, and how many there are. */
#include "worker/base/slots.h"
#include "worker/io/alarms.h"
#include "worker/io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MANY  5000
#define TICKS 100 /* More than are kept to be used again */

struct world {
	uv_loop_t loop;
	struct alarms *alarms;
	struct slots slots;
	uint64_t fired[4];
	size_t n_fired;
	uint64_t cleared, moved; /* By the first that fires; SLOTS_NONE: none */
};

static void set_after(struct world *w, uint64_t id, int64_t ms)
{
	instant_t now = clock_now();

	assert_true(alarms_set(w->alarms, id, instant_add(now, duration_ms(ms)), now));
}

static void clear(struct world *w, uint64_t id)
{
	assert_true(alarms_set(w->alarms, id, INSTANT_NEVER, clock_now()));
}

static void on_alarm(void *owner, uint64_t id)
{
	struct world *w = owner;

	if (w->n_fired == 0 && w->cleared != SLOTS_NONE)
		clear(w, w->cleared);
	if (w->n_fired == 0 && w->moved != SLOTS_NONE)
		set_after(w, w->moved, 1);
	if (w->n_fired < sizeof(w->fired) / sizeof(*w->fired))
		w->fired[w->n_fired] = id;
	w->n_fired++;
}

static void open_world(struct world *w)
{
	*w = (struct world){ 0 };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	slots_init(&w->slots);
	w->alarms = alarms_new(&w->loop, on_alarm, w);
	assert_non_null(w->alarms);
}

static void on_closed(void *owner)
{
	*(bool *)owner = true;
}

static void close_world(struct world *w)
{
	bool closed = false;

	alarms_close(w->alarms, on_closed, &closed);
	assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
	assert_true(closed);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	slots_close(&w->slots);
}

/* Until no alarm is armed. */
static void run(struct world *w)
{
	assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
}

static void those_that_are_due_fire_once_and_in_order(void **state)
{
	struct world w;
	uint64_t first, second;

	(void)state;
	open_world(&w);
	first = slots_put(&w.slots, &w);
	second = slots_put(&w.slots, &w);
	set_after(&w, second, 20);
	set_after(&w, first, 1);
	run(&w);
	assert_int_equal(w.n_fired, 2);
	assert_int_equal(w.fired[0], first);
	assert_int_equal(w.fired[1], second);
	close_world(&w);
}

static void one_that_is_moved_or_cleared_does_not_fire_as_before(void **state)
{
	struct world w;
	uint64_t moved, cleared;

	(void)state;
	open_world(&w);
	moved = slots_put(&w.slots, &w);
	cleared = slots_put(&w.slots, &w);
	set_after(&w, moved, 60000);
	set_after(&w, moved, 1);
	set_after(&w, cleared, 1);
	clear(&w, cleared);
	clear(&w, cleared);
	run(&w);
	assert_int_equal(w.n_fired, 1);
	assert_int_equal(w.fired[0], moved);
	close_world(&w);
}

static void one_that_is_set_to_the_same_again_fires_once_and_not_before(void **state)
{
	instant_t at = instant_add(clock_now(), duration_ms(5));
	struct world w;
	uint64_t id;

	(void)state;
	open_world(&w);
	id = slots_put(&w.slots, &w);
	for (size_t i = 0; i < 1000; i++)
		assert_true(alarms_set(w.alarms, id, at, clock_now()));
	run(&w);
	assert_int_equal(w.n_fired, 1);
	assert_false(instant_before(clock_now(), at));
	close_world(&w);
}

static void one_that_fires_may_clear_and_move_others_that_are_due(void **state)
{
	uint64_t ids[4];
	struct world w;

	(void)state;
	open_world(&w);
	for (size_t i = 0; i < 4; i++) {
		instant_t now = clock_now();

		ids[i] = slots_put(&w.slots, &w);
		assert_true(alarms_set(w.alarms, ids[i], now, now));
	}
	w.cleared = ids[1];
	w.moved = ids[2];
	run(&w);
	assert_int_equal(w.n_fired, 3);
	assert_int_equal(w.fired[0], ids[0]);
	assert_int_equal(w.fired[1], ids[3]);
	assert_int_equal(w.fired[2], ids[2]);
	close_world(&w);
}

static void timers_that_were_given_up_are_made_again(void **state)
{
	uint64_t ids[TICKS];
	struct world w;

	(void)state;
	open_world(&w);
	for (size_t i = 0; i < TICKS; i++)
		ids[i] = slots_put(&w.slots, &w);
	for (size_t round = 1; round <= 3; round++) {
		for (size_t i = 0; i < TICKS; i++)
			set_after(&w, ids[i], (int64_t)i);
		run(&w);
		assert_int_equal(w.n_fired, round * TICKS);
	}
	close_world(&w);
}

static void what_is_cleared_for_one_that_left_stays_armed_for_the_next_in_its_slot(void **state)
{
	struct world w;
	uint64_t before, after;

	(void)state;
	open_world(&w);
	before = slots_put(&w.slots, &w);
	slots_remove(&w.slots, before);
	after = slots_put(&w.slots, &w);
	assert_int_equal(slots_index(before), slots_index(after));
	set_after(&w, after, 1);
	clear(&w, before);
	run(&w);
	assert_int_equal(w.n_fired, 1);
	assert_int_equal(w.fired[0], after);
	close_world(&w);
}

static void count_handle(uv_handle_t *handle, void *arg)
{
	(void)handle;
	(*(size_t *)arg)++;
}

static size_t count_handles(struct world *w)
{
	size_t n = 0;

	uv_walk(&w->loop, count_handle, &n);
	return n;
}

static void those_of_a_millisecond_share_a_timer(void **state)
{
	uint64_t ids[MANY];
	struct world w;

	(void)state;
	open_world(&w);
	for (size_t i = 0; i < MANY; i++) {
		ids[i] = slots_put(&w.slots, &w);
		clear(&w, ids[i]);
	}
	assert_true(count_handles(&w) < 10);
	for (size_t i = 0; i < MANY; i++)
		set_after(&w, ids[i], i % 2 ? 1 : 60000);
	assert_true(count_handles(&w) < MANY);
	for (size_t i = 0; i < MANY; i += 2)
		clear(&w, ids[i]);
	run(&w);
	assert_int_equal(w.n_fired, MANY / 2);
	assert_true(count_handles(&w) < MANY / 2);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_are_due_fire_once_and_in_order),
		cmocka_unit_test(one_that_is_moved_or_cleared_does_not_fire_as_before),
		cmocka_unit_test(one_that_is_set_to_the_same_again_fires_once_and_not_before),
		cmocka_unit_test(one_that_fires_may_clear_and_move_others_that_are_due),
		cmocka_unit_test(timers_that_were_given_up_are_made_again),
		cmocka_unit_test(
		    what_is_cleared_for_one_that_left_stays_armed_for_the_next_in_its_slot),
		cmocka_unit_test(those_of_a_millisecond_share_a_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
