/* JSON (RFC 8259) read from bytes that nobody vouches for, in place: what a command or an answer is
 * made of takes no allocation.
 *
 * The values lie one after another in the document, and strings stay where they are, unless they
 * have escapes. What is not JSON to the letter is refused, as are members that are there twice,
 * U+0000, halves of surrogate pairs, and numbers that fit neither 64 bits nor a double. */
#ifndef WORKER_BASE_DOCUMENT_H
#define WORKER_BASE_DOCUMENT_H

#include "worker/base/buffer.h"

enum value_kind {
	VALUE_NULL,
	VALUE_FALSE,
	VALUE_TRUE,
	VALUE_NUMBER,
	VALUE_STRING,
	VALUE_ARRAY,
	VALUE_OBJECT
};

/* The values of an array follow it; those of an object too, each behind the string that names it.
 */
struct value {
	struct bytes raw;  /* As it stands in what was read: quotes, brackets and all */
	struct bytes text; /* Of a string: what it means */
	uint32_t span;     /* Values in it, itself included: the next one is so far away */
	enum value_kind kind;
};

enum document_problem {
	DOCUMENT_OK,
	DOCUMENT_SYNTAX,
	DOCUMENT_UTF8,     /* Not UTF-8 */
	DOCUMENT_REPEATED, /* A member is there twice */
	DOCUMENT_DEPTH,    /* Nested too deep */
	DOCUMENT_NO_MEMORY
};

/* Values that a document holds without an allocation. */
#define DOCUMENT_ROOM 64

struct document {
	struct value *values; /* 'room', or owned; the first one is the whole */
	size_t n, capacity;
	struct buffer decoded; /* What strings with escapes mean */
	enum document_problem problem;
	size_t problem_at; /* Which byte of the input it was */
	struct value room[DOCUMENT_ROOM];
};

/* Read 'input', which must live as long as what is read is used, with at most 'depth' arrays and
 * objects in each other. The whole; NULL, and 'problem' says why, when it cannot be read. Close
 * '*d' in any case. */
const struct value *document_read(struct document *d, struct bytes input,
                                  unsigned depth) MUST_CHECK;

void document_close(struct document *d);

/* Each of these takes NULL as a value of no kind. */
static inline bool value_is(const struct value *v, enum value_kind kind)
{
	return v && v->kind == kind;
}

/* Not there, or null. */
static inline bool value_is_absent(const struct value *v)
{
	return !v || v->kind == VALUE_NULL;
}

/* The text of a string; with NULL as its data for anything else. */
static inline struct bytes value_text(const struct value *v)
{
	return value_is(v, VALUE_STRING) ? v->text : (struct bytes){ 0 };
}

/* The member of an object; NULL when there is none. */
const struct value *value_named(const struct value *object, struct bytes name);

/* The length of a name that stands in the source is known to the compiler. */
static inline const struct value *value_member(const struct value *object, const char *name)
{
	return value_named(object, bytes_of(name));
}

/* How many values an array, or members an object, has. */
size_t value_count(const struct value *v);

/* Visit the values of an array, or of an object the names: each member's value follows its name. */
static inline const struct value *value_first(const struct value *container)
{
	bool has_values = container && container->kind >= VALUE_ARRAY && container->span > 1;

	return has_values ? container + 1 : NULL;
}

static inline const struct value *value_next(const struct value *container,
                                             const struct value *value)
{
	const struct value *next = value + value->span;

	if (container->kind == VALUE_OBJECT)
		next += next->span;
	return next < container + container->span ? next : NULL;
}

#define VALUE_EACH(container, value)                                                               \
	for ((value) = value_first(container); (value); (value) = value_next(container, value))

/* The value behind the name of a member. */
static inline const struct value *value_of(const struct value *name)
{
	return name + 1;
}

#endif
