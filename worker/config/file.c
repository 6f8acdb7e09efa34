/* From the tree of the file to the fields: every mistake is noted, and reading goes on. */
#include "worker/base/log.h"
#include "worker/config/loader.h"
#include "worker/config/names.h"

#include <stdlib.h>
#include <string.h>

static void mistake(struct loader *l, const struct node *node, const char *path,
                    const char *message)
{
	problems_add(l->problems, SEVERITY_MISTAKE, &node->place, path, "%s", message);
}

/* The path of a key, of which a hostile or mistyped one is made printable. */
static void key_path(const char *section, const struct node *key,
                     char path[static OPTION_NAME_SIZE])
{
	char quoted[LOG_QUOTE_SIZE];

	snprintf(path, OPTION_NAME_SIZE, "%s%s%.60s", section, *section ? "." : "",
	         log_quote(bytes_of(key->text), quoted));
}

/* True when the key is a text that does not stand before in the same map. */
static bool check_key(struct loader *l, const struct node *map, size_t i, const char *section)
{
	const struct node *key = &map->items[i];
	char path[OPTION_NAME_SIZE];

	if (key->kind != NODE_SCALAR) {
		mistake(l, key, section, "expected the name of an option before ':'");
		return false;
	}
	for (size_t k = 0; k < i; k += 2) {
		if (map->items[k].kind != NODE_SCALAR || strcmp(map->items[k].text, key->text) != 0)
			continue;
		key_path(section, key, path);
		problems_add(l->problems, SEVERITY_MISTAKE, &key->place, path,
		             "stands twice in the file, first on line %u",
		             map->items[k].place.line);
		return false;
	}
	return true;
}

/* The option whose path is nearest to the one written; one of the same name in another section is
 * near too. */
static const struct config_option *nearest_option(const char *section, const char *name)
{
	const struct config_option *best = NULL;
	size_t best_distance = SIZE_MAX;
	char wanted[2 * OPTION_NAME_SIZE], path[OPTION_NAME_SIZE];

	snprintf(wanted, sizeof(wanted), "%.80s%s%.80s", section, *section ? "." : "", name);
	for (size_t i = 0; i < OPTIONS_COUNT; i++) {
		const struct config_option *o = option_at(i);
		size_t distance;

		option_path(o, path);
		distance = names_distance(path, wanted);
		if (strcmp(o->name, name) == 0 && distance > 1)
			distance = 1;
		if (distance < best_distance) {
			best_distance = distance;
			best = o;
		}
	}
	return best_distance <= names_tolerance(name) ? best : NULL;
}

static const char *nearest_section(const char *name)
{
	const char *best = "kafka";
	size_t best_distance = names_distance(best, name);

	for (size_t i = 0; option_section_at(i); i++) {
		size_t distance = names_distance(option_section_at(i)->name, name);

		if (distance < best_distance) {
			best_distance = distance;
			best = option_section_at(i)->name;
		}
	}
	return best_distance <= names_tolerance(name) ? best : NULL;
}

static void unknown_option(struct loader *l, const char *section, const struct node *key)
{
	const struct config_option *near = nearest_option(section, key->text);
	char path[OPTION_NAME_SIZE], meant[OPTION_NAME_SIZE];

	key_path(section, key, path);
	if (!near) {
		mistake(l, key, path, "there is no such option");
		return;
	}
	option_path(near, meant);
	problems_add(l->problems, SEVERITY_MISTAKE, &key->place, path,
	             "there is no such option; did you mean %s?", meant);
}

static void unknown_section(struct loader *l, const struct node *key)
{
	const char *near = nearest_section(key->text);
	char path[OPTION_NAME_SIZE];

	key_path("", key, path);
	if (near)
		problems_add(l->problems, SEVERITY_MISTAKE, &key->place, path,
		             "there is no such section; did you mean %s?", near);
	else
		unknown_option(l, "", key);
}

/* True for a secret, or where its value is to come from: those names are derived from the option's.
 */
static bool read_secret(struct loader *l, const char *section, const struct node *key,
                        const struct node *value)
{
	struct given given = { .place = value->place, .text = value->text };
	char name[OPTION_NAME_SIZE], path[OPTION_NAME_SIZE];
	size_t length, at;

	given.source = given_split(key->text, &length);
	snprintf(name, sizeof(name), "%.*s", (int)length, key->text);
	at = option_find(section, name);
	if (at == OPTIONS_COUNT || option_at(at)->type != OPTION_SECRET)
		return false;
	key_path(section, key, path);
	l->places[at] = value->place;
	if (value->kind != NODE_SCALAR)
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
		             "expected a text, got %s", node_kind_text(value));
	else
		given_set(l, &l->secrets[at], path, &given);
	return true;
}

