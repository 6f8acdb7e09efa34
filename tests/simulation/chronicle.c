/* The record of a history: see chronicle.h. */
#include "simulation/chronicle.h"

#include "worker/base/check.h"

#include <stdlib.h>
#include <string.h>

void chronicle_init(struct chronicle *c, const struct plan *plan)
{
	*c = (struct chronicle){ .plan = plan };
}

void chronicle_close(struct chronicle *c)
{
	for (size_t i = 0; i < c->n_commands; i++)
		free(c->commands[i].text);
	free(c->commands);
	free(c->requests);
	free(c->sends);
	free(c->replies);
	free(c->commits);
	free(c->faults);
}

/* One more row; capacities are the powers of two. */
static void *grow(void *rows, size_t *n, size_t size)
{
	if ((*n & (*n - 1)) == 0) {
		rows = realloc(rows, (*n ? *n * 2 : 1) * size);
		CHECK(rows);
	}
	memset((char *)rows + *n * size, 0, size);
	(*n)++;
	return rows;
}

struct told_command *chronicle_command(struct chronicle *c)
{
	c->commands = grow(c->commands, &c->n_commands, sizeof(*c->commands));
	return &c->commands[c->n_commands - 1];
}

struct told_request *chronicle_request(struct chronicle *c)
{
	c->requests = grow(c->requests, &c->n_requests, sizeof(*c->requests));
	return &c->requests[c->n_requests - 1];
}

struct told_send *chronicle_send(struct chronicle *c)
{
	c->sends = grow(c->sends, &c->n_sends, sizeof(*c->sends));
	return &c->sends[c->n_sends - 1];
}

struct told_reply *chronicle_reply(struct chronicle *c)
{
	c->replies = grow(c->replies, &c->n_replies, sizeof(*c->replies));
	return &c->replies[c->n_replies - 1];
}

struct told_commit *chronicle_commit(struct chronicle *c)
{
	c->commits = grow(c->commits, &c->n_commits, sizeof(*c->commits));
	return &c->commits[c->n_commits - 1];
}

void chronicle_fault(struct chronicle *c, const char *what, int64_t from_us, int64_t until_us)
{
	c->faults = grow(c->faults, &c->n_faults, sizeof(*c->faults));
	c->faults[c->n_faults - 1] = (struct told_fault){ what, from_us, until_us };
}

/* Behind the next 'name' of the text, or NULL. */
static const char *after(const char *text, const char *name)
{
	const char *found = text ? strstr(text, name) : NULL;

	return found ? found + strlen(name) : NULL;
}

static enum status read_status(const char *text)
{
	for (enum status status = 0; status < STATUS_COUNT; status++) {
		size_t size = strlen(status_text(status));

		if (text && strncmp(text, status_text(status), size) == 0 && text[size] == '"')
			return status;
	}
	return STATUS_COUNT;
}

static int64_t read_offset(const char *text)
{
	const char *number = after(text, "\"offset\":");

	return number ? strtoll(number, NULL, 10) : -1;
}

/* No text of the simulated commands needs escaping, so that members are found by their names. */
void chronicle_read_reply(struct bytes json, struct told_reply *ret)
{
	char *text = strndup(json.data, json.size);
	const char *p;

	CHECK(text);
	ret->status = read_status(after(text, "\"status\":\""));
	p = after(text, "\"duplicateOf\":");
	ret->duplicate_of = p && *p == '{' ? read_offset(p) : -1;
	p = after(text, ",\"evidence\":");
	ret->by_operation = p && strncmp(p, "\"operation\"", 11) == 0;
	ret->by_roster = p && strncmp(p, "\"roster\"", 8) == 0;
	p = after(text, "\"source\":");
	ret->offset = read_offset(p);
	p = after(p, "\"partition\":");
	ret->partition = p ? (int32_t)strtol(p, NULL, 10) : -1;
	p = after(text, "\"participants\":[");
	for (p = after(p, "{\"index\":"); p; p = after(p, "{\"index\":")) {
		CHECK(ret->n < sizeof(ret->statuses) / sizeof(ret->statuses[0]));
		ret->statuses[ret->n++] = read_status(after(p, "\"status\":\""));
	}
	free(text);
}
