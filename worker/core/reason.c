/* The tables of reasons and statuses: see reason.h. */
#include "worker/core/reason.h"

struct row {
	const char *text;
	const char *meaning;
};

static const struct row reasons[REASON_COUNT] = {
#define REASON(name, code, meaning) { code, meaning },
	REASON_TABLE(REASON)
#undef REASON
};

static const struct row statuses[STATUS_COUNT] = {
#define STATUS(name, text, meaning) { text, meaning },
	STATUS_TABLE(STATUS)
#undef STATUS
};

const char *reason_code(enum reason reason)
{
	return reasons[reason].text;
}

const char *reason_meaning(enum reason reason)
{
	return reasons[reason].meaning;
}

const char *status_text(enum status status)
{
	return statuses[status].text;
}

static void write_rows(struct buffer *out, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buffer_printf(out, "| `%s` | %s |\n", rows[i].text, rows[i].meaning);
}

void reason_write_reference(struct buffer *out)
{
	buffer_append_text(out, "| status | meaning |\n|---|---|\n");
	write_rows(out, statuses + STATUS_ACCEPTED, STATUS_COUNT - STATUS_ACCEPTED);
	buffer_append_text(out, "\n| error.code | meaning |\n|---|---|\n");
	write_rows(out, reasons, REASON_COUNT);
}
