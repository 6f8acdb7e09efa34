/* A partition's ledger as a row or as JSON: see ledger_view.h. */
#include "worker/ledger_view.h"

#include <inttypes.h>

#define ROW_FORMAT "%9s  %12s  %12s  %10s  %-9s  %8s  %8s  %8s\n"

/* A number as text; "-" (or "null") when it is not known. */
struct figure {
	char text[24];
};

/* What stands between the committed offset and the end of the log. */
struct counts {
	int64_t lag;
	int64_t fresh; /* Neither started nor replied */
	int64_t started;
	int64_t replied;
};

void ledger_view_init(struct ledger_view *v, const struct offsets_position *at)
{
	*v = (struct ledger_view){ .at = *at, .problem = MAP_EMPTY };
	if (at->committed >= 0)
		v->problem =
		    map_decode((struct bytes){ at->metadata, at->size }, at->committed, &v->map);
}

void ledger_view_close(struct ledger_view *v)
{
	map_close(&v->map);
}

bool ledger_view_is_ok(const struct ledger_view *v)
{
	return v->at.committed >= 0 && v->problem == MAP_OK;
}

const char *ledger_view_text(const struct ledger_view *v)
{
	return v->at.committed >= 0 ? map_problem_text(v->problem) : "none";
}

static struct counts count(const struct ledger_view *v)
{
	const struct map *m = &v->map;
	struct counts c = { .lag = v->at.high - v->at.committed };

	for (size_t i = 0; i < m->count; i++) {
		if (m->entries[i].state == MAP_NEW)
			c.fresh++;
		else
			c.started++;
	}
	c.replied = m->end - m->base - (int64_t)m->count;
	if (v->at.high > m->end)
		c.fresh += v->at.high - m->end;
	return c;
}

static struct figure figure(bool is_known, int64_t value, const char *unknown)
{
	struct figure f;

	if (is_known)
		snprintf(f.text, sizeof(f.text), "%" PRId64, value);
	else
		snprintf(f.text, sizeof(f.text), "%s", unknown);
	return f;
}

void ledger_view_write_heading(struct buffer *out)
{
	buffer_printf(out, ROW_FORMAT, "PARTITION", "COMMITTED", "END", "LAG", "MAP", "NEW",
	              "STARTED", "REPLIED");
}

/* True when the entry continues a run of started offsets that ended right before it. */
static bool is_next(const struct map *m, size_t i)
{
	return i > 0 && m->entries[i].state == MAP_STARTED &&
	       m->entries[i - 1].state == MAP_STARTED &&
	       m->entries[i].offset == m->entries[i - 1].offset + 1;
}

/* "121, 125-127, 130 (2 participants settled, 1 in flight)" */
static void write_started(const struct map *m, struct buffer *out)
{
	const char *separator = "           started: ";

	for (size_t i = 0; i < m->count; i++) {
		const struct map_entry *e = &m->entries[i];
		bool is_last = i + 1 == m->count || !is_next(m, i + 1);

		if (e->state == MAP_NEW || (is_next(m, i) && !is_last))
			continue;
		if (is_next(m, i)) {
			buffer_printf(out, "-%" PRId64, e->offset);
			continue;
		}
		buffer_printf(out, "%s%" PRId64, separator, e->offset);
		if (e->state == MAP_PARTLY)
			buffer_printf(out, " (%u participants settled, %u in flight)",
			              (unsigned)e->progress.settled,
			              (unsigned)e->progress.in_flight);
		separator = ", ";
	}
	buffer_append_char(out, '\n');
}

void ledger_view_write_row(const struct ledger_view *v, struct buffer *out)
{
	bool is_set = v->at.committed >= 0, is_ok = ledger_view_is_ok(v);
	struct counts c = count(v);

	buffer_printf(out, ROW_FORMAT, figure(true, v->at.partition, "-").text,
	              figure(is_set, v->at.committed, "-").text, figure(true, v->at.high, "-").text,
	              figure(is_set, c.lag, "-").text, ledger_view_text(v),
	              figure(is_ok, c.fresh, "-").text, figure(is_ok, c.started, "-").text,
	              figure(is_ok, c.replied, "-").text);
	if (is_ok && c.started > 0)
		write_started(&v->map, out);
}

static void write_member(struct buffer *out, const char *name, struct figure f)
{
	buffer_printf(out, ", \"%s\": %s", name, f.text);
}

void ledger_view_write_json(const struct ledger_view *v, struct buffer *out)
{
	bool is_set = v->at.committed >= 0, is_ok = ledger_view_is_ok(v);
	struct counts c = count(v);
	const char *separator = "";

	buffer_printf(out, "{ \"partition\": %" PRId32, v->at.partition);
	write_member(out, "committed", figure(is_set, v->at.committed, "null"));
	write_member(out, "begin", figure(true, v->at.low, "null"));
	write_member(out, "end", figure(true, v->at.high, "null"));
	write_member(out, "lag", figure(is_set, c.lag, "null"));
	buffer_append_text(out, ", \"map\": ");
	buffer_append_json_text(out, ledger_view_text(v));
	write_member(out, "new", figure(is_ok, c.fresh, "null"));
	write_member(out, "started", figure(is_ok, c.started, "null"));
	write_member(out, "replied", figure(is_ok, c.replied, "null"));
	buffer_append_text(out, ", \"startedOffsets\": [");
	for (size_t i = 0; is_ok && i < v->map.count; i++) {
		if (v->map.entries[i].state == MAP_NEW)
			continue;
		buffer_printf(out, "%s%" PRId64, separator, v->map.entries[i].offset);
		separator = ", ";
	}
	buffer_append_text(out, "] }");
}
