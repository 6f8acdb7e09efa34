/* The committer, with the parts of the consumer and of the transaction played by this file: what is
 * asked for, when, and what follows an answer. */
#include "worker/io/committer.h"

#include "worker/io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TEXT_MAX   1024
#define PARTITIONS 4

/* Stands in for the consumer: notes the commits. */
struct consumer {
	size_t n_commits;
	uint64_t opaque;
	char text[TEXT_MAX]; /* "0:5=map 1:7=map;" for each commit */
	bool refuses;
	bool is_lost;
};

struct fixture {
	uv_loop_t loop;
	struct consumer consumer;
	struct committer *committer;
	struct metrics metrics;
	struct log log;
	int64_t offsets[PARTITIONS];
	char maps[PARTITIONS][16];
	char staged[PARTITIONS][16];
	bool unwritable[PARTITIONS];
	char marks[TEXT_MAX]; /* "5 3 4;" for each call */
	unsigned flushed;
	unsigned broken;
	char granted[TEXT_MAX];
	bool in_call;
	bool closed;
};

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

static void on_granted(void *owner, const struct consumer_position *positions, size_t n)
{
	struct fixture *f = owner;

	assert_false(f->in_call);
	assert_true(n > 0);
	append_positions(f->granted, positions, n);
}

static void on_flushed(void *owner)
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

static int exactly_once(void **state)
{
	return setup(state, true);
}

static int at_least_once(void **state)
{
	return setup(state, false);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	committer_close(f->committer, on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	return 0;
}

/* Turn the loop until only time could change something. */
static void turn(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void run_out(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void on_time_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void wait_ms(struct fixture *f, uint64_t ms)
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
static void stall_ms(int64_t ms)
{
	instant_t end = instant_add(clock_now(), duration_ms(ms));

	while (instant_before(clock_now(), end))
		;
}

static void set_map(struct fixture *f, int32_t partition, int64_t offset, const char *map)
{
	f->offsets[partition] = offset;
	snprintf(f->maps[partition], sizeof(f->maps[partition]), "%s", map);
}

static void mark(struct fixture *f, int32_t partition, uint64_t id)
{
	f->in_call = true;
	committer_mark(f->committer, partition, id);
	f->in_call = false;
}

static void answer(struct fixture *f, const char *error)
{
	f->in_call = true;
	committer_committed(f->committer, f->consumer.opaque, error);
	f->in_call = false;
	turn(f);
}

static void begin(struct fixture *f)
{
	f->in_call = true;
	committer_begin(f->committer, on_granted, f);
	f->in_call = false;
	turn(f);
}

static void end(struct fixture *f, enum committer_end how)
{
	f->in_call = true;
	committer_end(f->committer, how);
	f->in_call = false;
	turn(f);
}

static void marks_of_one_turn_share_a_commit_of_their_partitions(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 5, "a");
	set_map(f, 1, 7, "b");
	set_map(f, 2, 9, "c");
	committer_touch(f->committer, 2);
	mark(f, 1, 5);
	mark(f, 0, 3);
	mark(f, 1, 4);
	turn(f);
	assert_int_equal(f->consumer.n_commits, 1);
	assert_non_null(strstr(f->consumer.text, "1:7=b"));
	assert_non_null(strstr(f->consumer.text, "0:5=a"));
	assert_null(strstr(f->consumer.text, "2:"));
	assert_string_equal(f->marks, "");
	answer(f, NULL);
	assert_string_equal(f->marks, "5 3 4;");
}

static void one_commit_is_outstanding_and_later_marks_wait_for_the_next(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	mark(f, 0, 1);
	turn(f);
	set_map(f, 0, 1, "b");
	mark(f, 0, 2);
	turn(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	answer(f, NULL);
	assert_string_equal(f->marks, "1;");
	assert_string_equal(f->consumer.text, "0:1=a;0:1=b;");
	answer(f, NULL);
	assert_string_equal(f->marks, "1;2;");
}

static void an_answer_to_another_commit_grants_nothing(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	committer_committed(f->committer, f->consumer.opaque + 1, NULL);
	committer_committed(f->committer, f->consumer.opaque - 1, NULL);
	turn(f);
	assert_string_equal(f->marks, "");
	assert_int_equal(f->broken, 0);
}

static void nothing_may_be_sent_before_the_first_answer(void **state)
{
	struct fixture *f = *state;

	assert_false(committer_may_send(f->committer));
	mark(f, 0, 1);
	turn(f);
	assert_false(committer_may_send(f->committer));
	answer(f, NULL);
	assert_true(committer_may_send(f->committer));
	f->consumer.is_lost = true;
	assert_false(committer_may_send(f->committer));
}

static void the_lease_counts_from_before_the_request(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	stall_ms(90);
	answer(f, NULL);
	stall_ms(250);
	assert_true(committer_may_send(f->committer));
	stall_ms(70);
	assert_false(committer_may_send(f->committer));
}

static void assert_broken(struct fixture *f)
{
	turn(f);
	assert_int_equal(f->broken, 1);
	assert_string_equal(f->marks, "");
	assert_false(committer_may_send(f->committer));
	mark(f, 0, 9);
	begin(f);
	turn(f);
	assert_int_equal(f->consumer.n_commits, 1);
	assert_string_equal(f->granted, "");
	assert_int_equal(f->broken, 1);
}

static void an_error_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	answer(f, "Broker: Unknown member");
	assert_broken(f);
}

static void no_answer_in_time_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	wait_ms(f, 130);
	assert_broken(f);
	answer(f, NULL);
	assert_string_equal(f->marks, "");
}

static void an_answer_after_a_standstill_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	stall_ms(110);
	answer(f, NULL);
	assert_broken(f);
}

