/* What becomes of commands while there is no access token, and when there is one again. */
#include "engine/expect.h"
#include "engine/record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Requests that were sent when the world has gone on for so long. */
static size_t posts_after(struct world *w, int64_t ms)
{
	world_elapse(w, ms);
	return w->n_posts;
}

/* One command for each call, sent at once. */
static void send(struct world *w, int64_t offset, const char *call, const char *who)
{
	w->policy.batch_window = duration_ms(0);
	world_command(w, offset, call, who);
}

/* There is no token for a request and the 'n' - 1 tries that follow. */
static void deny(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		size_t posts = w->n_posts;

		world_fail(w, ANSWER_NO_TOKEN);
		while (w->n_posts == posts)
			world_elapse(w, 100);
	}
}

static void without_a_token_everything_waits_however_long(void **state)
{
	struct world *w = *state;

	w->policy.max_hold = duration_ms(10000);
	send(w, 0, "call-a", "ann");
	deny(w, 50);
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void a_token_that_comes_back_ends_the_hold_at_once(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_fail(w, ANSWER_NO_TOKEN);
	send(w, 1, "call-b", "bob");
	assert_int_equal(posts_after(w, 10), 1);
	world_happen(w, (struct event){ .type = EVENT_SIGNED_IN });
	assert_int_equal(w->n_posts, 3);
	world_accept(w);
	world_accept(w);
	world_finish(w);
	expect_status(w, 0, "accepted");
	expect_status(w, 1, "accepted");
	expect_all_done(w);
}

static void a_token_that_comes_back_ends_no_other_hold(void **state)
{
	struct world *w = *state;

	send(w, 0, "call-a", "ann");
	world_refuse(w, 403, "7503");
	world_happen(w, (struct event){ .type = EVENT_SIGNED_IN });
	assert_int_equal(posts_after(w, 740), 1);
}

static void what_waits_without_a_token_still_expires(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_give(w, (struct given){ .call = "call-a", .who = "ann", .expires_in_ms = 120000 });
	for (unsigned i = 0; i < 121; i++) {
		while (world_open_posts(w) > 0)
			world_fail(w, ANSWER_NO_TOKEN);
		world_elapse(w, 1000);
	}
	expect_status(w, 0, "expired");
	expect_all_done(w);
}

static void the_time_without_a_token_does_not_count_when_graph_refuses_it_then(void **state)
{
	struct world *w = *state;

	w->policy.max_hold = duration_ms(300000);
	send(w, 0, "call-a", "ann");
	deny(w, 20);
	world_answer(w, 401, NULL, NULL);
	world_elapse(w, 61000);
	world_accept(w);
	expect_status(w, 0, "accepted");
	world_finish(w);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(without_a_token_everything_waits_however_long),
		WORLD_TEST(a_token_that_comes_back_ends_the_hold_at_once),
		WORLD_TEST(a_token_that_comes_back_ends_no_other_hold),
		WORLD_TEST(what_waits_without_a_token_still_expires),
		WORLD_TEST(the_time_without_a_token_does_not_count_when_graph_refuses_it_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
