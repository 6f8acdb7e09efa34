/* One partition's committed ledger for people and programs: `invite-worker ledger`. */
#ifndef WORKER_LEDGER_VIEW_H
#define WORKER_LEDGER_VIEW_H

#include "worker/core/map.h"
#include "worker/io/offsets.h"

struct ledger_view {
	struct offsets_position at; /* Its metadata is borrowed, and not looked at again */
	enum map_problem problem;   /* Of the map; meaningless when nothing is committed */
	struct map map;             /* Owned; empty unless the map is in order */
};

/* Read the map of a position. Close it in any case. */
void ledger_view_init(struct ledger_view *v, const struct offsets_position *at);
void ledger_view_close(struct ledger_view *v);

bool ledger_view_is_ok(const struct ledger_view *v);

/* "ok", or what is wrong with the map, in a word; "none" when nothing is committed. */
const char *ledger_view_text(const struct ledger_view *v);

/* The heading of the table, and the partition's row, with its started offsets below it. */
void ledger_view_write_heading(struct buffer *out);
void ledger_view_write_row(const struct ledger_view *v, struct buffer *out);

/* A JSON object. Numbers that are not known are null. */
void ledger_view_write_json(const struct ledger_view *v, struct buffer *out);

#endif
