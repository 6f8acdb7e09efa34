/* The ledger's command: see cli_ledger.h. */
#include "worker/cli_ledger.h"

#include "worker/cli_refusal.h"
#include "worker/ledger_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

#define PAGE_MAX ((size_t)256 * 1024 * 1024)

/* One run of the command. */
struct session {
	const struct cli_ledger_arguments *arguments; /* Borrowed */
	const struct config *config;                  /* Borrowed */
	struct offsets *offsets;                      /* Owned */
	int32_t partitions;                           /* Of the topic */
	struct buffer out;                            /* For standard output */
};

static int open_session(struct session *s)
{
	const struct config *c = s->config;
	struct err err = { .msg = "" };
	int code;

	buffer_init(&s->out, PAGE_MAX);
	s->offsets = offsets_new(&c->kafka, c->consumer.group, c->topics.commands, &err);
	if (!s->offsets)
		return cli_refuse(EX_UNAVAILABLE, "%s", err.msg);
	code = cli_offsets_code(offsets_partitions(s->offsets, &s->partitions, &err), &err);
	if (code == EX_OK && s->arguments->partition >= s->partitions)
		return cli_refuse(EX_USAGE,
		                  "%s has %" PRId32 " partitions: there is no partition %" PRId32,
		                  c->topics.commands, s->partitions, s->arguments->partition);
	return code;
}

static void close_session(struct session *s)
{
	offsets_free(s->offsets);
	buffer_close(&s->out);
}

static void write_table(const struct offsets_list *list, struct buffer *out)
{
	ledger_view_write_heading(out);
	for (size_t i = 0; i < list->count; i++) {
		struct ledger_view v;

		ledger_view_init(&v, &list->positions[i]);
		ledger_view_write_row(&v, out);
		ledger_view_close(&v);
	}
}

static void write_json(const struct offsets_list *list, struct buffer *out)
{
	buffer_append_char(out, '[');
	for (size_t i = 0; i < list->count; i++) {
		struct ledger_view v;

		ledger_view_init(&v, &list->positions[i]);
		buffer_append_text(out, i ? ",\n  " : "\n  ");
		ledger_view_write_json(&v, out);
		ledger_view_close(&v);
	}
	buffer_append_text(out, "\n]\n");
}

static int show(struct session *s)
{
	int32_t one = s->arguments->partition;
	struct offsets_list list;
	struct err err;
	int code;

	code = cli_offsets_code(
	    offsets_read(s->offsets, one < 0 ? 0 : one, one < 0 ? s->partitions : 1, &list, &err),
	    &err);
	if (code == EX_OK && s->arguments->json)
		write_json(&list, &s->out);
	else if (code == EX_OK)
		write_table(&list, &s->out);
	offsets_list_close(&list);
	return code;
}

/* Nothing may be written while a worker could be writing too. */
static int check_members(struct session *s)
{
	const char *group = s->config->consumer.group;
	size_t members = 0;
	struct err err;
	int code = cli_offsets_code(offsets_members(s->offsets, &members, &err), &err);

	if (code != EX_OK || members == 0)
		return code;
	return cli_refuse(EX_NOPERM,
	                  "group %s has %zu active member%s: stop all workers; one that ended "
	                  "counts until consumer.session_timeout is over",
	                  group, members, members == 1 ? "" : "s");
}

/* What `accept` writes: nothing behind the offset was begun. */
static int accept_map(const struct session *s, const struct ledger_view *before, struct map *map)
{
	int64_t offset = s->arguments->offset >= 0 ? s->arguments->offset : before->at.committed;

	if (offset < 0)
		return cli_refuse(EX_NOPERM,
		                  "the group has no offset there: name one with --offset");
	if (offset < before->at.low || offset > before->at.high)
		return cli_refuse(EX_NOPERM,
		                  "offset %" PRId64 " is not in the log, which has %" PRId64
		                  " to %" PRId64 ": name another with --offset",
		                  offset, before->at.low, before->at.high);
	map_init(map, offset);
	return EX_OK;
}

