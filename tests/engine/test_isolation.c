/* One bad identity costs only itself, whatever else happens: requests that Graph refuses as a whole
 * are split, while calls are throttled, tokens refused and connections lost, in random histories
 * from a seed. Give a seed as the argument to replay one. */
#include "engine/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS    60
#define COMMANDS 40
#define CALLS    3

/* What became of one participant at Graph. */
struct fate {
	bool is_bad;
	unsigned n_accepted, n_refused_alone;
};

struct history {
	struct world world;
	struct random random;
	struct fate fates[COMMANDS][16];
	size_t n_participants[COMMANDS];
	unsigned n_split;         /* Requests of several that were refused */
	unsigned troubles_of_100; /* Answers that had no effect and ask for another try */
};

static uint64_t below(struct history *h, uint64_t bound)
{
	return random_below(&h->random, bound);
}

static bool chance(struct history *h, unsigned percent)
{
	return below(h, 100) < percent;
}

static struct policy random_policy(struct history *h)
{
	struct policy policy = world_policy();

	policy.batch_window = duration_ms(chance(h, 50) ? 0 : 20);
	policy.batch_max = 2 + below(h, BATCH_MAX - 1);
	policy.max_in_flight = 1 + (uint32_t)below(h, 4);
	policy.max_hold = duration_ms(24 * 3600 * 1000);
	policy.max_attempts = 1000;
	policy.seed = random_next(&h->random);
	return policy;
}

/* A name that is bad says so. */
static void write_who(struct history *h, int64_t offset, char *who, size_t size)
{
	size_t n = chance(h, 30) ? 6 + below(h, 6) : 1 + below(h, 3);

	h->n_participants[offset] = n;
	who[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(who);
		bool is_bad = chance(h, 20);

		h->fates[offset][i].is_bad = is_bad;
		snprintf(who + used, size - used, "%s%s%d-%zu", i > 0 ? " " : "",
		         is_bad ? "bad" : "u", (int)offset, i);
	}
}

static void give(struct history *h, int64_t offset)
{
	char call[16], who[400];

	snprintf(call, sizeof(call), "call-%d", (int)below(h, CALLS));
	write_who(h, offset, who, sizeof(who));
	world_give(
	    &h->world,
	    (struct given){ .offset = offset, .call = call, .who = who, .is_high = chance(h, 10) });
}

static struct fate *fate_of(struct history *h, const json_t *participant)
{
	long long offset;
	size_t index;

	assert_int_equal(sscanf(json_string_value(json_object_get(participant, "tag")), "%lld/%zu",
	                        &offset, &index),
	                 2);
	return &h->fates[offset][index];
}

/* Refused when one of them is bad; nobody comes again who was decided. */
static bool note_participants(struct history *h, const struct world_post *post, bool is_served)
{
	const json_t *participants = json_object_get(post->body, "participants"), *one;
	bool is_refused = false;
	size_t i;

	json_array_foreach(participants, i, one)
	{
		struct fate *fate = fate_of(h, one);

		assert_int_equal(fate->n_accepted, 0);
		assert_int_equal(fate->n_refused_alone, 0);
		is_refused = is_refused || fate->is_bad;
	}
	h->n_split += is_served && is_refused && json_array_size(participants) > 1;
	json_array_foreach(participants, i, one)
	{
		struct fate *fate = fate_of(h, one);

		fate->n_accepted += is_served && !is_refused;
		fate->n_refused_alone +=
		    is_served && is_refused && json_array_size(participants) == 1;
	}
	return is_refused;
}

