/* JSON objects of the control API read into structs by tables, one row for each member. */
#ifndef SIMULATOR_FIELDS_H
#define SIMULATOR_FIELDS_H

#include "worker/base/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FIELD_INT,  /* int64_t */
	FIELD_REAL, /* double */
	FIELD_BOOL, /* bool */
	FIELD_TEXT, /* char *, owned by the struct, NULL when absent */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset;    /* Of the struct's member */
	int64_t min, max; /* Of FIELD_INT and FIELD_REAL; not used by the others */
};

/* Set the members that 'object' has; the others keep what they hold. A member that the table does
 * not know, or of a wrong type or range, is refused; what was read before it stays set. */
int fields_read(const struct field *fields, size_t n, const json_t *object, void *into,
                struct err *err) MUST_CHECK;

/* The struct as a JSON object, texts that are NULL left out. A new reference, NULL without memory.
 */
json_t *fields_write(const struct field *fields, size_t n, const void *from) MUST_CHECK;

/* Release the texts. */
void fields_close(const struct field *fields, size_t n, void *of);

#endif
