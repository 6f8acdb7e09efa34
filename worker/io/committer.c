/* The lane of the group's commits: see committer.h.
 *
 *             commit                      transaction is granted
 *      .----------------- FREE ------------------------------.
 *      v                  ^  ^                               v
 *   COMMITTING -----------'  '-------------------------- EXCLUSIVE
 *      | late, error        acknowledged  ended              | unclear
 *      '-----------------> BROKEN <--------------------------'
 *
 * What is due (grants, marks, flushes, the next commit) is done by an idle handle in the next turn
 * of the loop, so that all marks of one turn share a commit and nothing fires from inside a call.
 *
 * What a commit contains is compared with what the last acknowledged one said: only partitions
 * whose map differs, or that have a mark to be granted, are written. */
#include "worker/io/committer.h"

#include "worker/base/failpoint.h"
#include "worker/io/clock.h"
#include "worker/io/positions.h"

#include <stdlib.h>
#include <utlist.h>

enum lane { LANE_FREE, LANE_COMMITTING, LANE_EXCLUSIVE, LANE_BROKEN, LANES };

static const char *const lane_names[LANES] = { "free", "committing", "exclusive", "broken" };

/* Which lane states may follow; free may follow all, by committer_reset(). */
static const bool may_follow[LANES][LANES] = {
	[LANE_FREE][LANE_COMMITTING] = true,  [LANE_FREE][LANE_EXCLUSIVE] = true,
	[LANE_FREE][LANE_BROKEN] = true,      [LANE_COMMITTING][LANE_BROKEN] = true,
	[LANE_EXCLUSIVE][LANE_BROKEN] = true,
};

enum mark_state { MARK_WAITING, MARK_RIDING, MARK_GRANTED };

struct mark {
	uint64_t invite_id;
	int32_t partition;
	enum mark_state state;
};

/* A flush is done when the commit that contains all that was there before it has been answered. */
struct flush {
	void (*done)(void *owner);
	void *owner;
	bool covered; /* By the commit under way, or by there being nothing to commit */
	struct flush *prev, *next;
};

struct committer {
	uv_loop_t *loop; /* Borrowed, as what follows */
	struct consumer *consumer;
	const struct log *log;
	struct metrics *metrics;
	struct committer_options options;
	struct committer_callbacks callbacks;

	enum lane lane;
	const char *broken_why; /* Static; to be told; NULL: nothing to tell */
	struct mark *marks;     /* Owned: in the order in which they were asked for */
	size_t n_marks;
	size_t marks_capacity;
	struct positions positions;
	struct flush *flushes; /* Owned */

	uint64_t opaque;      /* Of the last plain commit */
	instant_t asked_at;   /* Before what is under way was asked for */
	instant_t lease_ends; /* No request may be sent from here on */

	bool changed;             /* At-least-once: something was touched since the last commit */
	uint64_t committed_at_ms; /* At-least-once: uv_now() of the last commit */
	bool failing;             /* The last commit failed */

	void (*granted)(void *owner, const struct consumer_position *positions, size_t n);
	void *granted_owner; /* 'granted' is NULL: no transaction wants the lane */
	bool wants_everything;

	uv_idle_t soon;
	uv_timer_t timer; /* The deadline of a commit; at-least-once, the time of the next one */
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

static void on_soon(uv_idle_t *idle);

static void act_soon(struct committer *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->soon))
		uv_idle_start(&c->soon, on_soon);
}

static void set_lane(struct committer *c, enum lane lane)
{
	CHECK(may_follow[c->lane][lane] || lane == LANE_FREE);
	if (lane == LANE_BROKEN || c->lane == LANE_BROKEN)
		log_debug(c->log, "committer.lane", "from=%s to=%s", lane_names[c->lane],
		          lane_names[lane]);
	c->lane = lane;
}

static bool has_waiting_mark(const struct committer *c, int32_t partition)
{
	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].partition == partition && c->marks[i].state == MARK_WAITING)
			return true;
	}
	return false;
}

/* True when a plain commit would have a mark in it. */
static bool has_markable(const struct committer *c)
{
	const struct position *p;

	DL_FOREACH (c->positions.list, p) {
		if (!p->is_forgotten && !p->is_held && has_waiting_mark(c, p->number))
			return true;
	}
	return false;
}

static void change_marks(struct committer *c, enum mark_state from, enum mark_state to)
{
	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].state == from)
			c->marks[i].state = to;
	}
}

