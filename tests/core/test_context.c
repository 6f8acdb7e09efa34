/* The worker's own clientContext: what is written says what was carried. */
#include "worker/base/random.h"
#include "worker/core/context.h"
#include "worker/core/partition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOPIC bytes_of("invite-commands")

static struct job *job_at(struct partition *partition, int64_t offset, size_t n_participants)
{
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->partition = partition;
	job->entry.offset = offset;
	job->n_results = (uint8_t)n_participants;
	job->attempts = 1;
	return job;
}

static void carry(struct batch *batch, struct job *job, size_t index)
{
	batch->items[batch->n++] = (struct batch_item){ job, index };
}

static void assert_written(const struct batch *batch, const char *expected)
{
	struct buffer text;

	buffer_init(&text, CONTEXT_SIZE_MAX);
	context_write(batch, TOPIC, &text);
	assert_true(buffer_ok(&text));
	assert_string_equal(text.data, expected);
	buffer_close(&text);
}

static bool covers(const char *context, int64_t offset, size_t index)
{
	return context_covers(bytes_of(context), TOPIC, 3, offset, index);
}

static void commands_that_are_carried_whole_are_named_by_their_offsets(void **state)
{
	struct partition p = { .number = 3 };
	struct job *a = job_at(&p, 41, 2), *b = job_at(&p, 50, 1);
	struct batch batch = { 0 };

	(void)state;
	carry(&batch, a, 0);
	carry(&batch, a, 1);
	carry(&batch, b, 0);
	a->attempts = 2;
	assert_written(&batch, "iw:28ee4ca5:3:41,50:2");
	free(a);
	free(b);
}

static void a_part_of_a_command_is_named_by_its_participants(void **state)
{
	struct partition p = { .number = 3 };
	struct job *a = job_at(&p, 41, 12);
	struct batch batch = { 0 };

	(void)state;
	for (size_t i = 0; i < 5; i++)
		carry(&batch, a, i);
	assert_written(&batch, "iw:28ee4ca5:3:41+0*5:1");
	batch.n = 0;
	carry(&batch, a, 10);
	carry(&batch, a, 11);
	assert_written(&batch, "iw:28ee4ca5:3:41+10*2:1");
	batch.n = 0;
	carry(&batch, a, 0);
	carry(&batch, a, 2);
	carry(&batch, a, 3);
	assert_written(&batch, "iw:28ee4ca5:3:41+0*1+2*2:1");
	free(a);
}

static void the_longest_fits(void **state)
{
	struct partition p = { .number = INT32_MAX };
	struct job *jobs[BATCH_MAX];
	struct batch batch = { 0 };
	struct buffer text;

	(void)state;
	buffer_init(&text, CONTEXT_SIZE_MAX);
	for (size_t i = 0; i < BATCH_MAX; i++) {
		jobs[i] = job_at(&p, INT64_MAX - BATCH_MAX + (int64_t)i, 100);
		jobs[i]->attempts = UINT32_MAX;
		carry(&batch, jobs[i], 99);
	}
	context_write(&batch, TOPIC, &text);
	assert_true(buffer_ok(&text));
	print_message("5 offsets of 19 digits, each in part: %zu bytes\n", text.size);
	for (size_t i = 0; i < BATCH_MAX; i++) {
		assert_true(context_covers(buffer_bytes(&text), TOPIC, INT32_MAX,
		                           jobs[i]->entry.offset, 99));
		free(jobs[i]);
	}
	buffer_close(&text);
}

static void a_whole_command_covers_all_its_participants(void **state)
{
	(void)state;
	assert_true(covers("iw:28ee4ca5:3:41,50:2", 41, 0));
	assert_true(covers("iw:28ee4ca5:3:41,50:2", 50, 99));
	assert_false(covers("iw:28ee4ca5:3:41,50:2", 42, 0));
	assert_false(covers("iw:28ee4ca5:3:41,50:2", 4, 0));
	assert_false(covers("iw:28ee4ca5:3:41,50:2", 2, 0));
}

static void a_part_covers_only_what_it_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < 100; i++) {
		bool second = i >= 5 && i < 9;

		assert_int_equal(covers("iw:28ee4ca5:3:41+5*4:1", 41, i), second);
		assert_int_equal(covers("iw:28ee4ca5:3:40,41+0*1+5*4:1", 41, i), i == 0 || second);
		assert_int_equal(covers("iw:28ee4ca5:3:41+5*4,42:1", 42, i), true);
	}
}

static void other_topics_and_partitions_are_not_covered(void **state)
{
	(void)state;
	assert_false(covers("iw:28ee4ca4:3:41:1", 41, 0));
	assert_false(covers("iw:28ee4ca5:31:41:1", 41, 0));
	assert_false(covers("iw:28ee4ca5:4:41:1", 41, 0));
}