static void a_commit_that_cannot_be_asked_for_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	f->consumer.refuses = true;
	mark(f, 0, 1);
	turn(f);
	assert_int_equal(f->broken, 1);
	assert_string_equal(f->marks, "");
}

static void a_reset_makes_the_lane_whole_and_forgets_marks(void **state)
{
	struct fixture *f = *state;
	uint64_t old;

	mark(f, 0, 1);
	turn(f);
	old = f->consumer.opaque;
	answer(f, "no");
	committer_reset(f->committer);
	mark(f, 0, 2);
	turn(f);
	committer_committed(f->committer, old, NULL);
	turn(f);
	assert_string_equal(f->marks, "");
	answer(f, NULL);
	assert_string_equal(f->marks, "2;");
	assert_int_equal(f->broken, 1);
}

static void an_answer_from_before_a_reset_grants_nothing(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	committer_reset(f->committer);
	mark(f, 0, 2);
	answer(f, NULL);
	assert_string_equal(f->marks, "");
	answer(f, NULL);
	assert_string_equal(f->marks, "2;");
}

static void a_map_that_cannot_be_written_holds_only_its_own_marks(void **state)
{
	struct fixture *f = *state;

	f->unwritable[0] = true;
	mark(f, 0, 1);
	mark(f, 1, 2);
	turn(f);
	answer(f, NULL);
	assert_string_equal(f->marks, "2;");
	assert_int_equal(f->consumer.n_commits, 1);
	f->unwritable[0] = false;
	committer_touch(f->committer, 0);
	turn(f);
	answer(f, NULL);
	assert_string_equal(f->marks, "2;1;");
}

static void a_forgotten_partition_is_not_granted(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	mark(f, 1, 2);
	turn(f);
	committer_forget(f->committer, 0);
	answer(f, NULL);
	assert_string_equal(f->marks, "2;");
}

static void a_transaction_waits_for_the_outstanding_commit_and_goes_first(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	mark(f, 0, 1);
	turn(f);
	begin(f);
	assert_string_equal(f->granted, "");
	set_map(f, 0, 1, "b");
	snprintf(f->staged[0], sizeof(f->staged[0]), "b+");
	mark(f, 0, 2);
	turn(f);
	answer(f, NULL);
	assert_string_equal(f->marks, "1;");
	assert_string_equal(f->granted, "0:1=b+;");
	assert_int_equal(f->consumer.n_commits, 1);
}