/* Ask what is to be said of a partition, into 'sent'. False when its map cannot be written. */
static bool ask_map(struct committer *c, struct position *p, enum committer_view view)
{
	buffer_clear(&p->sent.text);
	p->sent.offset = -1;
	p->is_held = !c->callbacks.map(c->callbacks.owner, p->number, view, &p->sent.offset,
	                               &p->sent.text) ||
	             !buffer_ok(&p->sent.text);
	if (p->is_held)
		log_warn(c->log, "committer.map-left-out", "partition=%d", (int)p->number);
	return !p->is_held;
}

/* Have it committed, with its marks. */
static void put_position(struct committer *c, struct position *p)
{
	positions_put(&c->positions, p);
	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].partition == p->number && c->marks[i].state == MARK_WAITING)
			c->marks[i].state = MARK_RIDING;
	}
}

static void cover_flushes(struct committer *c)
{
	struct flush *f;

	DL_FOREACH (c->flushes, f)
		f->covered = true;
}

static bool has_open_flush(const struct committer *c)
{
	const struct flush *f;

	DL_FOREACH (c->flushes, f) {
		if (!f->covered)
			return true;
	}
	return false;
}

static void count(struct committer *c, const char *error)
{
	metrics_add(c->metrics, error ? METRIC_commit_failures : METRIC_commits, 1);
	if (error && !c->failing)
		log_warn(c->log, "committer.failed", "error=\"%s\"", error);
	else if (!error && c->failing)
		log_info(c->log, "committer.recovered", "%s", "");
	c->failing = error != NULL;
}

/* No mark is granted any more, and nobody waits for the lane. */
static void break_lane(struct committer *c, const char *why)
{
	set_lane(c, LANE_BROKEN);
	positions_end(&c->positions, false);
	uv_timer_stop(&c->timer);
	c->n_marks = 0;
	c->granted = NULL;
	c->broken_why = why;
	cover_flushes(c);
	act_soon(c);
}

static void on_timer(uv_timer_t *timer);

/* Ask for the commit of what was put together. */
static void send_commit(struct committer *c)
{
	struct err err;

	FAILPOINT(mark_before_request);
	c->asked_at = clock_now();
	if (consumer_commit(c->consumer, c->positions.under_way, c->positions.n_under_way,
	                    ++c->opaque, &err) < 0) {
		count(c, err.msg);
		change_marks(c, MARK_RIDING, MARK_WAITING);
		if (c->options.marks_are_commits)
			break_lane(c, "a commit could not be asked for");
		else
			positions_end(&c->positions, false);
		c->changed = true;
		act_soon(c);
		return;
	}
	FAILPOINT(mark_after_request);
	set_lane(c, LANE_COMMITTING);
	if (c->options.marks_are_commits)
		uv_timer_start(&c->timer, on_timer,
		               (uint64_t)duration_to_ms(c->options.deadline) + 1, 0);
}

/* Commit what is due: partitions with marks, and for a flush, or behind stored replies, all that
 * have changed. */
static void commit(struct committer *c)
{
	bool all = has_open_flush(c) || !c->options.marks_are_commits;
	struct position *p;

	positions_begin(&c->positions);
	DL_FOREACH (c->positions.list, p) {
		bool marked = !p->is_held && has_waiting_mark(c, p->number);

		if (p->is_forgotten || (!marked && !all) || !ask_map(c, p, COMMITTER_PLAIN))
			continue;
		if (marked || position_is_news(p))
			put_position(c, p);
	}
	cover_flushes(c);
	c->changed = false;
	c->committed_at_ms = uv_now(c->loop);
	if (c->positions.n_under_way > 0)
		send_commit(c);
	else
		positions_end(&c->positions, false);
	if (c->flushes)
		act_soon(c);
}

/* Give the lane to the transaction, unless a map cannot be written: its replies would be committed
 * without being marked. At least one partition is written, so that the broker looks at the group.
 */
static void grant_lane(struct committer *c)
{
	void (*granted)(void *, const struct consumer_position *, size_t) = c->granted;
	struct position *p, *any = NULL;

	positions_begin(&c->positions);
	DL_FOREACH (c->positions.list, p) {
		if (!p->is_forgotten && !ask_map(c, p, COMMITTER_STAGED)) {
			positions_end(&c->positions, false);
			return;
		}
	}
	DL_FOREACH (c->positions.list, p) {
		if (p->is_forgotten)
			continue;
		any = p;
		if (c->wants_everything || position_is_news(p) || has_waiting_mark(c, p->number))
			put_position(c, p);
	}
	if (!any) {
		positions_end(&c->positions, false);
		return;
	}
	if (c->positions.n_under_way == 0)
		put_position(c, any);
	set_lane(c, LANE_EXCLUSIVE);
	c->granted = NULL;
	c->asked_at = clock_now();
	granted(c->granted_owner, c->positions.under_way, c->positions.n_under_way);
}

