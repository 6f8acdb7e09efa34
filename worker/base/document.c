/* Reading JSON: see document.h. One function for each rule of the grammar; those that read a value
 * call each other as deep as the limit allows. */
#include "worker/base/document.h"

#include "worker/base/plain.h"
#include "worker/base/utf8.h"

#include <math.h>
#include <stdlib.h>

#define SMALL_OBJECT 16 /* Up to so many members are compared each with each */

struct reader {
	struct document *document;
	const char *start, *at, *end;
	unsigned depth; /* How much deeper it may go */
};

static bool fail(struct reader *r, enum document_problem problem, const char *at)
{
	r->document->problem = problem;
	r->document->problem_at = (size_t)(at - r->start);
	return false;
}

static bool fail_syntax(struct reader *r)
{
	return fail(r, DOCUMENT_SYNTAX, r->at);
}

static void skip_space(struct reader *r)
{
	while (r->at < r->end &&
	       (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
}

static bool is_next(const struct reader *r, char c)
{
	return r->at < r->end && *r->at == c;
}

static bool grow(struct document *d)
{
	bool is_room = d->values == d->room;
	size_t size = d->capacity * sizeof(*d->values);
	struct value *values = realloc(is_room ? NULL : d->values, 2 * size);

	if (!values)
		return false;
	if (is_room)
		memcpy(values, d->room, size);
	d->values = values;
	d->capacity *= 2;
	return true;
}

/* A value that begins here; its index, or SIZE_MAX. */
static size_t begin_value(struct reader *r, enum value_kind kind)
{
	struct document *d = r->document;

	if (d->n == d->capacity && !grow(d)) {
		fail(r, DOCUMENT_NO_MEMORY, r->at);
		return SIZE_MAX;
	}
	d->values[d->n] = (struct value){ .raw = { .data = r->at }, .kind = kind };
	return d->n++;
}

static bool end_value(struct reader *r, size_t index)
{
	struct value *v = &r->document->values[index];

	v->raw.size = (size_t)(r->at - v->raw.data);
	v->span = (uint32_t)(r->document->n - index);
	return true;
}

/* Strings. */

/* Past all that stands for itself: up to a quote, a backslash, or what may not be there. */
static const char *skip_plain(const char *at, const char *end)
{
	while ((at += plain_run(at, (size_t)(end - at))) < end) {
		unsigned char c = (unsigned char)*at;
		size_t length = 1;

		if (c == '"' || c == '\\' || c < 0x20)
			return at;
		if (c >= 0x80)
			length = utf8_length(at, (size_t)(end - at));
		if (length == 0)
			return at;
		at += length;
	}
	return at;
}

/* Four hexadecimal digits; -1 when they are not there. */
static int hex4(const char *at, const char *end)
{
	int code = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		            : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                   : -1;

		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

/* "\uXXXX", or two of them for what lies above U+FFFF. */
static bool read_unicode(struct reader *r)
{
	int code = hex4(r->at + 2, r->end);
	char text[4];

	if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF))
		return fail_syntax(r);
	r->at += 6;
	if (code >= 0xD800 && code <= 0xDBFF) {
		int low = r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u'
		              ? hex4(r->at + 2, r->end)
		              : -1;

		if (low < 0xDC00 || low > 0xDFFF)
			return fail_syntax(r);
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		r->at += 6;
	}
	buffer_append(&r->document->decoded, text, utf8_encode((unsigned)code, text));
	return true;
}

static bool read_escape(struct reader *r)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (r->end - r->at < 2)
		return fail_syntax(r);
	if (r->at[1] == 'u')
		return read_unicode(r);
	letter = memchr(letters, r->at[1], sizeof(letters) - 1);
	if (!letter)
		return fail_syntax(r);
	buffer_append_char(&r->document->decoded, meanings[letter - letters]);
	r->at += 2;
	return true;
}

/* What strings mean is never longer than how they are written: with room for all of them at once,
 * nothing that was decoded moves any more. */
static bool reserve_decoded(struct reader *r)
{
	struct buffer *b = &r->document->decoded;

	if (b->data)
		return true;
	b->limit = (size_t)(r->end - r->start);
	b->data = malloc(b->limit + 1);
	if (!b->data)
		return fail(r, DOCUMENT_NO_MEMORY, r->at);
	b->data[0] = '\0';
	b->capacity = b->limit + 1;
	return true;
}

