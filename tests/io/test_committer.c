/* The committer, with the consumer's part played by this file: what is asked for, when, and what
 * follows an answer. */
#include "worker/io/committer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define COMMITS_MAX 64

/* Stands in for the consumer: notes the commits. */
struct consumer {
	size_t n_commits;
	uint64_t opaque;
	char text[COMMITS_MAX * 16]; /* "0:5 1:7" for each commit, with a semicolon behind */
	bool refuses;
};

struct fixture {
	uv_loop_t loop;
	struct consumer consumer;
	struct committer *committer;
	struct metrics metrics;
	struct log log;
	uint64_t marks[8];
	size_t n_marks;
	size_t n_mark_calls;
	unsigned flushed;
	bool in_call;
	bool closed;
	size_t wanted;
};

int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err)
{
	size_t used = strlen(c->text);

	if (c->refuses)
		return err_set(err, "not ours");
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(c->text + used, sizeof(c->text) - used, "%d:%d%s",
		                         (int)positions[i].partition, (int)positions[i].offset,
		                         i + 1 < n ? " " : ";");
	c->n_commits++;
	c->opaque = opaque;
	return 0;
}

static void on_marked(void *owner, const uint64_t *ids, size_t n)
{
	struct fixture *f = owner;

	assert_false(f->in_call);
	f->n_mark_calls++;
	for (size_t i = 0; i < n; i++)
		f->marks[f->n_marks++] = ids[i];
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

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	memset(&f, 0, sizeof(f));
	uv_loop_init(&f.loop);
	log_init(&f.log, NULL, LOG_DEBUG);
	f.committer = committer_new(&f.loop, &f.consumer, duration_ms(20), on_marked, &f, &f.log,
	                            &f.metrics, &err);
	assert_non_null(f.committer);
	*state = &f;
	return 0;
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

/* Turn the loop until so many commits were asked for; the committer's timer is what wakes it. */
static void wait_commits(struct fixture *f, size_t n)
{
	while (f->consumer.n_commits < n)
		assert_true(uv_run(&f->loop, UV_RUN_ONCE) != 0 || f->consumer.n_commits >= n);
}

static void run_out(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void marks_are_granted_later_together_and_in_order(void **state)
{
	struct fixture *f = *state;

	f->in_call = true;
	committer_mark(f->committer, 5);
	committer_mark(f->committer, 3);
	committer_mark(f->committer, 4);
	f->in_call = false;
	run_out(f);
	assert_int_equal(f->n_mark_calls, 1);
	assert_int_equal(f->n_marks, 3);
	assert_int_equal(f->marks[0], 5);
	assert_int_equal(f->marks[1], 3);
	assert_int_equal(f->marks[2], 4);
	assert_int_equal(f->consumer.n_commits, 0);
}

static void the_highest_offset_of_each_changed_partition_is_committed(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 5);
	committer_store(f->committer, 1, 7);
	committer_store(f->committer, 0, 9);
	committer_store(f->committer, 0, 8);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:9 1:7;");
	committer_committed(f->committer, f->consumer.opaque, NULL);
	committer_store(f->committer, 1, 8);
	committer_store(f->committer, 0, 9);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:9 1:7;1:8;");
}

static void one_commit_is_outstanding_at_a_time(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 1);
	run_out(f);
	committer_store(f->committer, 0, 2);
	committer_store(f->committer, 0, 3);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1;");
	committer_committed(f->committer, f->consumer.opaque, NULL);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1;0:3;");
	assert_int_equal(f->metrics.values[METRIC_commits], 1);
}

static void an_answer_to_another_commit_changes_nothing(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 1);
	run_out(f);
	committer_committed(f->committer, f->consumer.opaque + 1, NULL);
	committer_store(f->committer, 0, 2);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1;");
}

static void two_commits_are_an_interval_apart(void **state)
{
	struct fixture *f = *state;
	uint64_t before_ms;

	uv_update_time(&f->loop);
	before_ms = uv_now(&f->loop);
	committer_store(f->committer, 0, 1);
	wait_commits(f, 1);
	committer_committed(f->committer, f->consumer.opaque, NULL);
	committer_store(f->committer, 0, 2);
	wait_commits(f, 2);
	assert_true(uv_now(&f->loop) - before_ms >= 20);
}

static void a_failed_commit_is_repeated_with_the_newest(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 1);
	run_out(f);
	committer_store(f->committer, 0, 4);
	committer_committed(f->committer, f->consumer.opaque, "no");
	run_out(f);
	assert_string_equal(f->consumer.text, "0:1;0:4;");
	assert_int_equal(f->metrics.values[METRIC_commit_failures], 1);
}

static void a_forgotten_partition_begins_anew_also_below(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 9);
	run_out(f);
	committer_forget(f->committer, 0);
	committer_store(f->committer, 0, 4);
	committer_committed(f->committer, f->consumer.opaque, NULL);
	run_out(f);
	assert_string_equal(f->consumer.text, "0:9;0:4;");
}

static void a_flush_waits_for_a_commit_that_contains_everything(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 1);
	run_out(f);
	committer_store(f->committer, 0, 2);
	f->in_call = true;
	committer_flush(f->committer, on_flushed, f);
	f->in_call = false;
	committer_committed(f->committer, f->consumer.opaque, NULL);
	assert_int_equal(f->flushed, 0);
	assert_string_equal(f->consumer.text, "0:1;0:2;");
	committer_committed(f->committer, f->consumer.opaque, NULL);
	assert_int_equal(f->flushed, 1);
}

static void a_flush_with_nothing_to_commit_is_done_later(void **state)
{
	struct fixture *f = *state;

	f->in_call = true;
	committer_flush(f->committer, on_flushed, f);
	f->in_call = false;
	assert_int_equal(f->flushed, 0);
	run_out(f);
	assert_int_equal(f->flushed, 1);
	assert_int_equal(f->consumer.n_commits, 0);
}

static void a_flush_that_fails_is_done_nevertheless(void **state)
{
	struct fixture *f = *state;

	committer_store(f->committer, 0, 1);
	committer_flush(f->committer, on_flushed, f);
	committer_committed(f->committer, f->consumer.opaque, "no");
	assert_int_equal(f->flushed, 1);
	f->consumer.refuses = true;
	f->in_call = true;
	committer_flush(f->committer, on_flushed, f);
	f->in_call = false;
	while (f->flushed < 2)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(f->metrics.values[METRIC_commit_failures], 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(marks_are_granted_later_together_and_in_order),
		TEST(the_highest_offset_of_each_changed_partition_is_committed),
		TEST(one_commit_is_outstanding_at_a_time),
		TEST(an_answer_to_another_commit_changes_nothing),
		TEST(two_commits_are_an_interval_apart),
		TEST(a_failed_commit_is_repeated_with_the_newest),
		TEST(a_forgotten_partition_begins_anew_also_below),
		TEST(a_flush_waits_for_a_commit_that_contains_everything),
		TEST(a_flush_with_nothing_to_commit_is_done_later),
		TEST(a_flush_that_fails_is_done_nevertheless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