/* Have the next commit of at-least-once delivery happen when it may. */
static void schedule(struct committer *c)
{
	uint64_t interval_ms = (uint64_t)duration_to_ms(c->options.interval);
	uint64_t since_ms = uv_now(c->loop) - c->committed_at_ms;

	if (c->options.marks_are_commits || c->lane != LANE_FREE || !c->changed ||
	    uv_is_active((uv_handle_t *)&c->timer))
		return;
	uv_timer_start(&c->timer, on_timer, since_ms >= interval_ms ? 0 : interval_ms - since_ms,
	               0);
}

static void on_timer(uv_timer_t *timer)
{
	struct committer *c = timer->data;

	if (c->options.marks_are_commits && c->lane == LANE_COMMITTING) {
		count(c, "no answer in time");
		break_lane(c, "a commit was not answered in time");
	} else if (!c->options.marks_are_commits && c->lane == LANE_FREE) {
		commit(c);
		schedule(c);
	}
}

/* Use the lane, if it is free, for what waits: a transaction first, whose commit takes marks along.
 */
static void advance(struct committer *c)
{
	if (c->lane != LANE_FREE)
		return;
	if (c->granted)
		grant_lane(c);
	if (c->lane != LANE_FREE)
		return;
	if (has_open_flush(c) || (c->options.marks_are_commits && has_markable(c)))
		commit(c);
	schedule(c);
}

/* Take out the marks that are granted and tell them. */
static void tell_marks(struct committer *c)
{
	uint64_t *ids;
	size_t n = 0, kept = 0;

	ids = calloc(c->n_marks + 1, sizeof(*ids));
	CHECK(ids);
	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].state == MARK_GRANTED)
			ids[n++] = c->marks[i].invite_id;
		else
			c->marks[kept++] = c->marks[i];
	}
	c->n_marks = kept;
	if (n > 0)
		c->callbacks.marked(c->callbacks.owner, ids, n);
	free(ids);
}

static void tell_flushes(struct committer *c)
{
	struct flush *f;

	while ((f = c->flushes) && f->covered && c->lane != LANE_COMMITTING && !c->closed) {
		DL_DELETE(c->flushes, f);
		f->done(f->owner);
		free(f);
	}
}

static void on_soon(uv_idle_t *idle)
{
	struct committer *c = idle->data;
	const char *why = c->broken_why;

	uv_idle_stop(idle);
	c->broken_why = NULL;
	if (why)
		c->callbacks.broken(c->callbacks.owner, why);
	if (!c->closed && c->n_marks > 0)
		tell_marks(c);
	tell_flushes(c);
	if (!c->closed)
		advance(c);
}

struct committer *committer_new(uv_loop_t *loop, struct consumer *consumer,
                                const struct committer_options *options,
                                const struct committer_callbacks *callbacks, const struct log *log,
                                struct metrics *metrics, struct err *err)
{
	struct committer *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->loop = loop;
	c->consumer = consumer;
	c->options = *options;
	c->callbacks = *callbacks;
	c->log = log;
	c->metrics = metrics;
	uv_idle_init(loop, &c->soon);
	uv_timer_init(loop, &c->timer);
	c->soon.data = c;
	c->timer.data = c;
	c->open_handles = 2;
	return c;
}

void committer_mark(struct committer *c, int32_t partition, uint64_t invite_id)
{
	if (c->lane == LANE_BROKEN)
		return;
	if (c->n_marks == c->marks_capacity) {
		c->marks_capacity = c->marks_capacity ? 2 * c->marks_capacity : 64;
		c->marks = realloc(c->marks, c->marks_capacity * sizeof(*c->marks));
		CHECK(c->marks);
	}
	c->marks[c->n_marks++] =
	    (struct mark){ invite_id, partition,
		           c->options.marks_are_commits ? MARK_WAITING : MARK_GRANTED };
	if (c->options.marks_are_commits)
		positions_know(&c->positions, partition)->is_held = false;
	act_soon(c);
}

