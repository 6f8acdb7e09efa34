/* See lane.h. */
#include "lane.h"

#include "worker/io/clock.h"

static void append_positions(char *text, const struct consumer_position *positions, size_t n)
{
	size_t used = strlen(text);

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, TEXT_MAX - used, "%d:%d=%.*s%s",
		                         (int)positions[i].partition, (int)positions[i].offset,
		                         (int)positions[i].metadata.size,
		                         positions[i].metadata.data, i + 1 < n ? " " : ";");
}

int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err)
{
	if (c->refuses)
		return err_set(err, "not ours");
	append_positions(c->text, positions, n);
	c->n_commits++;
	c->opaque = opaque;
	return 0;
}

bool consumer_is_lost(const struct consumer *c)
{
	return c->is_lost;
}

static void on_marked(void *owner, const uint64_t *ids, size_t n)
{
	struct fixture *f = owner;
	size_t used = strlen(f->marks);

	assert_false(f->in_call);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(f->marks + used, TEXT_MAX - used, "%d%s", (int)ids[i],
		                         i + 1 < n ? " " : ";");
}

static bool on_map(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
                   struct buffer *text)
{
	struct fixture *f = owner;

	*ret_offset = f->offsets[partition];
	buffer_append_text(text, view == COMMITTER_STAGED && f->staged[partition][0]
	                             ? f->staged[partition]
	                             : f->maps[partition]);
	return !f->unwritable[partition];
}

static void on_broken(void *owner, const char *why)
{
	struct fixture *f = owner;

	assert_false(f->in_call);
	assert_true(strlen(why) > 0);
	f->broken++;
}

void lane_granted(void *owner, const struct consumer_position *positions, size_t n)
{
	struct fixture *f = owner;

	assert_false(f->in_call);
	assert_true(n > 0);
	append_positions(f->granted, positions, n);
}

void lane_flushed(void *owner)
{
	struct fixture *f = owner;

	assert_false(f->in_call);
	f->flushed++;
}

static void on_closed(void *owner)
{
	struct fixture *f = owner;

	f->closed = true;
}

static int setup(void **state, bool marks_are_commits)
{
	static struct fixture f;
	struct committer_options options = { .marks_are_commits = marks_are_commits,
		                             .interval = duration_ms(20),
		                             .deadline = duration_ms(100),
		                             .lease = duration_ms(400) };
	struct committer_callbacks callbacks = {
		.owner = &f, .marked = on_marked, .map = on_map, .broken = on_broken
	};
	struct err err;

	memset(&f, 0, sizeof(f));
	uv_loop_init(&f.loop);
	log_init(&f.log, NULL, LOG_DEBUG);
	f.committer =
	    committer_new(&f.loop, &f.consumer, &options, &callbacks, &f.log, &f.metrics, &err);
	assert_non_null(f.committer);
	*state = &f;
	return 0;
}

int lane_exactly_once(void **state)
{
	return setup(state, true);
}

int lane_at_least_once(void **state)
{
	return setup(state, false);
}

int lane_teardown(void **state)
{
	struct fixture *f = *state;

	committer_close(f->committer, on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	return 0;
}

/* Turn the loop until only time could change something. */
void lane_turn(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

void lane_run_out(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void on_time_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

void lane_wait_ms(struct fixture *f, uint64_t ms)
{
	bool over = false;
	uv_timer_t timer;

	uv_timer_init(&f->loop, &timer);
	timer.data = &over;
	uv_timer_start(&timer, on_time_over, ms, 0);
	while (!over)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* The process stands still: the loop sees nothing of the time that passes. */
void lane_stall_ms(int64_t ms)
{
	instant_t end = instant_add(clock_now(), duration_ms(ms));

	while (instant_before(clock_now(), end))
		;
}

void lane_set_map(struct fixture *f, int32_t partition, int64_t offset, const char *map)
{
	f->offsets[partition] = offset;
	snprintf(f->maps[partition], sizeof(f->maps[partition]), "%s", map);
}

void lane_mark(struct fixture *f, int32_t partition, uint64_t id)
{
	f->in_call = true;
	committer_mark(f->committer, partition, id);
	f->in_call = false;
}

void lane_answer(struct fixture *f, const char *error)
{
	f->in_call = true;
	committer_committed(f->committer, f->consumer.opaque, error);
	f->in_call = false;
	lane_turn(f);
}

void lane_begin(struct fixture *f)
{
	f->in_call = true;
	committer_begin(f->committer, false, lane_granted, f);
	f->in_call = false;
	lane_turn(f);
}

void lane_end(struct fixture *f, enum committer_end how)
{
	f->in_call = true;
	committer_end(f->committer, how);
	f->in_call = false;
	lane_turn(f);
}
