/* Reading and writing structs as JSON objects. */
#include "simulator/fields.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct field *find(const struct field *fields, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int read_int(const struct field *field, const json_t *value, void *into, struct err *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < field->min ||
	    json_integer_value(value) > field->max)
		return err_set(err, "%s: must be an integer from %lld to %lld", field->name,
		               (long long)field->min, (long long)field->max);
	*(int64_t *)into = json_integer_value(value);
	return 0;
}

static int read_real(const struct field *field, const json_t *value, void *into, struct err *err)
{
	double number = json_number_value(value);

	if (!json_is_number(value) || number < (double)field->min || number > (double)field->max)
		return err_set(err, "%s: must be a number from %lld to %lld", field->name,
		               (long long)field->min, (long long)field->max);
	*(double *)into = number;
	return 0;
}

static int read_bool(const struct field *field, const json_t *value, void *into, struct err *err)
{
	if (!json_is_boolean(value))
		return err_set(err, "%s: must be true or false", field->name);
	*(bool *)into = json_is_true(value);
	return 0;
}

static int read_text(const struct field *field, const json_t *value, void *into, struct err *err)
{
	char **text = into;
	char *copy;

	if (!json_is_string(value))
		return err_set(err, "%s: must be a string", field->name);
	copy = strdup(json_string_value(value));
	if (!copy)
		return err_set(err, "%s: out of memory", field->name);
	free(*text);
	*text = copy;
	return 0;
}

static int read_field(const struct field *field, const json_t *value, void *into, struct err *err)
{
	switch (field->type) {
	case FIELD_INT:
		return read_int(field, value, into, err);
	case FIELD_REAL:
		return read_real(field, value, into, err);
	case FIELD_BOOL:
		return read_bool(field, value, into, err);
	case FIELD_TEXT:
		return read_text(field, value, into, err);
	}
	return err_set(err, "%s: field of no type", field->name);
}

int fields_read(const struct field *fields, size_t n, const json_t *object, void *into,
                struct err *err)
{
	if (!json_is_object(object))
		return err_set(err, "must be an object");
	/* jansson iterates over a constant object only through a pointer that is not. */
	json_t *members = json_copy((json_t *)(uintptr_t)object);
	const char *name;
	json_t *value;
	int result = members ? 0 : err_set(err, "out of memory");

	json_object_foreach(members, name, value)
	{
		const struct field *field = find(fields, n, name);

		if (!field)
			result = err_set(err, "%s: unknown member", name);
		else
			result = read_field(field, value, (char *)into + field->offset, err);
		if (result < 0)
			break;
	}
	json_decref(members);
	return result;
}

static json_t *write_field(const struct field *field, const void *from)
{
	switch (field->type) {
	case FIELD_INT:
		return json_integer(*(const int64_t *)from);
	case FIELD_REAL:
		return json_real(*(const double *)from);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)from);
	case FIELD_TEXT:
		return json_string(*(char *const *)from);
	}
	return NULL;
}

json_t *fields_write(const struct field *fields, size_t n, const void *from)
{
	json_t *object = json_object();

	for (size_t i = 0; object && i < n; i++) {
		json_t *value = write_field(&fields[i], (const char *)from + fields[i].offset);

		if (value && json_object_set_new(object, fields[i].name, value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

void fields_close(const struct field *fields, size_t n, void *of)
{
	for (size_t i = 0; i < n; i++) {
		if (fields[i].type != FIELD_TEXT)
			continue;
		char **text = (char **)(void *)((char *)of + fields[i].offset);

		free(*text);
		*text = NULL;
	}
}
