/* Reading JSON that nobody vouches for; jansson is asked what is right. */
#include "worker/base/document.h"
#include "worker/base/random.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEPTH       16
#define CHANGES     200000
#define NUMBER_SIZE 128

static enum document_problem problem_of(const char *text, size_t *ret_at)
{
	struct document d;
	bool was_read = document_read(&d, bytes_of(text), DEPTH);

	assert_int_equal(was_read, d.problem == DOCUMENT_OK);
	*ret_at = d.problem_at;
	document_close(&d);
	return d.problem;
}

static void assert_problem(const char *text, enum document_problem problem, size_t at)
{
	size_t found;

	assert_int_equal(problem_of(text, &found), problem);
	assert_int_equal(found, at);
}

static void members_and_items_are_found(void **state)
{
	static const char text[] =
	    " {\"a\" : [ 1, -2.5e+3 , {\"b\":null} ], \"c\\n\":\"x\\u00e9y\", \"d\":true}\n";
	struct document d;
	const struct value *root = document_read(&d, bytes_of(text), DEPTH);
	const struct value *a = value_member(root, "a"), *at;
	size_t n = 0;

	(void)state;
	assert_true(value_is(root, VALUE_OBJECT));
	assert_int_equal(value_count(root), 3);
	assert_int_equal(value_count(a), 3);
	assert_true(bytes_equal_text(a->raw, "[ 1, -2.5e+3 , {\"b\":null} ]"));
	VALUE_EACH (a, at) {
		n++;
	}
	assert_int_equal(n, 3);
	at = value_next(a, value_next(a, value_first(a)));
	assert_true(value_is_absent(value_member(at, "b")));
	assert_true(bytes_equal_text(value_text(value_member(root, "c\n")), "x\xC3\xA9y"));
	assert_true(value_is(value_member(root, "d"), VALUE_TRUE));
	assert_null(value_member(root, "e"));
	assert_null(value_member(a, "a"));
	assert_null(value_text(a).data);
	assert_null(value_first(value_of(value_first(at))));
	document_close(&d);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
	(void)state;
	assert_problem("", DOCUMENT_SYNTAX, 0);
	assert_problem("[1,]", DOCUMENT_SYNTAX, 3);
	assert_problem("[1] [2]", DOCUMENT_SYNTAX, 4);
	assert_problem("[01]", DOCUMENT_SYNTAX, 3);
	assert_problem("[\"\xC3\"]", DOCUMENT_UTF8, 2);
	assert_problem("[\"\\n\xC3\"]", DOCUMENT_UTF8, 4);
	assert_problem("{\"a\":1,\"\\u0061\":2}", DOCUMENT_REPEATED, 7);
	assert_problem("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", DOCUMENT_DEPTH, 16);
	assert_problem("[99999999999999999999]", DOCUMENT_SYNTAX, 1);
	assert_problem("[1e999]", DOCUMENT_SYNTAX, 1);
	assert_problem("[1e-999]", DOCUMENT_OK, 0);
}

static void a_member_that_is_there_twice_is_found_among_many(void **state)
{
	struct document d;
	struct buffer text;

	(void)state;
	buffer_init(&text, 65536);
	buffer_append_char(&text, '{');
	for (int i = 0; i < 2000; i++)
		buffer_printf(&text, "\"m%d\":%d,", i, i);
	buffer_append_text(&text, "\"m1234\":0}");
	assert_null(document_read(&d, buffer_bytes(&text), DEPTH));
	assert_int_equal(d.problem, DOCUMENT_REPEATED);
	document_close(&d);
	buffer_close(&text);
}

/* A number as a string: what was read has no end that strtod() would see. */
static const char *number_text(const struct value *v, char room[static NUMBER_SIZE])
{
	assert_in_range(v->raw.size, 1, NUMBER_SIZE - 1);
	memcpy(room, v->raw.data, v->raw.size);
	room[v->raw.size] = '\0';
	return room;
}

/* Both say the same of a text: whether it is JSON, and what it means. */
static void assert_same(const struct value *v, const json_t *json)
{
	char number[NUMBER_SIZE];
	const struct value *at;
	size_t i = 0;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
		assert_true(value_is(v, VALUE_OBJECT));
		assert_int_equal(value_count(v), json_object_size(json));
		VALUE_EACH (v, at) {
			const json_t *member = json_object_getn(json, at->text.data, at->text.size);

			assert_non_null(member);
			assert_same(value_of(at), member);
		}
		return;
	case JSON_ARRAY:
		assert_true(value_is(v, VALUE_ARRAY));
		assert_int_equal(value_count(v), json_array_size(json));
		VALUE_EACH (v, at) {
			assert_same(at, json_array_get(json, i++));
		}
		return;
	case JSON_STRING:
		assert_true(bytes_equal(value_text(v), (struct bytes){ json_string_value(json),
		                                                       json_string_length(json) }));
		return;
	case JSON_INTEGER:
		assert_int_equal(strtoll(number_text(v, number), NULL, 10),
		                 json_integer_value(json));
		return;
	case JSON_REAL:
		assert_true(strtod(number_text(v, number), NULL) == json_real_value(json));
		return;
	case JSON_TRUE:
		assert_true(value_is(v, VALUE_TRUE));
		return;
	case JSON_FALSE:
		assert_true(value_is(v, VALUE_FALSE));
		return;
	case JSON_NULL:
		assert_true(value_is(v, VALUE_NULL));
		return;
	}
	fail();
}

static void compare(struct bytes text)
{
	json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
	struct document d;
	const struct value *root = document_read(&d, text, 64);

	/* jansson takes only arrays and objects here. */
	if (!json && root && root->kind < VALUE_ARRAY)
		root = NULL;
	if ((root == NULL) != (json == NULL))
		fail_msg("they differ about %.*s", (int)text.size, text.data);
	if (json)
		assert_same(root, json);
	json_decref(json);
	document_close(&d);
}

static void jansson_says_the_same_of_texts_with_a_few_bytes_changed(void **state)
{
	static const char *const seeds[] = {
		"{\"a\":[1,-2.5e3,{\"b\":null}],\"c\":\"x\\u00e9\\ud83d\\ude00\\n\\/\",\"d\":true,"
		"\"e\":\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"}",
		"[[],{},\"\",0,-0,1e5,1E+5,0.5,9223372036854775807,-9223372036854775808,1e308,"
		"1e-400,true,false,null]",
	};
	static const char bytes[] =
	    "\"\"\"\\\\{}[]:,0123456789eE+-.truefalsn \n\t\r\x01\x7F\x80\xBF\xC0\xED\xEF\xF4ud";
	struct random random;

	(void)state;
	random_init(&random, 6);
	for (int i = 0; i < CHANGES; i++) {
		const char *seed = seeds[i % 2];
		size_t size = strlen(seed);
		/* As large as the text, so that a sanitizer sees a step behind it. */
		char *text = malloc(size);

		assert_non_null(text);
		memcpy(text, seed, size);
		for (uint64_t n = 1 + random_below(&random, 4); n > 0; n--) {
			size_t at = random_below(&random, size);

			if (random_below(&random, 4) == 0 && at + 1 < size)
				memmove(text + at, text + at + 1, --size - at);
			else
				text[at] = bytes[random_below(&random, sizeof(bytes) - 1)];
		}
		compare((struct bytes){ text, size });
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_items_are_found),
		cmocka_unit_test(what_is_wrong_is_told_with_its_place),
		cmocka_unit_test(a_member_that_is_there_twice_is_found_among_many),
		cmocka_unit_test(jansson_says_the_same_of_texts_with_a_few_bytes_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
