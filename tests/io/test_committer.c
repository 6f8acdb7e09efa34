/* The committer: what is asked for, when, and what follows an answer. */
#include "lane.h"

static void marks_of_one_turn_share_a_commit_of_their_partitions(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 5, "a");
	lane_set_map(f, 1, 7, "b");
	lane_set_map(f, 2, 9, "c");
	committer_touch(f->committer, 2);
	lane_mark(f, 1, 5);
	lane_mark(f, 0, 3);
	lane_mark(f, 1, 4);
	lane_turn(f);
	assert_int_equal(f->consumer.n_commits, 1);
	assert_non_null(strstr(f->consumer.text, "1:7=b"));
	assert_non_null(strstr(f->consumer.text, "0:5=a"));
	assert_null(strstr(f->consumer.text, "2:"));
	assert_string_equal(f->marks, "");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "5 3 4;");
}

static void one_commit_is_outstanding_and_later_marks_wait_for_the_next(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_set_map(f, 0, 1, "b");
	lane_mark(f, 0, 2);
	lane_turn(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;");
	assert_string_equal(f->consumer.text, "0:1=a;0:1=b;");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;2;");
}

static void an_answer_to_another_commit_grants_nothing(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	committer_committed(f->committer, f->consumer.opaque + 1, NULL);
	committer_committed(f->committer, f->consumer.opaque - 1, NULL);
	lane_turn(f);
	assert_string_equal(f->marks, "");
	assert_int_equal(f->broken, 0);
}

static void nothing_may_be_sent_before_the_first_answer(void **state)
{
	struct fixture *f = *state;

	assert_false(committer_may_send(f->committer));
	lane_mark(f, 0, 1);
	lane_turn(f);
	assert_false(committer_may_send(f->committer));
	lane_answer(f, NULL);
	assert_true(committer_may_send(f->committer));
	f->consumer.is_lost = true;
	assert_false(committer_may_send(f->committer));
}

static void the_lease_counts_from_before_the_request(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_stall_ms(90);
	lane_answer(f, NULL);
	lane_stall_ms(250);
	assert_true(committer_may_send(f->committer));
	lane_stall_ms(70);
	assert_false(committer_may_send(f->committer));
}

static void assert_broken(struct fixture *f)
{
	lane_turn(f);
	assert_int_equal(f->broken, 1);
	assert_string_equal(f->marks, "");
	assert_false(committer_may_send(f->committer));
	lane_mark(f, 0, 9);
	lane_begin(f);
	lane_turn(f);
	assert_int_equal(f->consumer.n_commits, 1);
	assert_string_equal(f->granted, "");
	assert_int_equal(f->broken, 1);
}

static void an_error_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_answer(f, "Broker: Unknown member");
	assert_broken(f);
}

static void no_answer_in_time_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_wait_ms(f, 130);
	assert_broken(f);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "");
}

static void an_answer_after_a_standstill_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_stall_ms(110);
	lane_answer(f, NULL);
	assert_broken(f);
}

static void a_commit_that_cannot_be_asked_for_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	f->consumer.refuses = true;
	lane_mark(f, 0, 1);
	lane_turn(f);
	assert_int_equal(f->broken, 1);
	assert_string_equal(f->marks, "");
}

static void a_reset_makes_the_lane_whole_and_forgets_marks(void **state)
{
	struct fixture *f = *state;
	uint64_t old;

	lane_mark(f, 0, 1);
	lane_turn(f);
	old = f->consumer.opaque;
	lane_answer(f, "no");
	committer_reset(f->committer);
	lane_mark(f, 0, 2);
	lane_turn(f);
	committer_committed(f->committer, old, NULL);
	lane_turn(f);
	assert_string_equal(f->marks, "");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "2;");
	assert_int_equal(f->broken, 1);
}

static void an_answer_from_before_a_reset_grants_nothing(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	committer_reset(f->committer);
	lane_mark(f, 0, 2);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "2;");
}

static void a_map_that_cannot_be_written_holds_only_its_own_marks(void **state)
{
	struct fixture *f = *state;

	f->unwritable[0] = true;
	lane_mark(f, 0, 1);
	lane_mark(f, 1, 2);
	lane_turn(f);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "2;");
	assert_int_equal(f->consumer.n_commits, 1);
	f->unwritable[0] = false;
	committer_touch(f->committer, 0);
	lane_turn(f);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "2;1;");
}

