/* Offset commits behind delivered replies, one outstanding at a time: see committer.h.
 *
 * What is stored goes out with the next commit: at once when the last one is an interval ago, else
 * when that has passed. A commit that failed is repeated so, with what is the newest then. Two
 * answers that are due (marks, and flushes with nothing to wait for) are given by an idle handle,
 * in the next turn of the loop. */
#include "worker/io/committer.h"

#include <stdlib.h>
#include <utlist.h>

struct stored {
	int32_t partition;
	int64_t offset;    /* The highest that was stored */
	int64_t sent;      /* In the outstanding commit; -1: not in it */
	int64_t committed; /* As the broker knows; -1: nothing from us */
	struct stored *prev, *next;
};

/* A flush is done when the commit that contains all that was stored before it has been answered. */
struct flush {
	void (*done)(void *owner);
	void *owner;
	bool covered; /* By the outstanding commit, or by there being nothing to commit */
	struct flush *prev, *next;
};

struct committer {
	uv_loop_t *loop; /* Borrowed, as what follows */
	struct consumer *consumer;
	const struct log *log;
	struct metrics *metrics;
	duration_t interval;
	committer_marked_cb marked;
	void *owner;

	uint64_t *marks; /* Owned: asked for and not answered */
	size_t n_marks;
	size_t marks_capacity;

	struct stored *stored; /* Owned */
	struct flush *flushes; /* Owned */
	uint64_t outstanding;  /* The opaque number of the commit under way; 0: none */
	uint64_t last_opaque;
	uint64_t committed_at_ms; /* uv_now() of the last commit */
	bool failing;             /* The last commit failed */

	uv_idle_t soon;
	uv_timer_t timer;
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

static bool is_changed(const struct stored *s)
{
	return s->offset > s->committed;
}

static bool has_changed(const struct committer *c)
{
	const struct stored *s;

	DL_FOREACH (c->stored, s) {
		if (is_changed(s))
			return true;
	}
	return false;
}

/* Call those that are covered, in order. One may close the committer's owner's work, but not free
 * the committer. */
static void finish_flushes(struct committer *c)
{
	struct flush *f, *next;

	DL_FOREACH_SAFE (c->flushes, f, next) {
		if (!f->covered)
			return;
		DL_DELETE(c->flushes, f);
		f->done(f->owner);
		free(f);
	}
}

static void on_soon(uv_idle_t *idle);

static void answer_soon(struct committer *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->soon))
		uv_idle_start(&c->soon, on_soon);
}

static void log_outcome(struct committer *c, const char *error)
{
	metrics_add(c->metrics, error ? METRIC_commit_failures : METRIC_commits, 1);
	if (error && !c->failing)
		log_warn(c->log, "committer.failed", "error=\"%s\"", error);
	else if (!error && c->failing)
		log_info(c->log, "committer.recovered", "%s", "");
	c->failing = error != NULL;
}

/* Everything that changed, to be freed; NULL when nothing did. */
static struct consumer_position *take_changed(struct committer *c, size_t *ret_n)
{
	struct consumer_position *positions;
	struct stored *s;
	size_t n = 0;

	DL_COUNT(c->stored, s, n);
	positions = calloc(n + 1, sizeof(*positions));
	CHECK(positions);
	n = 0;
	DL_FOREACH (c->stored, s) {
		s->sent = is_changed(s) ? s->offset : -1;
		if (s->sent >= 0)
			positions[n++] = (struct consumer_position){ s->partition, s->offset };
	}
	*ret_n = n;
	return positions;
}

static void cover_flushes(struct committer *c)
{
	struct flush *f;

	DL_FOREACH (c->flushes, f)
		f->covered = true;
}

static void on_timer(uv_timer_t *timer);

/* Have the next commit happen when it may. */
static void schedule(struct committer *c)
{
	uint64_t interval_ms = (uint64_t)duration_to_ms(c->interval);
	uint64_t since_ms = uv_now(c->loop) - c->committed_at_ms;
	bool is_first = c->last_opaque == 0;

	if (c->outstanding || uv_is_active((uv_handle_t *)&c->timer) || !has_changed(c))
		return;
	uv_timer_start(&c->timer, on_timer,
	               is_first || since_ms >= interval_ms ? 0 : interval_ms - since_ms, 0);
}