/* A string that has an escape; r->at is behind the quote. */
static bool decode(struct reader *r, struct bytes *ret)
{
	struct buffer *b = &r->document->decoded;
	size_t start;

	if (!reserve_decoded(r))
		return false;
	start = b->size;
	while (!is_next(r, '"')) {
		const char *stop = skip_plain(r->at, r->end);

		buffer_append(b, r->at, (size_t)(stop - r->at));
		r->at = stop;
		if (is_next(r, '\\') ? !read_escape(r) : !is_next(r, '"'))
			return false;
	}
	*ret = (struct bytes){ b->data + start, b->size - start };
	return true;
}

/* What stopped a string that is not one. */
static bool fail_string(struct reader *r)
{
	bool is_text = r->at == r->end || (unsigned char)*r->at < 0x80;

	return fail(r, is_text ? DOCUMENT_SYNTAX : DOCUMENT_UTF8, r->at);
}

static bool read_string(struct reader *r)
{
	size_t index = begin_value(r, VALUE_STRING);
	const char *start = ++r->at;
	struct bytes text;

	if (index == SIZE_MAX)
		return false;
	r->at = skip_plain(start, r->end);
	text = (struct bytes){ start, (size_t)(r->at - start) };
	if (is_next(r, '\\')) {
		r->at = start;
		if (!decode(r, &text))
			return r->document->problem ? false : fail_string(r);
	} else if (!is_next(r, '"')) {
		return fail_string(r);
	}
	r->document->values[index].text = text;
	r->at++;
	return end_value(r, index);
}

/* Numbers. */

static size_t skip_digits(struct reader *r)
{
	const char *start = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return (size_t)(r->at - start);
}

/* True when the integer, which has no leading zeros, is one of 64 bits. */
static bool fits_integer(const char *start, size_t size)
{
	bool is_negative = *start == '-';
	const char *most = is_negative ? "9223372036854775808" : "9223372036854775807";
	size_t n_most = strlen(most);
	size_t n = size - is_negative;

	return n < n_most || (n == n_most && memcmp(start + is_negative, most, n) <= 0);
}

/* Something that is no digit follows every number that stands in an array or an object, and ends
 * it for strtod() too; one that is the whole text is in no such place, and is not looked at. */
static bool fits(const struct reader *r, const char *start, bool is_integer)
{
	if (is_integer)
		return fits_integer(start, (size_t)(r->at - start));
	return r->at == r->end || isfinite(strtod(start, NULL));
}

static bool read_number(struct reader *r)
{
	size_t index = begin_value(r, VALUE_NUMBER);
	const char *start = r->at;
	bool is_integer = true;
	const char *first;

	if (index == SIZE_MAX)
		return false;
	r->at += *r->at == '-';
	first = r->at;
	if (skip_digits(r) == 0 || (*first == '0' && r->at - first > 1))
		return fail_syntax(r);
	if (is_next(r, '.')) {
		is_integer = false;
		r->at++;
		if (skip_digits(r) == 0)
			return fail_syntax(r);
	}
	if (is_next(r, 'e') || is_next(r, 'E')) {
		is_integer = false;
		r->at++;
		r->at += is_next(r, '+') || is_next(r, '-');
		if (skip_digits(r) == 0)
			return fail_syntax(r);
	}
	return fits(r, start, is_integer) ? end_value(r, index) : fail(r, DOCUMENT_SYNTAX, start);
}

static bool read_word(struct reader *r, const char *word, enum value_kind kind)
{
	size_t size = strlen(word);
	size_t index = begin_value(r, kind);

	if (index == SIZE_MAX)
		return false;
	if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
		return fail_syntax(r);
	r->at += size;
	return end_value(r, index);
}

/* Arrays and objects. */

static bool read_value(struct reader *r);

static bool read_member(struct reader *r)
{
	skip_space(r);
	if (!is_next(r, '"'))
		return fail_syntax(r);
	if (!read_string(r))
		return false;
	skip_space(r);
	if (!is_next(r, ':'))
		return fail_syntax(r);
	r->at++;
	return read_value(r);
}

/* What stands between the brackets, the closing one included. */
static bool read_items(struct reader *r, char close, bool (*read)(struct reader *r))
{
	r->at++;
	skip_space(r);
	if (is_next(r, close)) {
		r->at++;
		return true;
	}
	while (read(r)) {
		skip_space(r);
		if (is_next(r, close)) {
			r->at++;
			return true;
		}
		if (!is_next(r, ','))
			return fail_syntax(r);
		r->at++;
	}
	return false;
}

