/* The table of options as Markdown, JSON Schema, example and help: see reference.h. */
#include "worker/config/reference.h"
#include "worker/config/option.h"

#include <string.h>

#define HELP_WIDTH    78
#define EXAMPLE_WIDTH 80 /* Of a sentence and the words that may be chosen */

static bool belongs(const struct config_option *o, const struct config_section *s)
{
	return strcmp(o->section, s->name) == 0;
}

/* Calls 'write' for each option of a section. */
static void for_each(const struct config_section *s, struct buffer *out,
                     void (*write)(const struct config_option *o, struct buffer *out))
{
	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		if (belongs(option_at(at), s))
			write(option_at(at), out);
	}
}

static const char *type_word(enum option_type type)
{
	switch (type) {
	case OPTION_TEXT:
		return "text";
	case OPTION_NAME:
		return "name";
	case OPTION_FILE:
		return "path";
	case OPTION_ADDRESS:
		return "IP address";
	case OPTION_URL:
		return "URL";
	case OPTION_BOOL:
		return "true or false";
	case OPTION_COUNT:
		return "number";
	case OPTION_DURATION:
		return "duration";
	case OPTION_RATE:
		return "per second";
	case OPTION_CHOICE:
		return "word";
	case OPTION_NAMES:
		return "names";
	case OPTION_SECRET:
		return "secret";
	}
	return "";
}

/* The items of a comma-separated constant, each between 'quote' marks and with ", " between them.
 */
static void write_items(const char *items, const char *quote, struct buffer *out)
{
	while (*items) {
		size_t size = strcspn(items, ",");

		buffer_append_text(out, quote);
		buffer_append(out, items, size);
		buffer_append_text(out, quote);
		items += size;
		if (*items) {
			buffer_append_text(out, ", ");
			items++;
		}
	}
}

/* A default as it is written in the file. */
static void write_default(const struct config_option *o, struct buffer *out)
{
	if (o->type == OPTION_NAMES) {
		buffer_append_char(out, '[');
		write_items(o->initial, "", out);
		buffer_append_char(out, ']');
	} else {
		buffer_append_text(out, *o->initial ? o->initial : "\"\"");
	}
}

static void write_range(const struct config_option *o, struct buffer *out)
{
	if (o->type == OPTION_COUNT || o->type == OPTION_DURATION || o->type == OPTION_RATE)
		buffer_printf(out, "%s to %s", o->least, o->most);
	else if (o->type == OPTION_CHOICE)
		write_items(o->most, "", out);
}

static void write_row(const struct config_option *o, struct buffer *out)
{
	char path[OPTION_NAME_SIZE];

	option_path(o, path);
	buffer_printf(out, "| `%s` | %s | ", path, type_word(o->type));
	if (o->need == OPTION_REQUIRED) {
		buffer_append_text(out, "**required**");
	} else if (o->type != OPTION_SECRET) {
		buffer_append_char(out, '`');
		write_default(o, out);
		buffer_append_char(out, '`');
	}
	buffer_append_text(out, " | ");
	write_range(o, out);
	buffer_printf(out, " | %s |\n", o->text);
}

void reference_write_options(struct buffer *out)
{
	for (size_t i = 0; option_section_at(i); i++) {
		const struct config_section *s = option_section_at(i);

		buffer_printf(out, "%s### %s\n\n%s\n\n", i ? "\n" : "", s->name, s->text);
		buffer_append_text(out, "| Option | Type | Default | Range | What it does |\n");
		buffer_append_text(out, "|---|---|---|---|---|\n");
		for_each(s, out, write_row);
	}
}

/* The sentence on lines of its own, broken between words. */
static void write_wrapped(const char *text, struct buffer *out)
{
	size_t column = HELP_WIDTH;

	while (*text) {
		size_t size = strcspn(text, " ");

		if (column + 1 + size > HELP_WIDTH) {
			buffer_append_text(out, "\n     ");
			column = 5;
		}
		buffer_append_char(out, ' ');
		buffer_append(out, text, size);
		column += 1 + size;
		text += size + (text[size] == ' ');
	}
	buffer_append_char(out, '\n');
}