/* Send what changed. None may be outstanding. */
static void commit(struct committer *c)
{
	struct consumer_position *positions;
	struct err err;
	size_t n;

	CHECK(!c->outstanding);
	cover_flushes(c);
	positions = take_changed(c, &n);
	if (n == 0) {
		answer_soon(c);
	} else if (consumer_commit(c->consumer, positions, n, ++c->last_opaque, &err) == 0) {
		c->outstanding = c->last_opaque;
	} else {
		log_outcome(c, err.msg);
		answer_soon(c);
	}
	c->committed_at_ms = uv_now(c->loop);
	uv_timer_stop(&c->timer);
	schedule(c);
	free(positions);
}

static void on_timer(uv_timer_t *timer)
{
	struct committer *c = timer->data;

	if (!c->outstanding)
		commit(c);
}

static void answer_marks(struct committer *c)
{
	uint64_t *marks = c->marks;
	size_t n = c->n_marks;

	if (n == 0)
		return;
	c->marks = NULL;
	c->n_marks = 0;
	c->marks_capacity = 0;
	c->marked(c->owner, marks, n);
	free(marks);
}

static void on_soon(uv_idle_t *idle)
{
	struct committer *c = idle->data;

	uv_idle_stop(idle);
	answer_marks(c);
	if (!c->closed && !c->outstanding)
		finish_flushes(c);
}

struct committer *committer_new(uv_loop_t *loop, struct consumer *consumer, duration_t interval,
                                committer_marked_cb marked, void *owner, const struct log *log,
                                struct metrics *metrics, struct err *err)
{
	struct committer *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->loop = loop;
	c->consumer = consumer;
	c->interval = interval;
	c->marked = marked;
	c->owner = owner;
	c->log = log;
	c->metrics = metrics;
	uv_idle_init(loop, &c->soon);
	uv_timer_init(loop, &c->timer);
	c->soon.data = c;
	c->timer.data = c;
	c->open_handles = 2;
	return c;
}

/* At-least-once: leave is given without a commit. */
void committer_mark(struct committer *c, uint64_t invite_id)
{
	if (c->n_marks == c->marks_capacity) {
		c->marks_capacity = c->marks_capacity ? 2 * c->marks_capacity : 64;
		c->marks = realloc(c->marks, c->marks_capacity * sizeof(*c->marks));
		CHECK(c->marks);
	}
	c->marks[c->n_marks++] = invite_id;
	answer_soon(c);
}

static struct stored *find_stored(struct committer *c, int32_t partition)
{
	struct stored *s;

	DL_SEARCH_SCALAR(c->stored, s, partition, partition);
	return s;
}

void committer_store(struct committer *c, int32_t partition, int64_t offset)
{
	struct stored *s = find_stored(c, partition);

	if (!s) {
		s = calloc(1, sizeof(*s));
		CHECK(s);
		*s = (struct stored){
			.partition = partition, .offset = -1, .sent = -1, .committed = -1
		};
		DL_APPEND(c->stored, s);
	}
	if (offset > s->offset)
		s->offset = offset;
	schedule(c);
}

void committer_committed(struct committer *c, uint64_t opaque, const char *error)
{
	struct stored *s;

	if (opaque != c->outstanding)
		return;
	c->outstanding = 0;
	log_outcome(c, error);
	DL_FOREACH (c->stored, s) {
		if (!error && s->sent > s->committed)
			s->committed = s->sent;
		s->sent = -1;
	}
	finish_flushes(c);
	if (c->closed || c->outstanding)
		return;
	if (c->flushes)
		commit(c);
	else
		schedule(c);
}

void committer_flush(struct committer *c, void (*done)(void *owner), void *owner)
{
	struct flush *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->done = done;
	f->owner = owner;
	DL_APPEND(c->flushes, f);
	if (!c->outstanding)
		commit(c);
}

void committer_forget(struct committer *c, int32_t partition)
{
	struct stored *s = find_stored(c, partition);

	if (!s)
		return;
	DL_DELETE(c->stored, s);
	free(s);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct committer *c = handle->data;
	void (*closed)(void *) = c->closed;
	void *closed_owner = c->closed_owner;
	struct stored *s, *next_stored;
	struct flush *f, *next_flush;

	if (--c->open_handles > 0)
		return;
	DL_FOREACH_SAFE (c->stored, s, next_stored)
		free(s);
	DL_FOREACH_SAFE (c->flushes, f, next_flush)
		free(f);
	free(c->marks);
	free(c);
	closed(closed_owner);
}

void committer_close(struct committer *c, void (*closed)(void *owner), void *owner)
{
	CHECK(!c->closed);
	c->closed = closed;
	c->closed_owner = owner;
	uv_close((uv_handle_t *)&c->soon, on_handle_closed);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}