static void marks_ride_in_a_transaction_and_later_ones_wait_for_its_end(void **state)
{
	struct fixture *f = *state;

	snprintf(f->staged[0], sizeof(f->staged[0]), "s");
	committer_touch(f->committer, 0);
	committer_begin(f->committer, on_granted, f);
	mark(f, 0, 1);
	turn(f);
	assert_string_equal(f->granted, "0:0=s;");
	mark(f, 0, 2);
	turn(f);
	assert_int_equal(f->consumer.n_commits, 0);
	assert_false(committer_may_send(f->committer));
	end(f, COMMITTER_COMMITTED);
	assert_string_equal(f->marks, "1;");
	assert_true(committer_may_send(f->committer));
	assert_int_equal(f->consumer.n_commits, 1);
	answer(f, NULL);
	assert_string_equal(f->marks, "1;2;");
}

static void marks_of_an_aborted_transaction_are_asked_for_again(void **state)
{
	struct fixture *f = *state;

	committer_begin(f->committer, on_granted, f);
	mark(f, 0, 1);
	turn(f);
	end(f, COMMITTER_ABORTED);
	assert_string_equal(f->marks, "");
	assert_int_equal(f->consumer.n_commits, 1);
	answer(f, NULL);
	assert_string_equal(f->marks, "1;");
}

static void an_unclear_transaction_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	committer_begin(f->committer, on_granted, f);
	mark(f, 0, 1);
	turn(f);
	end(f, COMMITTER_UNCLEAR);
	assert_int_equal(f->broken, 1);
	assert_int_equal(f->consumer.n_commits, 0);
	assert_string_equal(f->marks, "");
}

static void an_overwritten_transaction_is_committed_again_before_its_marks(void **state)
{
	struct fixture *f = *state;

	snprintf(f->staged[0], sizeof(f->staged[0]), "s");
	committer_begin(f->committer, on_granted, f);
	mark(f, 0, 1);
	turn(f);
	end(f, COMMITTER_OVERWRITTEN);
	assert_string_equal(f->consumer.text, "0:0=s;");
	assert_string_equal(f->marks, "");
	answer(f, NULL);
	assert_string_equal(f->marks, "1;");
}

static void a_wish_for_the_lane_can_be_withdrawn(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	begin(f);
	end(f, COMMITTER_ABORTED);
	answer(f, NULL);
	assert_string_equal(f->granted, "");
	assert_string_equal(f->marks, "1;");
}

static void no_transaction_is_granted_while_a_map_cannot_be_written(void **state)
{
	struct fixture *f = *state;

	f->unwritable[0] = true;
	committer_touch(f->committer, 0);
	committer_touch(f->committer, 1);
	begin(f);
	assert_string_equal(f->granted, "");
	f->unwritable[0] = false;
	committer_touch(f->committer, 0);
	turn(f);
	assert_string_equal(f->granted, "0:0= 1:0=;");
}

static void only_partitions_that_changed_are_written(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	set_map(f, 1, 1, "b");
	committer_touch(f->committer, 0);
	committer_touch(f->committer, 1);
	begin(f);
	end(f, COMMITTER_COMMITTED);
	set_map(f, 1, 2, "b");
	begin(f);
	assert_string_equal(f->granted, "0:1=a 1:1=b;1:2=b;");
	end(f, COMMITTER_COMMITTED);
	/* Nothing has changed, but the broker must look at the group. */
	begin(f);
	end(f, COMMITTER_COMMITTED);
	committer_flush(f->committer, on_flushed, f);
	turn(f);
	assert_int_equal(f->flushed, 1);
	assert_int_equal(f->consumer.n_commits, 0);
}