static void write_help_option(const struct config_option *o, struct buffer *out)
{
	char path[OPTION_NAME_SIZE];

	option_path(o, path);
	buffer_printf(out, "  %s", path);
	if (o->need == OPTION_REQUIRED) {
		buffer_append_text(out, " (required)");
	} else if (*o->initial) {
		buffer_append_text(out, " = ");
		write_default(o, out);
	}
	write_wrapped(o->text, out);
}

void reference_write_help(struct buffer *out)
{
	for (size_t i = 0; option_section_at(i); i++)
		for_each(option_section_at(i), out, write_help_option);
}

/* An option's name as that of a file: with hyphens. */
static void write_file_name(const char *name, struct buffer *out)
{
	for (; *name; name++)
		buffer_append_char(out, *name == '_' ? '-' : *name);
	buffer_append_char(out, '\n');
}

/* What must be given stands there with a value to be replaced; the rest is commented out with its
 * default. */
static void write_example_option(const struct config_option *o, struct buffer *out)
{
	const char *indent = option_is_whole(o) ? "" : "  ";

	buffer_printf(out, "%s# %s", indent, o->text);
	if (o->type == OPTION_COUNT || o->type == OPTION_DURATION || o->type == OPTION_RATE ||
	    o->type == OPTION_CHOICE) {
		bool fits = strlen(o->text) + strlen(o->most) < EXAMPLE_WIDTH;

		buffer_printf(out, "%s%s%s(", fits ? "" : "\n", fits ? "" : indent,
		              fits ? " " : "# ");
		write_range(o, out);
		buffer_append_char(out, ')');
	}
	buffer_append_char(out, '\n');
	if (o->type == OPTION_SECRET) {
		buffer_printf(out, "  %s%s_file: /etc/invite-worker/",
		              o->need == OPTION_OPTIONAL ? "# " : "", o->name);
		write_file_name(o->name, out);
	} else if (o->need == OPTION_REQUIRED) {
		buffer_printf(out, "  %s: 00000000-0000-0000-0000-000000000000\n", o->name);
	} else if (o->need == OPTION_ADVISED) {
		buffer_printf(out, "  %s: invite-worker-0\n", o->name);
	} else {
		buffer_printf(out, "%s# %s: ", indent, *indent ? o->name : o->section);
		write_default(o, out);
		buffer_append_char(out, '\n');
	}
}

void reference_write_example(struct buffer *out)
{
	buffer_append_text(out,
	                   "# yaml-language-server: $schema=invite-worker.schema.json\n"
	                   "# yamllint disable rule:comments-indentation\n"
	                   "#\n"
	                   "# Every option of invite-worker with its default. Only what is not "
	                   "commented out must be given.\n"
	                   "# What it means and how else it can be given: README.md beside "
	                   "this file. To check a copy:\n"
	                   "#   invite-worker check -c FILE\n");
	for (size_t i = 0; option_section_at(i); i++) {
		const struct config_section *s = option_section_at(i);

		buffer_printf(out, "\n# %s\n", s->text);
		if (option_find(s->name, OPTION_WHOLE) == OPTIONS_COUNT)
			buffer_printf(out, "%s:\n", s->name);
		for_each(s, out, write_example_option);
	}
	buffer_append_text(out, "\n# Properties of librdkafka, passed through as they are.\n"
	                        "kafka:\n"
	                        "  bootstrap.servers: localhost:9092\n"
	                        "  # security.protocol: SASL_SSL\n"
	                        "  # sasl.mechanism: PLAIN\n"
	                        "  # sasl.username: invite-worker\n"
	                        "  # sasl.password_file: /etc/invite-worker/kafka-password\n");
}
