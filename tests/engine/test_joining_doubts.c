/* Doubts that join a call whose doubts are being looked at. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SETTLE_MS 20000

/* Graph took ann and bob with one request, which nobody recorded. The next owner has read the
 * record of ann, and looks for her operation; that of bob may join at any time. */
static void look_for_ann(struct world *w)
{
	w->looks_by_hand = true;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, 20);
	graph_apply(&w->graph, "call-a", 0, w->posts[0].body);
	world_crash(w);
	world_offer(w, 0, w->partitions[0].committed.offset, NULL);
	world_command(w, 0, "call-a", "ann");
	world_elapse(w, SETTLE_MS);
	assert_int_equal(w->n_looks, 1);
}

/* The list does not have the request yet. */
static void find_nothing(struct world *w)
{
	static const char nothing[] = "{\"value\":[]}";

	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 200,
	                                      .body = { nothing, sizeof(nothing) - 1 } });
}

static void a_doubt_that_joins_between_the_looks_is_looked_for_in_both_places(void **state)
{
	struct world *w = *state;

	look_for_ann(w);
	find_nothing(w);
	assert_int_equal(w->n_looked[LOOK_ROSTER], 1);
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 503 });
	world_command(w, 1, "call-a", "bob");
	world_elapse(w, SETTLE_MS);
	world_look(w);
	expect_status(w, 1, "reconciled");
	expect_evidence(w, 1, "operation");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann bob");
	expect_all_done(w);
}

static void a_doubt_that_joins_during_the_last_look_has_its_own(void **state)
{
	struct world *w = *state;

	look_for_ann(w);
	find_nothing(w);
	world_command(w, 1, "call-a", "bob");
	find_nothing(w);
	expect_status(w, 0, "unknown");
	expect_no_reply(w, 1);
	world_elapse(w, SETTLE_MS - 1);
	assert_int_equal(w->n_looks, 0);
	world_elapse(w, 1);
	world_look(w);
	expect_status(w, 1, "reconciled");
	expect_evidence(w, 1, "operation");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann bob");
	expect_all_done(w);
}

static void a_look_that_is_repeated_waits_for_the_settle_time_of_who_joined(void **state)
{
	struct world *w = *state;

	look_for_ann(w);
	world_command(w, 1, "call-a", "bob");
	world_answer_look(w, (struct answer){ ANSWER_COMPLETE, .http_status = 503 });
	world_elapse(w, SETTLE_MS - 1);
	assert_int_equal(w->n_looks, 0);
	world_elapse(w, 1);
	world_look(w);
	for (int64_t i = 0; i < 2; i++)
		expect_evidence(w, i, "operation");
	world_finish(w);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_doubt_that_joins_between_the_looks_is_looked_for_in_both_places),
		WORLD_TEST(a_doubt_that_joins_during_the_last_look_has_its_own),
		WORLD_TEST(a_look_that_is_repeated_waits_for_the_settle_time_of_who_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
