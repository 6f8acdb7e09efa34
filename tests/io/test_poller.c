/* The poller: sockets in an epoll set of its own, and one alarm. */
#include "worker/io/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS 3

struct world {
	uv_loop_t loop;
	struct poller poller;
	int near[PAIRS], far[PAIRS];
	unsigned ready[PAIRS];
	unsigned events;
	unsigned alarms, closed;
	bool close_when_ready;
};

static void on_ready(void *owner, int fd, unsigned events)
{
	struct world *w = owner;

	for (size_t i = 0; i < PAIRS; i++)
		w->ready[i] += w->near[i] == fd;
	w->events = events;
	if (w->close_when_ready)
		poller_close(&w->poller);
	uv_stop(&w->loop);
}

static void on_alarm(void *owner)
{
	struct world *w = owner;

	w->alarms++;
	uv_stop(&w->loop);
}

static void on_closed(void *owner)
{
	struct world *w = owner;

	w->closed++;
}

static void world_open(struct world *w)
{
	struct poller_callbacks callbacks = { w, on_ready, on_alarm, on_closed };

	*w = (struct world){ .closed = 0 };
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(poller_open(&w->poller, &w->loop, &callbacks, NULL), 0);
	for (size_t i = 0; i < PAIRS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		w->near[i] = pair[0];
		w->far[i] = pair[1];
	}
}

static void world_close(struct world *w)
{
	if (w->poller.state == POLLER_OPEN)
		poller_close(&w->poller);
	while (uv_run(&w->loop, UV_RUN_DEFAULT))
		;
	assert_int_equal(w->closed, 1);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	for (size_t i = 0; i < PAIRS; i++) {
		close(w->near[i]);
		close(w->far[i]);
	}
}

static void tells_of_what_is_watched_and_nothing_else(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(poller_watch(&w.poller, w.near[0], POLLER_READABLE, false), 0);
	assert_int_equal(poller_watch(&w.poller, w.near[1], POLLER_READABLE, false), 0);
	poller_rest(&w.poller, w.near[0]);
	assert_int_equal(write(w.far[0], "x", 1), 1);
	assert_int_equal(write(w.far[1], "x", 1), 1);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.ready[0], 0);
	assert_int_equal(w.ready[1], 1);
	assert_int_equal(w.events, POLLER_READABLE);
	assert_int_equal(poller_watch(&w.poller, w.near[1], POLLER_WRITABLE, true), 0);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.events, POLLER_WRITABLE);
	world_close(&w);
}

static void watches_again_what_has_rested(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	for (int i = 0; i < 2; i++)
		assert_int_equal(poller_watch(&w.poller, w.near[i], POLLER_READABLE, false), 0);
	for (int i = 0; i < 2; i++)
		poller_rest(&w.poller, w.near[i]);
	assert_int_equal(write(w.far[0], "x", 1), 1);
	assert_int_equal(poller_watch(&w.poller, w.near[1], POLLER_WRITABLE, false), 0);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.ready[0], 0);
	assert_int_equal(w.events, POLLER_WRITABLE);
	assert_int_equal(poller_watch(&w.poller, w.near[0], POLLER_READABLE, false), 0);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.ready[0], 1);
	world_close(&w);
}

static void watches_a_number_that_was_used_again(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(poller_watch(&w.poller, w.near[2], POLLER_READABLE, false), 0);
	poller_rest(&w.poller, w.near[2]);
	assert_int_equal(dup2(w.near[0], w.near[2]), w.near[2]);
	assert_int_equal(poller_watch(&w.poller, w.near[2], POLLER_READABLE, false), 0);
	assert_int_equal(poller_watch(&w.poller, w.near[0], POLLER_READABLE, false), 0);
	assert_int_equal(dup2(w.near[1], w.near[0]), w.near[0]);
	assert_int_equal(poller_watch(&w.poller, w.near[0], POLLER_READABLE, true), 0);
	assert_int_equal(poller_watch(&w.poller, w.near[0], POLLER_READABLE, false), 0);
	assert_int_equal(write(w.far[1], "x", 1), 1);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.ready[0], 1);
	assert_int_equal(poller_watch(&w.poller, -1, POLLER_READABLE, false), -1);
	world_close(&w);
}

static void fires_an_alarm_once_and_never_when_it_is_unset(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	poller_set_alarm(&w.poller, 0);
	assert_int_equal(w.alarms, 0);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.alarms, 1);
	poller_set_alarm(&w.poller, 0);
	poller_set_alarm(&w.poller, -1);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	assert_int_equal(w.alarms, 1);
	world_close(&w);
}

static void tells_nothing_more_once_it_is_closed(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	w.close_when_ready = true;
	for (size_t i = 0; i < PAIRS; i++) {
		assert_int_equal(poller_watch(&w.poller, w.near[i], POLLER_READABLE, false), 0);
		assert_int_equal(write(w.far[i], "x", 1), 1);
	}
	world_close(&w);
	assert_int_equal(w.ready[0] + w.ready[1] + w.ready[2], 0);
	world_open(&w);
	w.close_when_ready = true;
	for (size_t i = 0; i < PAIRS; i++) {
		assert_int_equal(poller_watch(&w.poller, w.near[i], POLLER_READABLE, false), 0);
		assert_int_equal(write(w.far[i], "x", 1), 1);
	}
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(w.ready[0] + w.ready[1] + w.ready[2], 1);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_of_what_is_watched_and_nothing_else),
		cmocka_unit_test(watches_again_what_has_rested),
		cmocka_unit_test(watches_a_number_that_was_used_again),
		cmocka_unit_test(fires_an_alarm_once_and_never_when_it_is_unset),
		cmocka_unit_test(tells_nothing_more_once_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
