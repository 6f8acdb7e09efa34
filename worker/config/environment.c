/* Variables INVITE_WORKER_… over what the file says. */
#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/io/secret.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX       "INVITE_WORKER_"
#define PREFIX_KAFKA PREFIX "KAFKA_"

const char *loader_variable(const struct loader *l, const char *name)
{
	size_t size = strlen(name);

	for (char *const *entry = l->environ; *entry; entry++) {
		if (strncmp(*entry, name, size) == 0 && (*entry)[size] == '=')
			return *entry + size + 1;
	}
	return NULL;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Kubernetes sets such variables for a Service that is named invite-worker; they are not ours. */
static bool is_of_kubernetes(const char *variable)
{
	return begins_with(variable, PREFIX "SERVICE_") || strcmp(variable, PREFIX "PORT") == 0 ||
	       begins_with(variable, PREFIX "PORT_");
}

static void read_names(struct loader *l, const struct config_option *o, const char *value,
                       struct err *err, bool *ret_failed)
{
	struct config_names *names = option_field(o, l->config);

	names_clear(names);
	while (*value && !*ret_failed) {
		size_t size = strcspn(value, ",");
		char *item = names_copy(value, size);

		*ret_failed = option_append(o, item, names, err) != 0;
		free(item);
		value += size + (value[size] == ',');
	}
}

static void read_option(struct loader *l, size_t at, const char *value, const struct place *place)
{
	const struct config_option *o = option_at(at);
	char path[OPTION_NAME_SIZE];
	bool failed = false;
	struct err err;

	option_path(o, path);
	l->places[at] = *place;
	if (o->type == OPTION_NAMES)
		read_names(l, o, value, &err, &failed);
	else
		failed = option_parse(o, value, option_field(o, l->config), &err) != 0;
	if (failed)
		problems_add(l->problems, SEVERITY_MISTAKE, place, path, "%s", err.msg);
}

/* True when the variable is that of the secret, with or without one of the suffixes. */
static bool read_secret(struct loader *l, size_t at, const char *lower, const char *value,
                        const struct place *place)
{
	struct given given = { .place = *place };
	char wanted[OPTION_NAME_SIZE], path[OPTION_NAME_SIZE];
	const struct config_option *o = option_at(at);
	size_t length;

	given.source = given_split(lower, &length);
	snprintf(wanted, sizeof(wanted), "%s_%s", o->section, o->name);
	if (strlen(wanted) != length || strncmp(wanted, lower, length) != 0)
		return false;
	option_path(o, path);
	given.text = names_copy(value, strlen(value));
	given_set(l, &l->secrets[at], path, &given);
	l->places[at] = *place;
	secret_wipe(given.text);
	return true;
}

static bool read_variable(struct loader *l, const char *lower, const char *value,
                          const struct place *place)
{
	char wanted[OPTION_NAME_SIZE];

	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		if (option_at(at)->type == OPTION_SECRET) {
			if (read_secret(l, at, lower, value, place))
				return true;
			continue;
		}
		option_variable(option_at(at), wanted);
		if (strcmp(wanted, place->variable) == 0) {
			read_option(l, at, value, place);
			return true;
		}
	}
	return false;
}

/* SASL_PASSWORD_FILE means sasl.password_file: of the properties of librdkafka that can be set only
 * log_level has an underscore. */
static void read_kafka(struct loader *l, const char *lower, const char *value,
                       const struct place *place)
{
	bool has_dots = strcmp(lower, "log_level") != 0;
	char name[OPTION_NAME_SIZE];
	size_t length;

	snprintf(name, sizeof(name), "%s", lower);
	given_split(name, &length);
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '_' && has_dots)
			name[i] = '.';
	}
	loader_add_kafka(l, name, value, place);
}

/* An unknown name is probably mistyped, but others may use the prefix too: no reason to stop. */
static void warn_unknown(struct loader *l, const struct place *place)
{
	char candidate[OPTION_NAME_SIZE], best[OPTION_NAME_SIZE] = "";
	size_t best_distance = names_tolerance(place->variable) + 1;

	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		size_t distance;

		option_variable(option_at(at), candidate);
		distance = names_distance(candidate, place->variable);
		if (distance < best_distance) {
			best_distance = distance;
			snprintf(best, sizeof(best), "%s", candidate);
		}
	}
	problems_add(l->problems, SEVERITY_WARNING, place, "",
	             "is not used: there is no such option%s%s%s", *best ? "; did you mean " : "",
	             best, *best ? "?" : "");
}

static void read_entry(struct loader *l, const char *entry)
{
	const char *value = strchr(entry, '=');
	char lower[OPTION_NAME_SIZE] = "";
	struct place place = { 0 };
	size_t size;

	if (!value || (size_t)(value - entry) >= sizeof(place.variable))
		return;
	memcpy(place.variable, entry, (size_t)(value - entry));
	value++;
	if (is_of_kubernetes(place.variable))
		return;
	size = strlen(place.variable) - strlen(PREFIX);
	for (size_t i = 0; i < size; i++)
		lower[i] = (char)tolower((unsigned char)place.variable[strlen(PREFIX) + i]);
	if (begins_with(place.variable, PREFIX_KAFKA))
		read_kafka(l, lower + strlen("kafka_"), value, &place);
	else if (!read_variable(l, lower, value, &place))
		warn_unknown(l, &place);
}

void loader_read_environment(struct loader *l)
{
	for (char *const *entry = l->environ; *entry; entry++) {
		if (begins_with(*entry, PREFIX))
			read_entry(l, *entry);
	}
}
