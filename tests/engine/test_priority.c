/* A command of high priority goes ahead of all that waits, and disturbs nothing of it. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLAST 1000

static void give_high(struct world *w, int64_t offset, const char *call, const char *who)
{
	world_give(w,
	           (struct given){ .offset = offset, .call = call, .who = who, .is_high = true });
}

/* So many commands, of one call or of one call each. */
static void give_blast(struct world *w, bool one_call)
{
	char call[32] = "call-a", who[32];

	for (int64_t i = 0; i < BLAST; i++) {
		if (!one_call)
			snprintf(call, sizeof(call), "call-%lld", (long long)i);
		snprintf(who, sizeof(who), "user-%lld", (long long)i);
		world_command(w, i, call, who);
	}
}

static int64_t waited_ms(struct world *w, int64_t since_ms, size_t post)
{
	return (w->posts[post].sent.us - w->origin.us) / 1000 - since_ms;
}

static size_t post_of(struct world *w, const char *who)
{
	for (size_t i = 0; i < w->n_posts; i++)
		if (strcmp(world_who(w, i), who) == 0)
			return i;
	fail_msg("no request for %s", who);
	return 0;
}

static void goes_ahead_of_a_blast_of_its_own_call(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();
	size_t before;

	policy.call_rate = 10;
	policy.call_burst = 1;
	world_reopen(w, policy);
	w->latency_us = 5000;
	give_blast(w, true);
	world_elapse(w, 5000);
	before = w->n_posts;
	assert_in_range(before, 49, 52);
	give_high(w, BLAST, "call-a", "+4930123456");
	world_finish(w);
	assert_int_equal(post_of(w, "+4930123456"), before);
	assert_in_range(waited_ms(w, 5000, before), 0, 101);
	/* 200 full requests, and the one between them. */
	assert_int_equal(w->n_posts, BLAST / BATCH_MAX + 1);
	expect_all_done(w);
}

static void goes_ahead_of_a_blast_of_other_calls(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();
	size_t before;

	policy.application_rate = 10;
	policy.application_burst = 1;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	w->latency_us = 5000;
	give_blast(w, false);
	world_elapse(w, 5000);
	before = w->n_posts;
	give_high(w, BLAST, "call-x", "dora");
	world_finish(w);
	assert_int_equal(post_of(w, "dora"), before);
	assert_in_range(waited_ms(w, 5000, before), 0, 101);
	expect_all_done(w);
}

/* The ring of those that are urgent is served in turn too. */
static void urgent_calls_are_served_in_turn(void **state)
{
	struct world *w = *state;
	struct policy policy = world_policy();

	policy.application_rate = 10;
	policy.application_burst = 1;
	policy.batch_window = duration_ms(0);
	world_reopen(w, policy);
	w->latency_us = 1000;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-b", "bob");
	give_high(w, 2, "call-x", "+49301");
	give_high(w, 3, "call-x", "+49302");
	give_high(w, 4, "call-y", "+49303");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "+49301", "+49303", "+49302", "bob");
	expect_all_done(w);
}

static void goes_between_the_requests_of_a_split_command(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "a b c d e f g h i j");
	EXPECT_REQUESTS(w, "a b c d e");
	give_high(w, 1, "call-a", "dora");
	world_accept(w);
	EXPECT_REQUESTS(w, "a b c d e", "dora");
	world_accept(w);
	EXPECT_REQUESTS(w, "a b c d e", "dora", "f g h i j");
	world_accept(w);
	expect_status(w, 0, "accepted");
	expect_status(w, 1, "accepted");
	world_finish(w);
	expect_all_done(w);
}

static void goes_between_the_members_of_a_refused_batch(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann bob carl");
	world_elapse(w, 20);
	world_refuse(w, 400, "BadRequest");
	give_high(w, 1, "call-a", "dora");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann bob carl", "ann", "dora");
	world_accept(w);
	world_refuse(w, 400, "BadRequest");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann bob carl", "ann", "dora", "bob", "carl");
	expect_status(w, 0, "partial");
	expect_status(w, 1, "accepted");
	world_finish(w);
	expect_all_done(w);
}

/* It does not shorten a Retry-After: the call is held, whatever waits for it. */
static void waits_as_all_do_while_its_call_is_held_and_is_first_then(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	world_elapse(w, 20);
	world_answer(w, 429, "10", NULL);
	give_high(w, 1, "call-a", "+4930123456");
	world_elapse(w, 9999);
	EXPECT_REQUESTS(w, "ann");
	world_elapse(w, 1);
	EXPECT_REQUESTS(w, "ann", "+4930123456");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "+4930123456", "ann");
	world_accept(w);
	world_finish(w);
	expect_all_done(w);
}

static void waits_for_evidence_of_what_went_before(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	world_break_after_effect(w);
	give_high(w, 1, "call-a", "dora");
	world_elapse(w, 19999);
	EXPECT_REQUESTS(w, "ann");
	world_elapse(w, 1);
	expect_status(w, 0, "reconciled");
	EXPECT_REQUESTS(w, "ann", "dora");
	world_accept(w);
	world_finish(w);
	expect_all_done(w);
}

/* Its own request is throttled: it stays ahead. */
static void stays_ahead_when_it_is_sent_again(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	give_high(w, 0, "call-a", "dora");
	world_command(w, 1, "call-a", "+4930123456");
	world_answer(w, 429, "1", NULL);
	world_elapse(w, 1000);
	EXPECT_REQUESTS(w, "dora", "dora");
	world_accept(w);
	EXPECT_REQUESTS(w, "dora", "dora", "+4930123456");
	world_accept(w);
	world_finish(w);
	expect_all_done(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(goes_ahead_of_a_blast_of_its_own_call),
		WORLD_TEST(goes_ahead_of_a_blast_of_other_calls),
		WORLD_TEST(urgent_calls_are_served_in_turn),
		WORLD_TEST(goes_between_the_requests_of_a_split_command),
		WORLD_TEST(goes_between_the_members_of_a_refused_batch),
		WORLD_TEST(waits_as_all_do_while_its_call_is_held_and_is_first_then),
		WORLD_TEST(waits_for_evidence_of_what_went_before),
		WORLD_TEST(stays_ahead_when_it_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