static void answer(struct history *h, struct world_post *post)
{
	static const struct answer troubles[] = {
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "1" },
		{ ANSWER_COMPLETE, .http_status = 429, .retry_after = "0.25" },
		{ ANSWER_COMPLETE, .http_status = 429 },
		{ ANSWER_COMPLETE, .http_status = 503, .retry_after = "2" },
		{ ANSWER_COMPLETE, .http_status = 401 },
		{ ANSWER_NO_TOKEN, .http_status = 0 },
		{ ANSWER_NOT_SENT, .http_status = 0 },
		{ ANSWER_NOT_SENT, .http_status = 0, .is_withheld = true },
	};
	static const struct answer refusals[] = {
		{ ANSWER_COMPLETE, .http_status = 400 },
		{ ANSWER_COMPLETE, .http_status = 403,
		  .body = { "{\"error\":{\"code\":\"7505\"}}", 25 } },
	};
	bool is_trouble = chance(h, h->troubles_of_100);
	bool is_refused = note_participants(h, post, !is_trouble);

	if (is_trouble)
		world_answer_post(&h->world, post, troubles[below(h, 8)]);
	else if (is_refused)
		world_answer_post(&h->world, post, refusals[below(h, 2)]);
	else
		world_accept_post(&h->world, post);
}

/* Answer one of the open requests. */
static void answer_any(struct history *h)
{
	struct world *w = &h->world;
	size_t nth = below(h, world_open_posts(w));

	for (size_t i = w->first_open; i < w->n_posts; i++) {
		if (w->posts[i].is_open && nth-- == 0) {
			answer(h, &w->posts[i]);
			return;
		}
	}
}

static const char *text_of(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static void judge_participant(const struct fate *fate, const json_t *result)
{
	const json_t *error = json_object_get(result, "error");

	if (fate->is_bad) {
		assert_string_equal(text_of(result, "status"), "failed");
		assert_string_equal(text_of(error, "code"), "refused");
		assert_int_equal(fate->n_accepted, 0);
		assert_int_equal(fate->n_refused_alone, 1);
	} else {
		assert_string_equal(text_of(result, "status"), "accepted");
		assert_true(json_is_null(error));
		assert_int_equal(fate->n_accepted, 1);
	}
}

static void judge_reply(struct history *h, int64_t offset)
{
	const json_t *reply = world_find(&h->world, 0, offset)->reply;
	const json_t *results = json_object_get(reply, "participants");
	size_t n = h->n_participants[offset], n_bad = 0;

	assert_int_equal(json_array_size(results), n);
	for (size_t i = 0; i < n; i++) {
		judge_participant(&h->fates[offset][i], json_array_get(results, i));
		n_bad += h->fates[offset][i].is_bad;
	}
	assert_string_equal(text_of(reply, "status"), n_bad == 0   ? "accepted"
	                                              : n_bad == n ? "failed"
	                                                           : "partial");
}

/* How many requests were split. */
static unsigned run(uint64_t seed)
{
	struct history h = { .troubles_of_100 = 0 };
	struct world *w = &h.world;
	int64_t offset = 0;

	random_init(&h.random, seed);
	world_open(w, random_policy(&h));
	h.troubles_of_100 = (unsigned)below(&h, 60);
	while (offset < COMMANDS || world_open_posts(w) > 0 || w->n_alarms > 0) {
		if (offset < COMMANDS && chance(&h, 40))
			give(&h, offset++);
		else if (world_open_posts(w) > 0 && chance(&h, 80))
			answer_any(&h);
		else
			world_elapse(w, (int64_t)below(&h, 500));
	}
	for (int64_t i = 0; i < COMMANDS; i++)
		judge_reply(&h, i);
	expect_all_done(w);
	world_close(w);
	return h.n_split;
}

static void a_bad_identity_costs_only_itself_in_random_histories(void **state)
{
	uint64_t *seed = *state;
	unsigned n_split = 0;

	for (uint64_t first = *seed; *seed < first + SEEDS; (*seed)++)
		n_split += run(*seed);
	assert_true(n_split > SEEDS);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(a_bad_identity_costs_only_itself_in_random_histories,
		                          &seed),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed)
		fprintf(stderr, "replay with: %s %llu\n", argv[0], (unsigned long long)seed);
	return failed;
}