static int compare_names(const void *a, const void *b)
{
	const struct bytes *left = &(*(const struct value *const *)a)->text;
	const struct bytes *right = &(*(const struct value *const *)b)->text;

	if (left->size != right->size)
		return left->size < right->size ? -1 : 1;
	return left->size == 0 ? 0 : memcmp(left->data, right->data, left->size);
}

/* The later of two equal names, or NULL. */
static const struct value *find_repeated_small(const struct value *object)
{
	const struct value *name, *other;

	VALUE_EACH (object, name) {
		for (other = value_first(object); other != name; other = value_next(object, other))
			if (bytes_equal(name->text, other->text))
				return name;
	}
	return NULL;
}

static bool find_repeated_large(struct reader *r, const struct value *object, size_t n,
                                const struct value **ret)
{
	const struct value **names = malloc(n * sizeof(*names));
	const struct value *name;
	size_t i = 0;

	*ret = NULL;
	if (!names)
		return fail(r, DOCUMENT_NO_MEMORY, r->at);
	VALUE_EACH (object, name) {
		names[i++] = name;
	}
	qsort(names, n, sizeof(*names), compare_names);
	for (i = 1; i < n && !*ret; i++)
		if (bytes_equal(names[i]->text, names[i - 1]->text))
			*ret = names[i];
	free(names);
	return true;
}

static bool check_names(struct reader *r, size_t index)
{
	const struct value *object = &r->document->values[index];
	const struct value *repeated = NULL;
	size_t n;

	n = value_count(object);
	if (n <= SMALL_OBJECT)
		repeated = find_repeated_small(object);
	else if (!find_repeated_large(r, object, n, &repeated))
		return false;
	return !repeated || fail(r, DOCUMENT_REPEATED, repeated->raw.data);
}

static bool read_container(struct reader *r, enum value_kind kind)
{
	size_t index = begin_value(r, kind);
	bool is_object = kind == VALUE_OBJECT;

	if (index == SIZE_MAX)
		return false;
	if (r->depth == 0)
		return fail(r, DOCUMENT_DEPTH, r->at);
	r->depth--;
	if (!read_items(r, is_object ? '}' : ']', is_object ? read_member : read_value))
		return false;
	r->depth++;
	return end_value(r, index) && (!is_object || check_names(r, index));
}

static bool read_value(struct reader *r)
{
	skip_space(r);
	if (r->at == r->end)
		return fail_syntax(r);
	switch (*r->at) {
	case '{':
		return read_container(r, VALUE_OBJECT);
	case '[':
		return read_container(r, VALUE_ARRAY);
	case '"':
		return read_string(r);
	case 'n':
		return read_word(r, "null", VALUE_NULL);
	case 't':
		return read_word(r, "true", VALUE_TRUE);
	case 'f':
		return read_word(r, "false", VALUE_FALSE);
	default:
		return read_number(r);
	}
}

const struct value *document_read(struct document *d, struct bytes input, unsigned depth)
{
	const char *start = input.size > 0 ? input.data : "";
	struct reader r = { .document = d,
		            .start = start,
		            .at = start,
		            .end = start + input.size,
		            .depth = depth };

	d->values = d->room;
	d->n = 0;
	d->capacity = DOCUMENT_ROOM;
	d->decoded = (struct buffer){ 0 };
	d->problem = DOCUMENT_OK;
	d->problem_at = 0;
	if (input.size > UINT32_MAX) {
		fail(&r, DOCUMENT_NO_MEMORY, r.at);
		return NULL;
	}
	if (!read_value(&r))
		return NULL;
	skip_space(&r);
	if (r.at < r.end) {
		fail_syntax(&r);
		return NULL;
	}
	return d->values;
}

void document_close(struct document *d)
{
	if (d->values != d->room)
		free(d->values);
	buffer_close(&d->decoded);
}

/* Looking at values. */

const struct value *value_named(const struct value *object, struct bytes name)
{
	const struct value *at;

	if (!value_is(object, VALUE_OBJECT))
		return NULL;
	VALUE_EACH (object, at) {
		if (bytes_equal(at->text, name))
			return value_of(at);
	}
	return NULL;
}

size_t value_count(const struct value *v)
{
	const struct value *at;
	size_t n = 0;

	VALUE_EACH (v, at) {
		n++;
	}
	return n;
}