static void a_forgotten_partition_is_not_granted(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_mark(f, 1, 2);
	lane_turn(f);
	committer_forget(f->committer, 0);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "2;");
}

static void a_transaction_waits_for_the_outstanding_commit_and_goes_first(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_begin(f);
	assert_string_equal(f->granted, "");
	lane_set_map(f, 0, 1, "b");
	snprintf(f->staged[0], sizeof(f->staged[0]), "b+");
	lane_mark(f, 0, 2);
	lane_turn(f);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;");
	assert_string_equal(f->granted, "0:1=b+;");
	assert_int_equal(f->consumer.n_commits, 1);
}

static void marks_ride_in_a_transaction_and_later_ones_wait_for_its_end(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 7);
	lane_turn(f);
	lane_answer(f, NULL);
	snprintf(f->staged[0], sizeof(f->staged[0]), "s");
	committer_touch(f->committer, 0);
	committer_begin(f->committer, false, lane_granted, f);
	lane_mark(f, 0, 1);
	lane_turn(f);
	assert_string_equal(f->granted, "0:0=s;");
	lane_mark(f, 0, 2);
	lane_turn(f);
	assert_int_equal(f->consumer.n_commits, 1);
	lane_end(f, COMMITTER_COMMITTED);
	assert_string_equal(f->marks, "7;1;");
	assert_int_equal(f->consumer.n_commits, 2);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "7;1;2;");
}

static void a_transaction_may_want_what_is_no_news_too(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_mark(f, 1, 2);
	lane_turn(f);
	lane_answer(f, NULL);
	lane_set_map(f, 0, 1, "b");
	committer_touch(f->committer, 0);
	committer_begin(f->committer, false, lane_granted, f);
	lane_turn(f);
	assert_string_equal(f->granted, "0:1=b;");
	lane_end(f, COMMITTER_ABORTED);
	f->granted[0] = '\0';
	committer_begin(f->committer, true, lane_granted, f);
	lane_turn(f);
	assert_string_equal(f->granted, "0:1=b 1:0=;");
	lane_end(f, COMMITTER_COMMITTED);
}

static void a_transaction_lends_no_lease(void **state)
{
	struct fixture *f = *state;

	committer_begin(f->committer, false, lane_granted, f);
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_end(f, COMMITTER_COMMITTED);
	assert_string_equal(f->marks, "");
	assert_false(committer_may_send(f->committer));
	assert_int_equal(f->consumer.n_commits, 1);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;");
	assert_true(committer_may_send(f->committer));
}

static void marks_of_an_aborted_transaction_are_asked_for_again(void **state)
{
	struct fixture *f = *state;

	committer_begin(f->committer, false, lane_granted, f);
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_end(f, COMMITTER_ABORTED);
	assert_string_equal(f->marks, "");
	assert_int_equal(f->consumer.n_commits, 1);
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;");
}

static void an_unclear_transaction_breaks_the_lane(void **state)
{
	struct fixture *f = *state;

	committer_begin(f->committer, false, lane_granted, f);
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_end(f, COMMITTER_UNCLEAR);
	assert_int_equal(f->broken, 1);
	assert_int_equal(f->consumer.n_commits, 0);
	assert_string_equal(f->marks, "");
}

static void an_overwritten_transaction_is_committed_again_before_its_marks(void **state)
{
	struct fixture *f = *state;

	snprintf(f->staged[0], sizeof(f->staged[0]), "s");
	committer_begin(f->committer, false, lane_granted, f);
	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_end(f, COMMITTER_OVERWRITTEN);
	assert_string_equal(f->consumer.text, "0:0=s;");
	assert_string_equal(f->marks, "");
	lane_answer(f, NULL);
	assert_string_equal(f->marks, "1;");
}

static void a_wish_for_the_lane_can_be_withdrawn(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	lane_begin(f);
	lane_end(f, COMMITTER_ABORTED);
	lane_answer(f, NULL);
	assert_string_equal(f->granted, "");
	assert_string_equal(f->marks, "1;");
}