/* What `repair` writes: all that the old owner may have taken counts as begun. */
static int repair_map(const struct session *s, const struct ledger_view *before, struct map *map)
{
	int64_t base = before->at.committed;
	int64_t end = base + s->config->queue.offsets_per_partition;
	struct map_entry entry = { .offset = base, .state = MAP_STARTED };

	if (base < 0)
		return cli_refuse(EX_NOPERM, "the group has no offset there: "
		                             "use ledger accept with --offset");
	if (base > before->at.high)
		return cli_refuse(EX_NOPERM, "the committed offset lies behind the end of the log: "
		                             "use ledger accept with --offset");
	map_init(map, base);
	if (entry.offset < before->at.low)
		entry.offset = before->at.low;
	for (; entry.offset < before->at.high && entry.offset < end; entry.offset++)
		CHECK(map_add(map, &entry));
	return EX_OK;
}

/* Print the partition as it is after the commit, or as it would be. */
static int print_after(struct session *s, const struct offsets_position *before,
                       const struct map *map, const struct buffer *text)
{
	struct offsets_position planned = *before;
	struct offsets_list list = { .positions = &planned, .count = 1 };
	struct err err;
	int code = EX_OK;

	if (s->arguments->dry_run) {
		planned.committed = map->base;
		planned.metadata = text->data;
		planned.size = text->size;
		buffer_append_text(&s->out, "\nwould be written:\n");
		write_table(&list, &s->out);
		buffer_printf(&s->out, "metadata: %s\n", text->data);
		return EX_OK;
	}
	code = cli_offsets_code(offsets_read(s->offsets, before->partition, 1, &list, &err), &err);
	buffer_append_text(&s->out, "\nafter:\n");
	if (code == EX_OK)
		write_table(&list, &s->out);
	offsets_list_close(&list);
	return code;
}

static int write_map(struct session *s, const struct offsets_position *before,
                     const struct map *map)
{
	struct buffer text;
	struct err err;
	int code = EX_OK;

	buffer_init(&text, MAP_TEXT_MAX);
	if (!map_encode(map, &text))
		code = cli_refuse(EX_NOPERM,
		                  "%zu offsets do not fit into a map: lower "
		                  "queue.offsets_per_partition, if the workers had less, or use "
		                  "ledger accept",
		                  map->count);
	else if (!s->arguments->dry_run)
		code = cli_offsets_code(offsets_commit(s->offsets, before->partition, map->base,
		                                       buffer_bytes(&text), &err),
		                        &err);
	if (code == EX_OK)
		code = print_after(s, before, map, &text);
	buffer_close(&text);
	return code;
}

static int rewrite(struct session *s, const struct offsets_position *at)
{
	struct ledger_view before;
	struct map map = { 0 };
	int code;

	ledger_view_init(&before, at);
	buffer_append_text(&s->out, "before:\n");
	ledger_view_write_heading(&s->out);
	ledger_view_write_row(&before, &s->out);
	if (s->arguments->action == CLI_LEDGER_ACCEPT) {
		code = accept_map(s, &before, &map);
	} else if (ledger_view_is_ok(&before)) {
		buffer_append_text(&s->out, "\nthe map is in order: nothing is written\n");
		code = EX_OK;
		goto end;
	} else {
		code = repair_map(s, &before, &map);
	}
	if (code == EX_OK)
		code = write_map(s, at, &map);
end:
	map_close(&map);
	ledger_view_close(&before);
	return code;
}

static int change(struct session *s)
{
	struct offsets_list list = { 0 };
	struct err err;
	int code = check_members(s);

	if (code == EX_OK)
		code = cli_offsets_code(
		    offsets_read(s->offsets, s->arguments->partition, 1, &list, &err), &err);
	if (code == EX_OK)
		code = rewrite(s, &list.positions[0]);
	offsets_list_close(&list);
	return code;
}

int cli_ledger(const struct cli_arguments *arguments, const struct config *config)
{
	struct session s = { .arguments = &arguments->ledger, .config = config };
	int code = open_session(&s);

	if (code == EX_OK)
		code = s.arguments->action == CLI_LEDGER_SHOW ? show(&s) : change(&s);
	if (!buffer_ok(&s.out) ||
	    fwrite(buffer_bytes(&s.out).data, 1, s.out.size, stdout) != s.out.size ||
	    fflush(stdout) != 0)
		code = EX_IOERR;
	close_session(&s);
	return code;
}