static void what_is_not_of_the_form_covers_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"iw:28ee4ca5:3",
		"iw:28ee4ca5:3:",
		"iw:28ee4ca5:3:41",
		"iw:28ee4ca5:3:41:",
		"iw:28ee4ca5:3:41:1 ",
		"iw:28ee4ca5:3:41:1:1",
		"iw:28ee4ca5:3:41:01",
		"iw:28ee4ca5:3:41:4294967296",
		"iw:28ee4ca5:3:41,:1",
		"iw:28ee4ca5:3:,41:1",
		"iw:28ee4ca5:3:041:1",
		"iw:28ee4ca5:3:41,9223372036854775808:1",
		"iw:28ee4ca5:3:41+0:1",
		"iw:28ee4ca5:3:41+0*0:1",
		"iw:28ee4ca5:3:41+0*:1",
		"iw:28ee4ca5:3:41+*5:1",
		"iw:28ee4ca5:3:41*5:1",
		"iw:28ee4ca5:3:41+0*101:1",
		"iw:28ee4ca5:3:41+0*1+99*5:1",
		"iw:28ee4ca5:3:41+100*1:1",
		"IW:28ee4ca5:3:41:1",
		"67cbe828-0000-4000-8000-000000000000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (covers(texts[i], 41, 0))
			fail_msg("\"%s\" covers", texts[i]);
	assert_true(covers("iw:28ee4ca5:3:41:1", 41, 0));
}

/* Random parts of random commands: what is in the batch is covered, and nothing else. */
static void covers_exactly_what_was_written(void **state)
{
	struct partition p = { .number = 3 };
	struct random r;

	(void)state;
	random_init(&r, 9);
	for (int round = 0; round < 2000; round++) {
		struct job *job = job_at(&p, (int64_t)random_below(&r, 1000), 8);
		bool is_in[8] = { false };
		struct batch batch = { 0 };
		struct buffer text;

		for (size_t i = 0; i < 8 && batch.n < BATCH_MAX; i++) {
			is_in[i] = random_below(&r, 2) == 0;
			if (is_in[i])
				carry(&batch, job, i);
		}
		buffer_init(&text, CONTEXT_SIZE_MAX);
		if (batch.n > 0)
			context_write(&batch, TOPIC, &text);
		for (size_t i = 0; i < 8; i++)
			assert_int_equal(
			    context_covers(buffer_bytes(&text), TOPIC, 3, job->entry.offset, i),
			    is_in[i]);
		buffer_close(&text);
		free(job);
	}
}

static void what_was_written_can_be_read_part_by_part(void **state)
{
	struct context c;

	(void)state;
	assert_true(context_read(bytes_of("iw:28ee4ca5:3:41,50+0*1+2*2,51:4294967295"), &c));
	assert_true(context_is_of(&c, TOPIC));
	assert_false(context_is_of(&c, bytes_of("invite-command")));
	assert_int_equal(c.partition, 3);
	assert_int_equal(c.attempt, UINT32_MAX);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.parts[0].offset, 41);
	assert_int_equal(c.parts[0].count, 0);
	assert_int_equal(c.parts[1].offset, 50);
	assert_int_equal(c.parts[1].first, 0);
	assert_int_equal(c.parts[1].count, 1);
	assert_int_equal(c.parts[2].offset, 50);
	assert_int_equal(c.parts[2].first, 2);
	assert_int_equal(c.parts[2].count, 2);
	assert_int_equal(c.parts[3].offset, 51);
}

/* A request carries at most BATCH_MAX participants. */
static void more_than_a_request_carries_is_not_of_the_form(void **state)
{
	struct context c;

	(void)state;
	assert_true(context_read(bytes_of("iw:28ee4ca5:3:1,2,3,4,5:1"), &c));
	assert_false(context_read(bytes_of("iw:28ee4ca5:3:1,2,3,4,5,6:1"), &c));
	assert_false(context_read(bytes_of("iw:28ee4ca5:3:1+0*1+2*1+4*1+6*1+8*1+10*1:1"), &c));
	assert_false(context_read(bytes_of("iw:28EE4CA5:3:1:1"), &c));
	assert_false(context_read((struct bytes){ "iw:28ee4ca\0:3:1:1", 17 }, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_that_are_carried_whole_are_named_by_their_offsets),
		cmocka_unit_test(a_part_of_a_command_is_named_by_its_participants),
		cmocka_unit_test(the_longest_fits),
		cmocka_unit_test(a_whole_command_covers_all_its_participants),
		cmocka_unit_test(a_part_covers_only_what_it_names),
		cmocka_unit_test(other_topics_and_partitions_are_not_covered),
		cmocka_unit_test(what_is_not_of_the_form_covers_nothing),
		cmocka_unit_test(covers_exactly_what_was_written),
		cmocka_unit_test(what_was_written_can_be_read_part_by_part),
		cmocka_unit_test(more_than_a_request_carries_is_not_of_the_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
