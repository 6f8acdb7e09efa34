/* A YAML file as a tree, by libyaml's events.
 *
 * Only what a configuration needs is read: one document of maps, lists and scalars. Anchors,
 * aliases and tags are refused, so the tree is never larger than the file. */
#include "worker/config/node.h"
#include "worker/config/names.h"
#include "worker/io/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	const char *text;
	size_t size;
	size_t nodes;
	struct problems *problems;
};

static struct place place_of(yaml_mark_t mark)
{
	return (struct place){ .line = (unsigned)mark.line + 1,
		               .column = (unsigned)mark.column + 1 };
}

static int refuse(struct reader *r, yaml_mark_t mark, const char *why)
{
	struct place place = place_of(mark);

	problems_add(r->problems, SEVERITY_MISTAKE, &place, "", "%s", why);
	return -1;
}

/* The reader of libyaml gives the offset of a wrong byte only; count lines and characters up to it.
 */
static struct place place_of_byte(const struct reader *r, size_t offset)
{
	struct place place = { .line = 1, .column = 1 };

	for (size_t i = 0; i < offset && i < r->size; i++) {
		if (r->text[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if ((r->text[i] & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

static int refuse_syntax(struct reader *r)
{
	const yaml_parser_t *parser = &r->parser;
	struct place place = place_of(parser->problem_mark);
	const char *problem = parser->problem ? parser->problem : "out of memory";

	if (parser->error == YAML_READER_ERROR) {
		place = place_of_byte(r, parser->problem_offset);
		problems_add(r->problems, SEVERITY_MISTAKE, &place, "", "not a text in UTF-8: %s",
		             problem);
	} else {
		problems_add(r->problems, SEVERITY_MISTAKE, &place, "", "not YAML: %s%s%s", problem,
		             parser->context ? ", " : "", parser->context ? parser->context : "");
	}
	return -1;
}

static int next_event(struct reader *r, yaml_event_t *event)
{
	if (!yaml_parser_parse(&r->parser, event))
		return refuse_syntax(r);
	return 0;
}

static struct node *append_item(struct node *parent)
{
	if (parent->count == parent->capacity) {
		size_t capacity = parent->capacity ? 2 * parent->capacity : 8;
		struct node *items = reallocarray(parent->items, capacity, sizeof(*items));

		CHECK(items);
		parent->items = items;
		parent->capacity = capacity;
	}
	parent->items[parent->count] = (struct node){ .text = names_copy("", 0) };
	return &parent->items[parent->count++];
}

static bool is_null_word(const char *text)
{
	return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
	       strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *event, struct node *node)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t size = event->data.scalar.length;

	if (memchr(text, '\0', size))
		return refuse(r, event->start_mark, "a text must not contain the character NUL");
	free(node->text);
	node->text = names_copy(text, size);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->kind = node->plain && is_null_word(text) ? NODE_NULL : NODE_SCALAR;
	return 0;
}

/* The anchor and the tag of a node's first event. */
static int check_properties(struct reader *r, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}
	if (event->type == YAML_ALIAS_EVENT || anchor)
		return refuse(r, event->start_mark,
		              "anchors and aliases are not supported: write the value itself");
	if (tag)
		return refuse(r, event->start_mark,
		              "tags are not supported: write the value alone");
	return 0;
}

static int read_node(struct reader *r, const yaml_event_t *event, unsigned depth,
                     struct node *node);

/* The items up to the end of the list or map. The parser itself makes sure that a map has as many
 * values as keys. */
static int read_items(struct reader *r, yaml_event_type_t end, unsigned depth, struct node *node)
{
	for (;;) {
		yaml_event_t event;
		int result;

		if (next_event(r, &event) != 0)
			return -1;
		if (event.type == end) {
			yaml_event_delete(&event);
			return 0;
		}
		result = read_node(r, &event, depth + 1, append_item(node));
		yaml_event_delete(&event);
		if (result != 0)
			return -1;
	}
}

static int read_node(struct reader *r, const yaml_event_t *event, unsigned depth, struct node *node)
{
	node->place = place_of(event->start_mark);
	if (check_properties(r, event) != 0)
		return -1;
	if (depth > NODE_DEPTH_MAX)
		return refuse(r, event->start_mark, "more than 16 values inside each other");
	if (++r->nodes > NODE_COUNT_MAX)
		return refuse(r, event->start_mark, "more than 10000 values in the file");
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(r, event, node);
	node->kind = event->type == YAML_MAPPING_START_EVENT ? NODE_MAP : NODE_LIST;
	return read_items(r,
	                  node->kind == NODE_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT,
	                  depth, node);
}

/* All events from the stream's start to its end. */
static int read_stream(struct reader *r, struct node *root)
{
	bool have_document = false;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		int result = 0;

		if (next_event(r, &event) != 0)
			return -1;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && have_document)
			result = refuse(r, event.start_mark, "a second document: only one is read");
		else if (type == YAML_DOCUMENT_START_EVENT)
			have_document = true;
		else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
		         type != YAML_DOCUMENT_END_EVENT)
			result = read_node(r, &event, 1, root);
		yaml_event_delete(&event);
		if (result != 0 || type == YAML_STREAM_END_EVENT)
			return result;
	}
}

/* The whole file into 'buffer', which has room for one byte more than is allowed. */
static int read_file(const char *path, char *buffer, size_t *ret_size, struct problems *problems)
{
	static const struct place nowhere = { 0 };
	FILE *file = fopen(path, "re");
	int error;

	if (!file) {
		problems_add(problems, SEVERITY_MISTAKE, &nowhere, "", "cannot be opened: %s",
		             strerror(errno));
		return -1;
	}
	errno = 0;
	*ret_size = fread(buffer, 1, NODE_FILE_MAX + 1, file);
	error = ferror(file) ? errno : 0;
	fclose(file);
	if (error) {
		problems_add(problems, SEVERITY_MISTAKE, &nowhere, "", "cannot be read: %s",
		             strerror(error));
		return -1;
	}
	if (*ret_size > NODE_FILE_MAX) {
		problems_add(problems, SEVERITY_MISTAKE, &nowhere, "", "is larger than 1 MiB");
		return -1;
	}
	return 0;
}

static int parse(const char *text, size_t size, struct node *root, struct problems *problems)
{
	struct reader r = { .text = text, .size = size, .problems = problems };
	int result;

	CHECK(yaml_parser_initialize(&r.parser));
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
	result = read_stream(&r, root);
	yaml_parser_delete(&r.parser);
	return result;
}

int node_read(const char *path, struct node *ret, struct problems *problems)
{
	char *buffer = names_allocate(NODE_FILE_MAX + 1, 1);
	struct node root = { .text = names_copy("", 0) };
	size_t size = 0;
	int result = read_file(path, buffer, &size, problems);

	if (result == 0)
		result = parse(buffer, size, &root, problems);
	if (result == 0)
		*ret = root;
	else
		node_close(&root);
	explicit_bzero(buffer, size);
	free(buffer);
	return result;
}

void node_close(struct node *node)
{
	for (size_t i = 0; i < node->count; i++)
		node_close(&node->items[i]);
	free(node->items);
	secret_wipe(node->text);
	*node = (struct node){ 0 };
}

const char *node_kind_text(const struct node *node)
{
	switch (node->kind) {
	case NODE_NULL:
		return "nothing";
	case NODE_SCALAR:
		return "a single value";
	case NODE_LIST:
		return "a list";
	case NODE_MAP:
		return "a map";
	}
	return "";
}
