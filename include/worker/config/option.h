/* The rows of options.h at run time, and the reading of one value. */
#ifndef WORKER_CONFIG_OPTION_H
#define WORKER_CONFIG_OPTION_H

#include "worker/base/err.h"
#include "worker/config.h"

enum option_type {
	OPTION_TEXT,
	OPTION_NAME, /* Letters, digits, dot, underscore, hyphen: safe in a path and as a topic */
	OPTION_FILE, /* Path of a file that can be read */
	OPTION_ADDRESS, /* IP address */
	OPTION_URL,     /* http or https */
	OPTION_BOOL,
	OPTION_COUNT,
	OPTION_DURATION, /* 20ms, 5s, 10m, 1h, or 0 */
	OPTION_RATE,     /* Decimal number */
	OPTION_CHOICE,
	OPTION_NAMES,
	OPTION_SECRET
};

enum option_need { OPTION_OPTIONAL, OPTION_ADVISED, OPTION_REQUIRED };

/* One row; all texts are constants. */
struct config_option {
	const char *section;
	const char *name;
	enum option_type type;
	enum option_need need;
	const char
	    *initial; /* The default, as it would be written; items of NAMES stand between commas */
	const char *least;
	const char *most;
	const char *text;
	size_t offset; /* Of its field in struct config */
};

struct config_section {
	const char *name;
	const char *text;
};

/* Positions of all options, OPTION_AT_<section>_<name>. */
enum option_position {
#define OPTION(section, name, ...) OPTION_AT_##section##_##name,
#define SECTION(section, text)     OPTIONS_##section(OPTION)
	OPTIONS_SECTIONS(SECTION)
#undef SECTION
#undef OPTION
	    OPTIONS_COUNT
};

/* The option at that position, which must be below OPTIONS_COUNT. */
const struct config_option *option_at(size_t position);

/* The sections in the order of the table; NULL past the last. Their options follow each other. */
const struct config_section *option_section_at(size_t position);
const struct config_section *option_section_find(const char *name);

/* Position of an option, or OPTIONS_COUNT when there is none of that name. */
size_t option_find(const char *section, const char *name);

/* Most characters of an option's path or variable, with the final NUL. */
#define OPTION_NAME_SIZE 96

/* The name of an option that is its whole section: a value stands where others have a map. */
#define OPTION_WHOLE "value"
bool option_is_whole(const struct config_option *o);

/* Write "section.name" and INVITE_WORKER_SECTION_NAME, without a name for a whole section. */
void option_path(const struct config_option *o, char path[static OPTION_NAME_SIZE]);
void option_variable(const struct config_option *o, char variable[static OPTION_NAME_SIZE]);

/* What type of value is expected, for people: "a duration (20ms, 5s, 10m, 1h)". */
const char *option_type_text(enum option_type type);

/* The field of this option in 'config'. */
void *option_field(const struct config_option *o, struct config *config);

/* Read 'text' into 'field', replacing (and freeing) what is there. On a mistake the field stays as
 * it was and 'err' says what was expected. Not for NAMES and SECRET. */
int option_parse(const struct config_option *o, const char *text, void *field,
                 struct err *err) MUST_CHECK;

/* Append an item to the field of a NAMES option. */
int option_append(const struct config_option *o, const char *text, struct config_names *names,
                  struct err *err) MUST_CHECK;

/* Release what the field holds. */
void option_clear(const struct config_option *o, void *field);

/* Set every field of a zeroed configuration to its default. */
void option_set_defaults(struct config *config);

#endif