void committer_touch(struct committer *c, int32_t partition)
{
	positions_know(&c->positions, partition)->is_held = false;
	c->changed = true;
	schedule(c);
	if (c->granted || c->n_marks > 0)
		act_soon(c);
}

/* The lane is free again; what waited is next. */
static void free_lane(struct committer *c, bool acknowledged)
{
	positions_end(&c->positions, acknowledged);
	set_lane(c, LANE_FREE);
	act_soon(c);
}

void committer_committed(struct committer *c, uint64_t opaque, const char *error)
{
	duration_t took = instant_since(clock_now(), c->asked_at);

	if (c->lane != LANE_COMMITTING || opaque != c->opaque)
		return;
	uv_timer_stop(&c->timer);
	count(c, error);
	if (!c->options.marks_are_commits) {
		c->changed |= error != NULL;
		free_lane(c, !error);
	} else if (error) {
		break_lane(c, "a commit was refused or failed");
	} else if (took.us > c->options.deadline.us) {
		break_lane(c, "a commit was answered too late");
	} else {
		FAILPOINT(mark_after_ack);
		c->lease_ends = instant_add(c->asked_at, c->options.lease);
		change_marks(c, MARK_RIDING, MARK_GRANTED);
		free_lane(c, true);
	}
}

bool committer_may_send(const struct committer *c)
{
	if (!c->options.marks_are_commits)
		return true;
	return c->lane != LANE_BROKEN && !consumer_is_lost(c->consumer) &&
	       instant_before(clock_now(), c->lease_ends);
}

void committer_begin(struct committer *c, bool everything,
                     void (*granted)(void *owner, const struct consumer_position *positions,
                                     size_t n),
                     void *owner)
{
	CHECK(!c->granted && c->lane != LANE_EXCLUSIVE);
	if (c->lane == LANE_BROKEN)
		return;
	c->granted = granted;
	c->granted_owner = owner;
	c->wants_everything = everything;
	act_soon(c);
}

/* A plain commit prolongs the session at the broker, the commit of a transaction does not: it lends
 * no lease. Its marks are granted while enough of the last one is left to send them, and wait for a
 * plain commit otherwise. */
static bool has_lease_left(const struct committer *c)
{
	const duration_t rest = { c->options.lease.us / 4 };

	return instant_before(instant_add(clock_now(), rest), c->lease_ends);
}

void committer_end(struct committer *c, enum committer_end end)
{
	c->granted = NULL;
	if (c->lane != LANE_EXCLUSIVE)
		return;
	switch (end) {
	case COMMITTER_COMMITTED:
		count(c, NULL);
		change_marks(c, MARK_RIDING, has_lease_left(c) ? MARK_GRANTED : MARK_WAITING);
		free_lane(c, true);
		return;
	case COMMITTER_ABORTED:
		change_marks(c, MARK_RIDING, MARK_WAITING);
		free_lane(c, false);
		return;
	case COMMITTER_OVERWRITTEN:
		set_lane(c, LANE_FREE);
		send_commit(c);
		return;
	case COMMITTER_UNCLEAR:
		count(c, "the end of a transaction is unclear");
		break_lane(c, "the end of a transaction is unclear");
		return;
	}
}

void committer_flush(struct committer *c, void (*done)(void *owner), void *owner)
{
	struct flush *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->done = done;
	f->owner = owner;
	f->covered = c->lane == LANE_BROKEN;
	DL_APPEND(c->flushes, f);
	act_soon(c);
}

void committer_reset(struct committer *c)
{
	uv_timer_stop(&c->timer);
	positions_end(&c->positions, false);
	positions_close(&c->positions);
	set_lane(c, LANE_FREE);
	c->opaque++;
	c->n_marks = 0;
	c->granted = NULL;
	c->broken_why = NULL;
	c->lease_ends = (instant_t){ 0 };
	c->changed = false;
	cover_flushes(c);
	act_soon(c);
}

void committer_forget(struct committer *c, int32_t partition)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n_marks; i++) {
		if (c->marks[i].partition != partition)
			c->marks[kept++] = c->marks[i];
	}
	c->n_marks = kept;
	positions_forget(&c->positions, partition);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct committer *c = handle->data;
	void (*closed)(void *) = c->closed;
	void *closed_owner = c->closed_owner;
	struct flush *f, *next_flush;

	if (--c->open_handles > 0)
		return;
	positions_close(&c->positions);
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
