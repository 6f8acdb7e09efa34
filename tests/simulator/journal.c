/* Writing the journal. */
#include "simulator/journal.h"

#include "simulator/invites.h"
#include "simulator/simulator.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_MS   3
#define FLUSH_SIZE (64u << 10)
#define LINES_MAX  (64u << 20)

int journal_init(struct journal *journal, uv_loop_t *loop, const char *path, const struct log *log,
                 struct err *err)
{
	*journal = (struct journal){ .fd = -1, .log = log };
	buffer_init(&journal->lines, LINES_MAX);
	if (path) {
		journal->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
		if (journal->fd < 0)
			return err_set(err, "open journal %s: %s", path, strerror(errno));
	}
	uv_timer_init(loop, &journal->timer);
	journal->timer.data = journal;
	return 0;
}

void journal_flush(struct journal *journal)
{
	struct bytes left = buffer_bytes(&journal->lines);

	while (journal->fd >= 0 && left.size > 0) {
		ssize_t n = write(journal->fd, left.data, left.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			journal->lost++;
			log_error(journal->log, "journal.write", "problem=\"%s\"", strerror(errno));
			break;
		}
		left.data += n;
		left.size -= (size_t)n;
	}
	buffer_clear(&journal->lines);
}

static void on_timer(uv_timer_t *timer)
{
	journal_flush(timer->data);
}

void journal_close(struct journal *journal)
{
	journal_flush(journal);
	uv_close((uv_handle_t *)&journal->timer, NULL);
	if (journal->fd >= 0)
		close(journal->fd);
	buffer_close(&journal->lines);
}

static void text(struct buffer *out, const char *name, const char *value)
{
	buffer_append_text(out, ",\"");
	buffer_append_text(out, name);
	buffer_append_text(out, "\":");
	buffer_append_json_text(out, value);
}

static void number(struct buffer *out, const char *name, int64_t value)
{
	buffer_append_text(out, ",\"");
	buffer_append_text(out, name);
	buffer_append_text(out, "\":");
	buffer_append_int(out, value);
}

static void boolean(struct buffer *out, const char *name, bool value)
{
	buffer_append_text(out, ",\"");
	buffer_append_text(out, name);
	buffer_append_text(out, value ? "\":true" : "\":false");
}

static void write_request(struct buffer *out, const struct exchange *e)
{
	buffer_append_text(out, "{\"seq\":");
	buffer_append_int(out, (int64_t)e->sequence);
	number(out, "at_us", e->arrived.us);
	number(out, "wall_us", e->arrived_wall.us);
	number(out, "connection", (int64_t)e->connection_number);
	boolean(out, "tls", e->tls);
	text(out, "http", e->version);
	text(out, "method", e->method);
	text(out, "path", e->path);
	text(out, "route", route_name(e->route));
	if (e->call_id.data) {
		buffer_append_text(out, ",\"call\":");
		buffer_append_json(out, e->call_id);
	}
	text(out, "client_request_id", e->client_request_id);
	boolean(out, "bearer_ok", e->bearer_ok);
	text(out, "client", e->client[0] ? e->client : NULL);
	text(out, "tenant", e->token_tenant[0] ? e->token_tenant : NULL);
}

/* The body as it came; line feeds can only stand between the tokens of valid JSON. */
static void write_body(struct buffer *out, const struct exchange *e)
{
	struct bytes body = buffer_bytes(&e->body);
	size_t start = out->size + strlen(",\"body\":");

	if (!e->json) {
		buffer_append_text(out, ",\"body_text\":");
		buffer_append_json(out, body);
		return;
	}
	buffer_append_text(out, ",\"body\":");
	buffer_append_bytes(out, body);
	for (size_t i = start; i < out->size; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
}

static void write_invite(struct buffer *out, const struct exchange *e)
{
	size_t read = invites_read_one(e) ? 1 : e->n_invited;

	text(out, "client_context", e->client_context);
	buffer_append_text(out, ",\"participants\":[");
	for (size_t i = 0; i < e->n_invited; i++) {
		buffer_append_text(out, i == 0 ? "{\"kind\":" : ",{\"kind\":");
		buffer_append_json_text(out, e->invited[i].kind);
		text(out, "type", e->invited[i].type);
		text(out, "id", e->invited[i].id);
		boolean(out, "read", i < read);
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
	write_body(out, e);
	boolean(out, "overlap", e->overlap);
	boolean(out, "effect", e->effect);
	text(out, "operation", e->operation[0] ? e->operation : NULL);
}

static void write_token(struct buffer *out, const struct exchange *e)
{
	text(out, "credential", e->credential);
	text(out, "assertion", e->assertion);
}

static void write_answer(struct buffer *out, const struct exchange *e)
{
	static const char *const ends[] = {
		[END_LOST] = "lost",
		[END_SENT] = "sent",
		[END_RESET] = "reset",
		[END_CUT] = "cut",
	};
	bool reset = e->rule && e->rule->reset_when != RESET_NONE;

	text(out, "rule", e->rule ? e->rule->name ? e->rule->name : "" : NULL);
	number(out, "status", reset ? 0 : e->answer.status);
	text(out, "request_id", e->answer.request_id);
	text(out, "end", ends[e->end]);
	number(out, "ended_us", simulator_now().us);
	buffer_append_text(out, "}\n");
}

void journal_add(struct journal *journal, const struct exchange *exchange)
{
	struct buffer *out = &journal->lines;
	size_t before = out->size;

	if (journal->fd < 0)
		return;
	write_request(out, exchange);
	if (exchange->route == ROUTE_INVITE)
		write_invite(out, exchange);
	if (exchange->route == ROUTE_TOKEN)
		write_token(out, exchange);
	write_answer(out, exchange);
	if (!buffer_ok(out)) {
		buffer_truncate(out, before);
		journal->lost++;
		log_error(journal->log, "journal.line", "seq=%llu problem=\"no room\"",
		          (unsigned long long)exchange->sequence);
	}
	if (out->size >= FLUSH_SIZE)
		journal_flush(journal);
	else if (!uv_is_active((uv_handle_t *)&journal->timer))
		uv_timer_start(&journal->timer, on_timer, FLUSH_MS, 0);
}
