/* Which records go into a transaction: a reply and its dead letter into the same one. */
#include "worker/io/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Replies have odd ids, and the dead letter of a reply the next one. */
static void add(struct outbox *o, uint64_t id, uint64_t with_id)
{
	const struct publisher_write write = { .id = id,
		                               .with_id = with_id,
		                               .topic = id % 2 ? "replies" : "letters",
		                               .value = bytes_of("{}") };

	outbox_add(o, &write);
}

static void add_pair(struct outbox *o, uint64_t id)
{
	add(o, id, 0);
	add(o, id + 1, id);
}

static void expect_list(const struct kafka_write *list, const uint64_t *ids, size_t n)
{
	const struct kafka_write *w = list;

	for (size_t i = 0; i < n; i++, w = w->next) {
		assert_non_null(w);
		assert_int_equal(w->id, ids[i]);
	}
	assert_null(w);
}

#define EXPECT(list, ...)                                                                          \
	expect_list(list, (const uint64_t[]){ __VA_ARGS__ },                                       \
	            sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* The broker did not take it. */
static void refuse(struct outbox *o, uint64_t id, bool is_taken)
{
	for (struct kafka_write *w = o->batch; w; w = w->next) {
		w->is_taken = is_taken || w->id != id;
		w->error = w->id == id ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
		                       : RD_KAFKA_RESP_ERR__PURGE_QUEUE;
	}
}

static void expect_refused(struct outbox *o, uint64_t id)
{
	struct kafka_write *w = outbox_refused(o, outbox_is_alone(o));

	assert_non_null(w);
	assert_int_equal(w->id, id);
	kafka_write_free(w);
}

static void no_more_than_the_limit_are_taken(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	for (uint64_t id = 1; id < 10; id += 2)
		add(&o, id, 0);
	outbox_take(&o, 3);
	EXPECT(o.batch, 1, 3, 5);
	EXPECT(o.waiting, 7, 9);
	outbox_close(&o);
}

static void a_pair_is_not_cut_at_the_limit(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add(&o, 1, 0);
	add_pair(&o, 3);
	add_pair(&o, 5);
	outbox_take(&o, 2);
	EXPECT(o.batch, 1, 3, 4);
	EXPECT(o.waiting, 5, 6);
	assert_true(outbox_is_whole(&o));
	assert_false(outbox_is_alone(&o));
	outbox_forget_batch(&o);
	outbox_take(&o, 2);
	EXPECT(o.batch, 5, 6);
	assert_true(outbox_is_alone(&o));
	outbox_close(&o);
	assert_int_equal(o.pending, 0);
}

static void a_pair_stays_one_when_it_is_put_back(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add_pair(&o, 1);
	outbox_take(&o, 1);
	outbox_put_back(&o);
	outbox_take(&o, 1);
	EXPECT(o.batch, 1, 2);
	outbox_close(&o);
}

static void a_letter_in_place_of_a_refused_one_belongs_to_its_reply(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add_pair(&o, 1);
	add(&o, 3, 0);
	outbox_take(&o, 10);
	refuse(&o, 2, false);
	expect_refused(&o, 2);
	assert_true(outbox_is_whole(&o));
	add(&o, 5, 0);
	add(&o, 6, 1);
	assert_false(outbox_is_whole(&o));
	outbox_put_back(&o);
	outbox_take(&o, 1);
	EXPECT(o.batch, 1, 6);
	EXPECT(o.waiting, 3, 5);
	outbox_close(&o);
}

/* Each time the suspect, then the others; a reply waits for what becomes of its letter. */
static void a_suspect_and_its_reply_are_tried_without_others(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add(&o, 1, 0);
	add_pair(&o, 3);
	outbox_take(&o, 10);
	refuse(&o, 4, true);
	assert_null(outbox_refused(&o, outbox_is_alone(&o)));
	outbox_put_back(&o);
	outbox_take(&o, 1);
	EXPECT(o.batch, 3, 4);
	EXPECT(o.waiting, 1);
	outbox_put_back(&o);
	outbox_take(&o, 10);
	EXPECT(o.batch, 1);
	outbox_put_back(&o);
	outbox_take(&o, 10);
	refuse(&o, 4, true);
	expect_refused(&o, 4);
	EXPECT(o.batch, 3);
	outbox_close(&o);
}

static void one_of_a_pair_that_is_stored_leaves_the_other_alone(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add_pair(&o, 1);
	outbox_take(&o, 10);
	kafka_write_free(outbox_stored(&o));
	EXPECT(o.batch, 2);
	assert_null(o.batch->partner);
	assert_true(outbox_is_alone(&o));
	outbox_close(&o);
}

static void two_of_one_topic_are_judged_one_by_one(void **state)
{
	struct outbox o = { 0 };

	(void)state;
	add(&o, 1, 0);
	add(&o, 3, 1);
	outbox_take(&o, 10);
	assert_false(outbox_is_alone(&o));
	outbox_close(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_the_limit_are_taken),
		cmocka_unit_test(a_pair_is_not_cut_at_the_limit),
		cmocka_unit_test(a_pair_stays_one_when_it_is_put_back),
		cmocka_unit_test(a_letter_in_place_of_a_refused_one_belongs_to_its_reply),
		cmocka_unit_test(a_suspect_and_its_reply_are_tried_without_others),
		cmocka_unit_test(one_of_a_pair_that_is_stored_leaves_the_other_alone),
		cmocka_unit_test(two_of_one_topic_are_judged_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