static void no_transaction_is_granted_while_a_map_cannot_be_written(void **state)
{
	struct fixture *f = *state;

	f->unwritable[0] = true;
	committer_touch(f->committer, 0);
	committer_touch(f->committer, 1);
	lane_begin(f);
	assert_string_equal(f->granted, "");
	f->unwritable[0] = false;
	committer_touch(f->committer, 0);
	lane_turn(f);
	assert_string_equal(f->granted, "0:0= 1:0=;");
}

static void only_partitions_that_changed_are_written(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	lane_set_map(f, 1, 1, "b");
	committer_touch(f->committer, 0);
	committer_touch(f->committer, 1);
	lane_begin(f);
	lane_end(f, COMMITTER_COMMITTED);
	lane_set_map(f, 1, 2, "b");
	lane_begin(f);
	assert_string_equal(f->granted, "0:1=a 1:1=b;1:2=b;");
	lane_end(f, COMMITTER_COMMITTED);
	/* Nothing has changed, but the broker must look at the group. */
	lane_begin(f);
	lane_end(f, COMMITTER_COMMITTED);
	committer_flush(f->committer, lane_flushed, f);
	lane_turn(f);
	assert_int_equal(f->flushed, 1);
	assert_int_equal(f->consumer.n_commits, 0);
}

static void a_flush_writes_what_was_touched_and_waits_for_the_answer(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	lane_turn(f);
	assert_int_equal(f->consumer.n_commits, 0);
	f->in_call = true;
	committer_flush(f->committer, lane_flushed, f);
	f->in_call = false;
	lane_turn(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	assert_int_equal(f->flushed, 0);
	lane_answer(f, NULL);
	assert_int_equal(f->flushed, 1);
}

static void a_flush_of_a_broken_lane_is_done(void **state)
{
	struct fixture *f = *state;

	lane_mark(f, 0, 1);
	lane_turn(f);
	committer_flush(f->committer, lane_flushed, f);
	lane_answer(f, "no");
	assert_int_equal(f->flushed, 1);
	committer_flush(f->committer, lane_flushed, f);
	lane_turn(f);
	assert_int_equal(f->flushed, 2);
	assert_int_equal(f->consumer.n_commits, 1);
}

static void without_marks_leave_is_given_at_once_together_and_in_order(void **state)
{
	struct fixture *f = *state;

	assert_true(committer_may_send(f->committer));
	lane_mark(f, 0, 5);
	lane_mark(f, 1, 3);
	lane_mark(f, 0, 4);
	lane_turn(f);
	assert_string_equal(f->marks, "5 3 4;");
	assert_int_equal(f->consumer.n_commits, 0);
}

static void stored_maps_are_committed_an_interval_apart(void **state)
{
	struct fixture *f = *state;
	uint64_t first_ms;

	lane_set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	lane_run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;");
	first_ms = uv_now(&f->loop);
	lane_set_map(f, 0, 2, "b");
	committer_touch(f->committer, 0);
	lane_run_out(f);
	assert_int_equal(f->consumer.n_commits, 1);
	lane_answer(f, NULL);
	lane_run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;0:2=b;");
	assert_true(uv_now(&f->loop) - first_ms >= 15);
}

static void without_marks_a_failed_commit_is_repeated_with_the_newest(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	lane_run_out(f);
	lane_set_map(f, 0, 4, "b");
	lane_answer(f, "no");
	lane_run_out(f);
	assert_string_equal(f->consumer.text, "0:1=a;0:4=b;");
	assert_int_equal(f->broken, 0);
	assert_int_equal(f->metrics.values[METRIC_commit_failures], 1);
}

static void without_marks_a_late_answer_is_an_answer(void **state)
{
	struct fixture *f = *state;

	lane_set_map(f, 0, 1, "a");
	committer_touch(f->committer, 0);
	lane_run_out(f);
	lane_wait_ms(f, 150);
	lane_answer(f, NULL);
	assert_int_equal(f->broken, 0);
	committer_flush(f->committer, lane_flushed, f);
	lane_turn(f);
	assert_int_equal(f->flushed, 1);
	assert_int_equal(f->consumer.n_commits, 1);
}

#define ONCE(name)  cmocka_unit_test_setup_teardown(name, lane_exactly_once, lane_teardown)
#define LEAST(name) cmocka_unit_test_setup_teardown(name, lane_at_least_once, lane_teardown)

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
		ONCE(a_transaction_may_want_what_is_no_news_too),
		ONCE(a_transaction_lends_no_lease),
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
