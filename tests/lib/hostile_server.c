/* An HTTP/1.1 server that misbehaves by script. */
#include "lib/hostile_server.h"

#include "worker/base/buffer.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <utlist.h>

#define MAX_REQUEST (4 * 1024 * 1024)

struct hostile_connection {
	struct hostile_connection *prev, *next;
	uv_tcp_t tcp;
	uv_write_t write;
	struct hostile_server *server;
	const struct hostile_step *step;
	struct buffer input;
	unsigned number, requests;
	bool acting; /* The step of the current request was begun */
	bool head_done;
	bool ending;
	char chunk[16 * 1024];
};

static void connection_take(struct hostile_connection *c);

static void on_connection_closed(uv_handle_t *handle)
{
	struct hostile_connection *c = handle->data;

	buffer_close(&c->input);
	free(c);
}

static void connection_end(struct hostile_connection *c, enum hostile_then how)
{
	if (c->ending)
		return;
	c->ending = true;
	DL_DELETE(c->server->connections, c);
	if (how != HOSTILE_RESET || uv_tcp_close_reset(&c->tcp, on_connection_closed) < 0)
		uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

static void connection_plan(struct hostile_connection *c)
{
	struct hostile_server *s = c->server;
	struct hostile_turn turn = { .connection = c->number,
		                     .request = c->requests++,
		                     .total = s->n_steps++ };

	c->step = s->script.step(s->script.owner, &turn);
	c->acting = false;
	c->head_done = false;
}

static void on_written(uv_write_t *write, int status);

static void connection_write(struct hostile_connection *c, const char *text)
{
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));

	CHECK(uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) == 0);
}

static void connection_go_on(struct hostile_connection *c)
{
	switch (c->step->then) {
	case HOSTILE_KEEP:
		connection_plan(c);
		connection_take(c);
		break;
	case HOSTILE_CLOSE:
	case HOSTILE_RESET:
		connection_end(c, c->step->then);
		break;
	case HOSTILE_FLOOD:
		connection_write(c, c->step->flood);
		break;
	case HOSTILE_HANG:
		break;
	}
}

static void on_written(uv_write_t *write, int status)
{
	struct hostile_connection *c = write->data;

	if (c->ending)
		return;
	if (status < 0)
		connection_end(c, HOSTILE_CLOSE);
	else
		connection_go_on(c);
}

static void connection_act(struct hostile_connection *c)
{
	c->acting = true;
	if (c->step->text)
		connection_write(c, c->step->text);
	else
		connection_go_on(c);
}

/* Size of a request's body by its head, which ends with an empty line. */
static size_t body_size(const char *head)
{
	const char *field = strcasestr(head, "\r\ncontent-length:");

	return field ? strtoul(field + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* Look at what has come; one request at a time. */
static void connection_take(struct hostile_connection *c)
{
	struct hostile_server *s = c->server;
	const char *end = c->input.size ? strstr(c->input.data, "\r\n\r\n") : NULL;
	size_t head, body;

	if (c->step->when == HOSTILE_AT_ONCE && !c->acting) {
		connection_act(c);
		return;
	}
	if (c->acting || !end)
		return;
	head = (size_t)(end + 4 - c->input.data);
	body = body_size(c->input.data);
	if (c->step->when == HOSTILE_AFTER_HEAD) {
		connection_act(c);
		return;
	}
	if (c->input.size < head + body)
		return;
	if (s->script.effect)
		s->script.effect(s->script.owner, (struct bytes){ c->input.data, head },
		                 (struct bytes){ c->input.data + head, body });
	memmove(c->input.data, c->input.data + head + body, c->input.size - head - body);
	buffer_truncate(&c->input, c->input.size - head - body);
	c->input.data[c->input.size] = '\0';
	connection_act(c);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct hostile_connection *c = handle->data;

	(void)size;
	*ret = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct hostile_connection *c = stream->data;

	if (n < 0) {
		connection_end(c, HOSTILE_CLOSE);
		return;
	}
	buffer_append(&c->input, buf->base, (size_t)n);
	CHECK(buffer_ok(&c->input));
	connection_take(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct hostile_server *s = listener->data;
	struct hostile_connection *c = calloc(1, sizeof(*c));

	CHECK(c && status == 0);
	c->server = s;
	c->number = s->n_connections++;
	c->tcp.data = c;
	c->write.data = c;
	buffer_init(&c->input, MAX_REQUEST);
	CHECK(uv_tcp_init(listener->loop, &c->tcp) == 0);
	CHECK(uv_accept(listener, (uv_stream_t *)&c->tcp) == 0);
	uv_tcp_nodelay(&c->tcp, 1);
	DL_APPEND(s->connections, c);
	CHECK(uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0);
	connection_plan(c);
	connection_take(c);
}

void hostile_server_open(struct hostile_server *s, uv_loop_t *loop,
                         const struct hostile_script *script)
{
	struct sockaddr_in address;
	int size = sizeof(address);

	*s = (struct hostile_server){ .script = *script };
	CHECK(uv_ip4_addr("127.0.0.1", 0, &address) == 0);
	CHECK(uv_tcp_init(loop, &s->listener) == 0);
	CHECK(uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0) == 0);
	CHECK(uv_listen((uv_stream_t *)&s->listener, 1024, on_connection) == 0);
	CHECK(uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &size) == 0);
	s->listener.data = s;
	s->port = ntohs(address.sin_port);
}

void hostile_server_drop(struct hostile_server *s, enum hostile_then how)
{
	while (s->connections)
		connection_end(s->connections, how);
}

void hostile_server_close(struct hostile_server *s)
{
	hostile_server_drop(s, HOSTILE_CLOSE);
	if (!uv_is_closing((uv_handle_t *)&s->listener))
		uv_close((uv_handle_t *)&s->listener, NULL);
}