static void read_names(struct loader *l, const struct config_option *o, const char *path,
                       const struct node *value)
{
	struct config_names *names = option_field(o, l->config);

	if (value->kind != NODE_LIST) {
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
		             "expected a list such as [one, two], got %s", node_kind_text(value));
		return;
	}
	names_clear(names);
	for (size_t i = 0; i < value->count; i++) {
		const struct node *item = &value->items[i];
		struct err err;

		if (item->kind != NODE_SCALAR)
			problems_add(l->problems, SEVERITY_MISTAKE, &item->place, path,
			             "expected a name, got %s", node_kind_text(item));
		else if (option_append(o, item->text, names, &err) != 0)
			mistake(l, item, path, err.msg);
	}
}

/* Numbers and true or false are written without quotes, so that a schema's reader sees the same
 * types. */
static bool is_quoted_wrongly(const struct config_option *o, const struct node *value)
{
	return !value->plain &&
	       (o->type == OPTION_BOOL || o->type == OPTION_COUNT || o->type == OPTION_RATE);
}

static void read_value(struct loader *l, size_t at, const struct node *value)
{
	const struct config_option *o = option_at(at);
	char path[OPTION_NAME_SIZE];
	struct err err;

	option_path(o, path);
	l->places[at] = value->place;
	if (o->type == OPTION_NAMES)
		read_names(l, o, path, value);
	else if (value->kind != NODE_SCALAR)
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
		             "expected %s, got %s", option_type_text(o->type),
		             node_kind_text(value));
	else if (is_quoted_wrongly(o, value))
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
		             "expected %s without quotes", option_type_text(o->type));
	else if (option_parse(o, value->text, option_field(o, l->config), &err) != 0)
		mistake(l, value, path, err.msg);
}

static void read_section(struct loader *l, const char *section, const struct node *map)
{
	for (size_t i = 0; i < map->count; i += 2) {
		const struct node *key = &map->items[i], *value = &map->items[i + 1];
		size_t at;

		if (!check_key(l, map, i, section) || read_secret(l, section, key, value))
			continue;
		at = option_find(section, key->text);
		if (at == OPTIONS_COUNT)
			unknown_option(l, section, key);
		else
			read_value(l, at, value);
	}
}

static void read_kafka(struct loader *l, const struct node *map)
{
	for (size_t i = 0; i < map->count; i += 2) {
		const struct node *key = &map->items[i], *value = &map->items[i + 1];
		char path[OPTION_NAME_SIZE];

		if (!check_key(l, map, i, "kafka"))
			continue;
		key_path("kafka", key, path);
		if (value->kind == NODE_SCALAR)
			loader_add_kafka(l, key->text, value->text, &value->place);
		else
			problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
			             "expected a single value, got %s", node_kind_text(value));
	}
}

/* A section may be empty: all of its options may be commented out. */
static bool check_section(struct loader *l, const struct node *key, const struct node *value)
{
	if (value->kind == NODE_MAP)
		return true;
	if (value->kind != NODE_NULL)
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, key->text,
		             "expected a map of options, got %s", node_kind_text(value));
	return false;
}

void loader_read_file(struct loader *l, const struct node *root)
{
	if (root->kind == NODE_NULL)
		return;
	if (root->kind != NODE_MAP) {
		problems_add(l->problems, SEVERITY_MISTAKE, &root->place, "",
		             "expected a map of sections, got %s", node_kind_text(root));
		return;
	}
	for (size_t i = 0; i < root->count; i += 2) {
		const struct node *key = &root->items[i], *value = &root->items[i + 1];
		bool is_kafka;
		size_t whole;

		if (!check_key(l, root, i, ""))
			continue;
		is_kafka = strcmp(key->text, "kafka") == 0;
		whole = option_find(key->text, OPTION_WHOLE);
		if (whole != OPTIONS_COUNT)
			read_value(l, whole, value);
		else if (!is_kafka && !option_section_find(key->text))
			unknown_section(l, key);
		else if (!check_section(l, key, value))
			continue;
		else if (is_kafka)
			read_kafka(l, value);
		else
			read_section(l, key->text, value);
	}
}