static void a_flush_writes_what_was_touched_and_waits_for_the_answer(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	turn(f);
	assert_int_equal(f->consumer.n_commits, 0);
	f->in_call = true;
	committer_flush(f->committer, on_flushed, f);
	f->in_call = false;
	turn(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	assert_int_equal(f->flushed, 0);
	answer(f, NULL);
	assert_int_equal(f->flushed, 1);
}

static void a_flush_of_a_broken_lane_is_done(void **state)
{
	struct fixture *f = *state;

	mark(f, 0, 1);
	turn(f);
	committer_flush(f->committer, on_flushed, f);
	answer(f, "no");
	assert_int_equal(f->flushed, 1);
	committer_flush(f->committer, on_flushed, f);
	turn(f);
	assert_int_equal(f->flushed, 2);
	assert_int_equal(f->consumer.n_commits, 1);
}

static void without_marks_leave_is_given_at_once_together_and_in_order(void **state)
{
	struct fixture *f = *state;

	assert_true(committer_may_send(f->committer));
	mark(f, 0, 5);
	mark(f, 1, 3);
	mark(f, 0, 4);
	turn(f);
	assert_string_equal(f->marks, "5 3 4;");
	assert_int_equal(f->consumer.n_commits, 0);
}

static void stored_maps_are_committed_an_interval_apart(void **state)
{
	struct fixture *f = *state;
	uint64_t first_ms;

	set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	first_ms = uv_now(&f->loop);
	set_map(f, 0, 2, "b");
	committer_touch(f->committer, 0);
	run_out(f);
	assert_int_equal(f->consumer.n_commits, 1);
	answer(f, NULL);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;0:2=b;");
	assert_true(uv_now(&f->loop) - first_ms >= 15);
}

static void without_marks_a_failed_commit_is_repeated_with_the_newest(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	run_out(f);
	set_map(f, 0, 4, "b");
	answer(f, "no");
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;0:4=b;");
	assert_int_equal(f->broken, 0);
	assert_int_equal(f->metrics.values[METRIC_commit_failures], 1);
}

static void without_marks_a_late_answer_is_an_answer(void **state)
{
	struct fixture *f = *state;

	set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	run_out(f);
	wait_ms(f, 150);
	answer(f, NULL);
	assert_int_equal(f->broken, 0);
	committer_flush(f->committer, on_flushed, f);
	turn(f);
	assert_int_equal(f->flushed, 1);
	assert_int_equal(f->consumer.n_commits, 1);
}

#define ONCE(name)  cmocka_unit_test_setup_teardown(name, exactly_once, teardown)
#define LEAST(name) cmocka_unit_test_setup_teardown(name, at_least_once, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONCE(marks_of_one_turn_share_a_commit_of_their_partitions),
		ONCE(one_commit_is_outstanding_and_later_marks_wait_for_the_next),
		ONCE(an_answer_to_another_commit_grants_nothing),
		ONCE(nothing_may_be_sent_before_the_first_answer),
		ONCE(the_lease_counts_from_before_the_request),
		ONCE(an_error_breaks_the_lane),
		ONCE(no_answer_in_time_breaks_the_lane),
		ONCE(an_answer_after_a_standstill_breaks_the_lane),
		ONCE(a_commit_that_cannot_be_asked_for_breaks_the_lane),
		ONCE(a_reset_makes_the_lane_whole_and_forgets_marks),
		ONCE(an_answer_from_before_a_reset_grants_nothing),
		ONCE(a_map_that_cannot_be_written_holds_only_its_own_marks),
		ONCE(a_forgotten_partition_is_not_granted),
		ONCE(a_transaction_waits_for_the_outstanding_commit_and_goes_first),
		ONCE(marks_ride_in_a_transaction_and_later_ones_wait_for_its_end),
		ONCE(marks_of_an_aborted_transaction_are_asked_for_again),
		ONCE(an_unclear_transaction_breaks_the_lane),
		ONCE(an_overwritten_transaction_is_committed_again_before_its_marks),
		ONCE(a_wish_for_the_lane_can_be_withdrawn),
		ONCE(no_transaction_is_granted_while_a_map_cannot_be_written),
		ONCE(only_partitions_that_changed_are_written),
		ONCE(a_flush_writes_what_was_touched_and_waits_for_the_answer),
		ONCE(a_flush_of_a_broken_lane_is_done),
		LEAST(without_marks_leave_is_given_at_once_together_and_in_order),
		LEAST(stored_maps_are_committed_an_interval_apart),
		LEAST(without_marks_a_failed_commit_is_repeated_with_the_newest),
		LEAST(without_marks_a_late_answer_is_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
