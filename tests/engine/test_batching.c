/* Who travels together, when, and in which order. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void commands_within_the_window_share_a_request(void **state)
{
	struct world *w = *state;

	world_command(w, 10, "call-a", "ann");
	world_elapse(w, 15);
	world_command(w, 11, "call-a", "bob");
	world_elapse(w, 5);
	expect_trace(w, "[    0] p0@10: call-a gets 1 participant\n"
	                "[   15] p0@11: call-a gets 1 participant\n"
	                "[   20] call-a: request with 2 of 2 commands waits for its mark\n"
	                "[   20] call-a: request with 2 participants is sent\n");
	world_elapse(w, 130);
	w->writes_by_hand = true;
	world_accept(w);
	expect_trace(w, "[  150] call-a: answered 200, accepted\n"
	                "[  150] p0@10: reply accepted\n"
	                "[  150] p0@11: reply accepted\n");
	world_write_done(w, 1, NULL);
	expect_trace(w, "");
	world_written(w, NULL);
	expect_trace(w, "[  150] p0: stored up to 12\n");
	world_finish(w);
	expect_all_done(w);
}

static void a_command_after_the_window_has_a_request_of_its_own(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	world_elapse(w, 21);
	world_command(w, 1, "call-a", "bob");
	world_accept(w);
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "ann", "bob");
}

static void without_a_window_a_request_leaves_at_once(void **state)
{
	struct world *w = *state;

	w->policy.batch_window = duration_ms(0);
	world_command(w, 0, "call-a", "ann");
	EXPECT_REQUESTS(w, "ann");
}

static void a_full_batch_leaves_at_once(void **state)
{
	struct world *w = *state;

	for (int64_t i = 0; i < 4; i++)
		world_command(w, i, "call-a", ((const char *[]){ "a", "b", "c", "d" })[i]);
	assert_int_equal(w->n_posts, 0);
	world_command(w, 4, "call-a", "e");
	EXPECT_REQUESTS(w, "a b c d e");
}

static void a_command_that_does_not_fit_lets_the_batch_leave_at_once(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "a b c");
	world_command(w, 1, "call-a", "d e f");
	EXPECT_REQUESTS(w, "a b c");
	world_accept(w);
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "a b c", "d e f");
}

static void whoever_replaces_or_moves_or_is_a_phone_goes_alone_and_in_order(void **state)
{
	struct world *w = *state;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "ann bob");
	world_command(w, 1, "call-a", "replace:carl");
	world_command(w, 2, "call-a", "dora");
	world_command(w, 3, "call-a", "move:emil");
	world_command(w, 4, "call-a", "fred");
	world_command(w, 5, "call-a", "+4930123456");
	world_command(w, 6, "call-a", "gina");
	world_command(w, 7, "call-a", "hans");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann bob", "carl", "dora", "emil", "fred", "+4930123456", "gina hans");
	expect_all_done(w);
}

static void solo_participants_in_the_middle_of_a_command_go_alone_and_in_order(void **state)
{
	struct world *w = *state;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "ann replace:bob carl +4930123456 +4930123457 dora emil");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "bob", "carl", "+4930123456", "+4930123457", "dora emil");
	expect_status(w, 0, "accepted");
	expect_all_done(w);
}

static void commands_of_different_contexts_share_no_request(void **state)
{
	static const char *const contexts[] = { "x", "x", "y", NULL };
	static const char *const who[] = { "a", "b", "c", "d" };
	struct world *w = *state;

	w->latency_us = 10000;
	for (int64_t i = 0; i < 4; i++)
		world_give(
		    w, (struct given){
		           .offset = i, .call = "call-a", .who = who[i], .context = contexts[i] });
	world_finish(w);
	EXPECT_REQUESTS(w, "a b", "c", "d");
	expect_all_done(w);
}

static void a_context_of_ours_names_the_offsets_and_a_given_one_is_kept(void **state)
{
	struct world *w = *state;
	const char *context;

	world_command(w, 10, "call-a", "ann");
	world_command(w, 12, "call-a", "bob");
	world_give(
	    w, (struct given){ .offset = 13, .call = "call-b", .who = "carl", .context = "mine" });
	world_elapse(w, 20);
	context = json_string_value(json_object_get(w->posts[0].body, "clientContext"));
	assert_non_null(strstr(context, ":0:10,12:1"));
	context = json_string_value(json_object_get(w->posts[1].body, "clientContext"));
	assert_string_equal(context, "mine");
}

static void example_2_of_the_documentation_becomes_two_requests_and_one_reply(void **state)
{
	static const char example[] =
	    "{\"callId\":\"7531d31f-d10d-44de-802f-c569dbca451c\",\"participants\":["
	    "{\"@odata.type\":\"#microsoft.graph.invitationParticipantInfo\","
	    "\"replacesCallId\":\"a7ebfb2d-871e-419c-87af-27290b22e8db\","
	    "\"identity\":{\"@odata.type\":\"#microsoft.graph.identitySet\",\"user\":{"
	    "\"@odata.type\":\"#microsoft.graph.identity\","
	    "\"id\":\"7e1b4346-85a6-4bdd-abe3-d11c5d420efe\",\"displayName\":\"string\"}},"
	    "\"tag\":\"0/0\"},"
	    "{\"@odata.type\":\"#microsoft.graph.invitationParticipantInfo\","
	    "\"replacesCallId\":\"a7ebfb2d-871e-419c-87af-27290b22e8db\","
	    "\"identity\":{\"@odata.type\":\"#microsoft.graph.identitySet\",\"user\":{"
	    "\"@odata.type\":\"#microsoft.graph.identity\","
	    "\"id\":\"1e126418-44a0-4a94-a6f8-0efe1ad71acb\",\"displayName\":\"string\"}},"
	    "\"tag\":\"0/1\"}],"
	    "\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\"}";
	struct world *w = *state;
	const json_t *reply;

	w->latency_us = 10000;
	world_give(w, (struct given){ .call = "7531d31f-d10d-44de-802f-c569dbca451c",
	                              .who = "7e1b4346-85a6-4bdd-abe3-d11c5d420efe "
	                                     "1e126418-44a0-4a94-a6f8-0efe1ad71acb",
	                              .raw = example });
	world_finish(w);
	EXPECT_REQUESTS(w, "7e1b4346-85a6-4bdd-abe3-d11c5d420efe",
	                "1e126418-44a0-4a94-a6f8-0efe1ad71acb");
	reply = world_find(w, 0, 0)->reply;
	assert_int_equal(json_array_size(json_object_get(reply, "operations")), 2);
	expect_status(w, 0, "accepted");
	expect_all_done(w);
}

static void twelve_participants_become_three_requests_and_one_reply(void **state)
{
	struct world *w = *state;
	const json_t *participants, *last;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "a b c d e f g h i j k l");
	world_command(w, 1, "call-a", "m");
	world_finish(w);
	EXPECT_REQUESTS(w, "a b c d e", "f g h i j", "k l", "m");
	participants = json_object_get(world_find(w, 0, 0)->reply, "participants");
	last = json_array_get(participants, 11);
	assert_int_equal(json_array_size(participants), 12);
	assert_int_equal(json_integer_value(json_object_get(last, "operation")), 2);
	expect_all_done(w);
}

static void the_same_identity_is_never_twice_in_a_request(void **state)
{
	struct world *w = *state;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "ANN");
	world_command(w, 2, "call-a", "bob ann bob");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "ANN", "bob ann", "bob");
	expect_all_done(w);
}

static void an_identity_that_is_written_with_escapes_is_the_same_one(void **state)
{
	static const char ann[] = "{\"callId\":\"call-a\",\"participants\":[{\"identity\":{"
	                          "\"us\\u0065r\":{\"id\":\"\\u0041nn\"}},\"tag\":\"1/0\"}]}";
	struct world *w = *state;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "ann");
	world_give(w, (struct given){ .offset = 1, .call = "call-a", .who = "Ann", .raw = ann });
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "Ann");
	expect_all_done(w);
}

static void a_command_that_needs_two_requests_shares_neither(void **state)
{
	struct world *w = *state;

	w->latency_us = 10000;
	world_command(w, 0, "call-a", "ann");
	world_command(w, 1, "call-a", "bob bob");
	world_command(w, 2, "call-a", "carl");
	world_finish(w);
	EXPECT_REQUESTS(w, "ann", "bob", "bob", "carl");
	expect_all_done(w);
}

static void high_priority_goes_before_what_waits_and_at_once(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	world_give(w,
	           (struct given){ .offset = 1, .call = "call-a", .who = "bob", .is_high = true });
	EXPECT_REQUESTS(w, "bob ann");
	world_command(w, 2, "call-a", "carl");
	world_give(w, (struct given){
	                  .offset = 3, .call = "call-a", .who = "+4930123456", .is_high = true });
	world_accept(w);
	EXPECT_REQUESTS(w, "bob ann", "+4930123456");
	world_accept(w);
	world_elapse(w, 20);
	EXPECT_REQUESTS(w, "bob ann", "+4930123456", "carl");
}

static void what_comes_while_a_request_is_out_waits_for_its_answer(void **state)
{
	struct world *w = *state;

	world_command(w, 0, "call-a", "ann");
	world_elapse(w, 20);
	world_command(w, 1, "call-a", "bob");
	world_command(w, 2, "call-a", "carl");
	world_elapse(w, 5000);
	EXPECT_REQUESTS(w, "ann");
	world_accept(w);
	EXPECT_REQUESTS(w, "ann", "bob carl");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(commands_within_the_window_share_a_request),
		WORLD_TEST(a_command_after_the_window_has_a_request_of_its_own),
		WORLD_TEST(without_a_window_a_request_leaves_at_once),
		WORLD_TEST(a_full_batch_leaves_at_once),
		WORLD_TEST(a_command_that_does_not_fit_lets_the_batch_leave_at_once),
		WORLD_TEST(whoever_replaces_or_moves_or_is_a_phone_goes_alone_and_in_order),
		WORLD_TEST(solo_participants_in_the_middle_of_a_command_go_alone_and_in_order),
		WORLD_TEST(commands_of_different_contexts_share_no_request),
		WORLD_TEST(a_context_of_ours_names_the_offsets_and_a_given_one_is_kept),
		WORLD_TEST(example_2_of_the_documentation_becomes_two_requests_and_one_reply),
		WORLD_TEST(twelve_participants_become_three_requests_and_one_reply),
		WORLD_TEST(the_same_identity_is_never_twice_in_a_request),
		WORLD_TEST(an_identity_that_is_written_with_escapes_is_the_same_one),
		WORLD_TEST(a_command_that_needs_two_requests_shares_neither),
		WORLD_TEST(high_priority_goes_before_what_waits_and_at_once),
		WORLD_TEST(what_comes_while_a_request_is_out_waits_for_its_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
