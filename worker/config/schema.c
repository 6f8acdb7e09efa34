/* The table of options as a JSON Schema: see reference.h.
 *
 * It describes the file alone. What must be given may also come from the environment, so nothing is
 * required in it, and the limits of durations are left to `invite-worker check`. */
#include "worker/config/option.h"
#include "worker/config/reference.h"

#include <string.h>

#define NAME_CHARACTERS "[A-Za-z0-9._-]"
#define NAME_PATTERN    "^" NAME_CHARACTERS "+$"

static void write_member(const char *indent, const char *name, const char *value,
                         struct buffer *out)
{
	buffer_printf(out, "%s\"%s\": ", indent, name);
	buffer_append_json_text(out, value);
}

static void write_words(const char *words, struct buffer *out)
{
	buffer_append_char(out, '[');
	while (*words) {
		size_t size = strcspn(words, ",");

		buffer_append_json(out, (struct bytes){ .data = words, .size = size });
		words += size;
		if (*words) {
			buffer_append_text(out, ", ");
			words++;
		}
	}
	buffer_append_char(out, ']');
}

/* A text may look like a number or a truth value to a YAML reader; the worker takes it as it is
 * written. */
static void write_text_type(const struct config_option *o, struct buffer *out)
{
	buffer_append_text(out, "\"type\": [\"string\", \"number\", \"boolean\"], ");
	if (o->type == OPTION_NAME)
		buffer_printf(out, "\"pattern\": \"^" NAME_CHARACTERS "%s$\", ",
		              strcmp(o->least, "0") == 0 ? "*" : "+");
	buffer_printf(out, "\"minLength\": %s, \"maxLength\": %s", o->least, o->most);
}

static void write_type(const struct config_option *o, struct buffer *out)
{
	bool may_be_empty = strcmp(o->least, "0") == 0;

	switch (o->type) {
	case OPTION_TEXT:
	case OPTION_NAME:
	case OPTION_FILE:
		write_text_type(o, out);
		break;
	case OPTION_ADDRESS:
		buffer_append_text(out, "\"type\": \"string\", "
		                        "\"pattern\": \"^[0-9A-Fa-f.:]+$\"");
		break;
	case OPTION_URL:
		buffer_printf(out,
		              "\"type\": \"string\", \"pattern\": \"^%shttps?://[^?#@\\\\s]+%s$\"",
		              may_be_empty ? "(" : "", may_be_empty ? ")?" : "");
		break;
	case OPTION_BOOL:
		buffer_append_text(out, "\"type\": \"boolean\"");
		break;
	case OPTION_COUNT:
		buffer_printf(out, "\"type\": \"integer\", \"minimum\": %s, \"maximum\": %s",
		              o->least, o->most);
		break;
	case OPTION_RATE:
		buffer_printf(out, "\"type\": \"number\", \"minimum\": %s, \"maximum\": %s",
		              o->least, o->most);
		break;
	case OPTION_DURATION:
		buffer_append_text(out, "\"type\": [\"string\", \"integer\"], \"minimum\": 0, "
		                        "\"maximum\": 0, "
		                        "\"pattern\": \"^(0|[0-9]{1,9}(ms|s|m|h))$\"");
		break;
	case OPTION_CHOICE:
		buffer_append_text(out, "\"enum\": ");
		write_words(o->most, out);
		break;
	case OPTION_NAMES:
		buffer_printf(out,
		              "\"type\": \"array\", \"maxItems\": %s, \"uniqueItems\": true, "
		              "\"items\": { \"type\": [\"string\", \"number\"], "
		              "\"pattern\": \"" NAME_PATTERN "\", \"maxLength\": 249 }",
		              o->most);
		break;
	case OPTION_SECRET:
		buffer_printf(out, "\"type\": \"string\", \"minLength\": 1, \"maxLength\": %s",
		              o->most);
		break;
	}
}

static void write_schema_default(const struct config_option *o, struct buffer *out)
{
	buffer_append_text(out, ", \"default\": ");
	if (o->type == OPTION_NAMES)
		write_words(o->initial, out);
	else if (o->type == OPTION_BOOL || o->type == OPTION_COUNT || o->type == OPTION_RATE)
		buffer_append_text(out, o->initial);
	else
		buffer_append_json_text(out, o->initial);
}

static void write_property(const struct config_option *o, const char *suffix, const char *text,
                           struct buffer *out)
{
	buffer_printf(out, "        \"%s%s\": {\n", o->name, suffix);
	write_member("          ", "description", text, out);
	buffer_append_text(out, ",\n          ");
	if (*suffix)
		buffer_append_text(out, "\"type\": \"string\", \"minLength\": 1");
	else
		write_type(o, out);
	if (o->need != OPTION_REQUIRED && o->type != OPTION_SECRET)
		write_schema_default(o, out);
	buffer_append_text(out, "\n        }");
}

static void write_option(const struct config_option *o, struct buffer *out)
{
	write_property(o, "", o->text, out);
	if (o->type != OPTION_SECRET)
		return;
	buffer_append_text(out, ",\n");
	write_property(o, "_file", "Path of a file that contains it.", out);
	buffer_append_text(out, ",\n");
	write_property(o, "_credential", "Name of a systemd credential that contains it.", out);
}

static void write_whole(const struct config_option *o, struct buffer *out)
{
	buffer_printf(out, "    \"%s\": {\n", o->section);
	write_member("      ", "description", o->text, out);
	buffer_append_text(out, ",\n      ");
	write_type(o, out);
	write_schema_default(o, out);
	buffer_append_text(out, "\n    },\n");
}

static void write_section(const struct config_section *s, struct buffer *out)
{
	size_t whole = option_find(s->name, OPTION_WHOLE);
	const char *separator = "";

	if (whole != OPTIONS_COUNT) {
		write_whole(option_at(whole), out);
		return;
	}
	buffer_printf(out, "    \"%s\": {\n", s->name);
	write_member("      ", "description", s->text, out);
	buffer_append_text(out, ",\n      \"type\": [\"object\", \"null\"],\n"
	                        "      \"additionalProperties\": false,\n"
	                        "      \"properties\": {\n");
	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		const struct config_option *o = option_at(at);

		if (strcmp(o->section, s->name) != 0)
			continue;
		buffer_append_text(out, separator);
		write_option(o, out);
		separator = ",\n";
	}
	buffer_append_text(out, "\n      }\n    },\n");
}

void reference_write_schema(struct buffer *out)
{
	buffer_append_text(out, "{\n"
	                        "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
	                        "  \"title\": \"Configuration of invite-worker\",\n"
	                        "  \"type\": [\"object\", \"null\"],\n"
	                        "  \"additionalProperties\": false,\n"
	                        "  \"properties\": {\n");
	for (size_t i = 0; option_section_at(i); i++)
		write_section(option_section_at(i), out);
	buffer_append_text(
	    out, "    \"kafka\": {\n"
	         "      \"description\": \"Properties of librdkafka, passed through; NAME_file and "
	         "NAME_credential read a value from elsewhere.\",\n"
	         "      \"type\": [\"object\", \"null\"],\n"
	         "      \"propertyNames\": { \"pattern\": \"^[a-z0-9._-]+$\" },\n"
	         "      \"additionalProperties\": "
	         "{ \"type\": [\"string\", \"number\", \"boolean\"] }\n"
	         "    }\n"
	         "  }\n"
	         "}\n");
}
