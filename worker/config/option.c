/* The rows of options.h at run time: see option.h. */
#include "worker/config/option.h"
#include "worker/config/names.h"
#include "worker/io/secret.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct config_option options[] = {
#define OPTION(section, name, type, need, initial, least, most, text)                              \
	{ #section,      #name,   OPTION_##type,                                                   \
	  OPTION_##need, initial, least,                                                           \
	  most,          text,    offsetof(struct config, section.name) },
#define SECTION(section, text) OPTIONS_##section(OPTION)
	OPTIONS_SECTIONS(SECTION)
#undef SECTION
#undef OPTION
};

static const struct config_section sections[] = {
#define SECTION(section, text) { #section, text },
	OPTIONS_SECTIONS(SECTION)
#undef SECTION
};

#define SECTIONS_COUNT (sizeof(sections) / sizeof(sections[0]))

const struct config_option *option_at(size_t position)
{
	CHECK(position < OPTIONS_COUNT);
	return &options[position];
}

const struct config_section *option_section_at(size_t position)
{
	return position < SECTIONS_COUNT ? &sections[position] : NULL;
}

const struct config_section *option_section_find(const char *name)
{
	for (size_t i = 0; i < SECTIONS_COUNT; i++) {
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	}
	return NULL;
}

size_t option_find(const char *section, const char *name)
{
	size_t i = 0;

	while (i < OPTIONS_COUNT &&
	       (strcmp(options[i].section, section) != 0 || strcmp(options[i].name, name) != 0))
		i++;
	return i;
}

bool option_is_whole(const struct config_option *o)
{
	return strcmp(o->name, OPTION_WHOLE) == 0;
}

void option_path(const struct config_option *o, char path[static OPTION_NAME_SIZE])
{
	bool whole = option_is_whole(o);

	snprintf(path, OPTION_NAME_SIZE, "%s%s%s", o->section, whole ? "" : ".",
	         whole ? "" : o->name);
}

void option_variable(const struct config_option *o, char variable[static OPTION_NAME_SIZE])
{
	char path[OPTION_NAME_SIZE];

	option_path(o, path);
	snprintf(variable, OPTION_NAME_SIZE, "INVITE_WORKER_%.80s", path);
	for (char *c = variable; *c; c++)
		*c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

const char *option_type_text(enum option_type type)
{
	switch (type) {
	case OPTION_TEXT:
		return "a text";
	case OPTION_NAME:
		return "a name of letters, digits, '.', '_' and '-'";
	case OPTION_FILE:
		return "the path of a file";
	case OPTION_ADDRESS:
		return "an IPv4 or IPv6 address";
	case OPTION_URL:
		return "a URL that begins with http:// or https://";
	case OPTION_BOOL:
		return "true or false";
	case OPTION_COUNT:
		return "a whole number";
	case OPTION_DURATION:
		return "a duration such as 20ms, 5s, 10m or 1h";
	case OPTION_RATE:
		return "a decimal number of requests per second";
	case OPTION_CHOICE:
		return "a word";
	case OPTION_NAMES:
		return "a list of names";
	case OPTION_SECRET:
		return "a text";
	}
	return "";
}

void *option_field(const struct config_option *o, struct config *config)
{
	return (char *)config + o->offset;
}

static bool is_text(enum option_type type)
{
	return type == OPTION_TEXT || type == OPTION_NAME || type == OPTION_FILE ||
	       type == OPTION_ADDRESS || type == OPTION_URL;
}

void option_clear(const struct config_option *o, void *field)
{
	if (is_text(o->type)) {
		char **text = field;

		free(*text);
		*text = NULL;
	} else if (o->type == OPTION_NAMES) {
		names_clear(field);
	} else if (o->type == OPTION_SECRET) {
		struct config_secret *secret = field;

		secret_wipe(secret->text);
		free(secret->file);
		*secret = (struct config_secret){ .text = NULL };
	}
}

/* A default is a constant of ours: one that is not valid is a bug. */
static void set_default(const struct config_option *o, void *field)
{
	struct err err;

	if (o->type == OPTION_SECRET || o->need == OPTION_REQUIRED)
		return;
	if (o->type != OPTION_NAMES) {
		CHECK(option_parse(o, o->initial, field, &err) == 0);
		return;
	}
	for (const char *item = o->initial; *item;) {
		size_t size = strcspn(item, ",");
		char *text = names_copy(item, size);

		CHECK(option_append(o, text, field, &err) == 0);
		free(text);
		item += size + (item[size] == ',');
	}
}

void option_set_defaults(struct config *config)
{
	for (size_t i = 0; i < OPTIONS_COUNT; i++)
		set_default(&options[i], option_field(&options[i], config));
}
