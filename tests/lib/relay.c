/* A relay that can break what it carries. */
#include "lib/relay.h"

#include "worker/base/check.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct relay_pair {
	struct relay_pair *prev, *next;
	struct relay *relay;
	uv_tcp_t client;
	uv_pipe_t server;
	uv_connect_t connect;
	unsigned open_handles;
	bool ending;
};

struct chunk {
	uv_write_t write;
	uv_buf_t buf;
	char data[];
};

static void on_pair_closed(uv_handle_t *handle)
{
	struct relay_pair *p = handle->data;

	if (--p->open_handles == 0)
		free(p);
}

static void pair_end(struct relay_pair *p)
{
	if (p->ending)
		return;
	p->ending = true;
	DL_DELETE(p->relay->pairs, p);
	if (uv_tcp_close_reset(&p->client, on_pair_closed) < 0)
		uv_close((uv_handle_t *)&p->client, on_pair_closed);
	uv_close((uv_handle_t *)&p->server, on_pair_closed);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + size);

	(void)handle;
	CHECK(chunk);
	*ret = uv_buf_init(chunk->data, (unsigned)size);
}

static struct chunk *chunk_of(const uv_buf_t *buf)
{
	return (struct chunk *)(void *)(buf->base - offsetof(struct chunk, data));
}

static void on_written(uv_write_t *write, int status)
{
	(void)status;
	free(write->data);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct relay_pair *p = stream->data;
	bool from_client = stream == (uv_stream_t *)&p->client;
	struct chunk *chunk = buf->base ? chunk_of(buf) : NULL;

	if (n <= 0) {
		free(chunk);
		if (n < 0)
			pair_end(p);
		return;
	}
	chunk->write.data = chunk;
	chunk->buf = uv_buf_init(chunk->data, (unsigned)n);
	CHECK(uv_write(&chunk->write,
	               from_client ? (uv_stream_t *)&p->server : (uv_stream_t *)&p->client,
	               &chunk->buf, 1, on_written) == 0);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct relay_pair *p = connect->data;

	if (p->ending)
		return;
	CHECK(status == 0);
	CHECK(uv_read_start((uv_stream_t *)&p->client, on_alloc, on_read) == 0);
	CHECK(uv_read_start((uv_stream_t *)&p->server, on_alloc, on_read) == 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct relay *r = listener->data;
	struct relay_pair *p = calloc(1, sizeof(*p));

	CHECK(p && status == 0);
	p->relay = r;
	p->open_handles = 2;
	p->client.data = p;
	p->server.data = p;
	p->connect.data = p;
	CHECK(uv_tcp_init(listener->loop, &p->client) == 0);
	CHECK(uv_pipe_init(listener->loop, &p->server, 0) == 0);
	CHECK(uv_accept(listener, (uv_stream_t *)&p->client) == 0);
	DL_APPEND(r->pairs, p);
	r->n_pairs++;
	uv_pipe_connect(&p->connect, &p->server, r->path, on_connected);
}

void relay_open(struct relay *r, uv_loop_t *loop, const char *path)
{
	struct sockaddr_in address;
	int size = sizeof(address);

	*r = (struct relay){ .path = path };
	CHECK(uv_ip4_addr("127.0.0.1", 0, &address) == 0);
	CHECK(uv_tcp_init(loop, &r->listener) == 0);
	CHECK(uv_tcp_bind(&r->listener, (struct sockaddr *)&address, 0) == 0);
	CHECK(uv_listen((uv_stream_t *)&r->listener, 1024, on_connection) == 0);
	CHECK(uv_tcp_getsockname(&r->listener, (struct sockaddr *)&address, &size) == 0);
	r->listener.data = r;
	r->port = ntohs(address.sin_port);
}

void relay_break(struct relay *r)
{
	while (r->pairs)
		pair_end(r->pairs);
}

void relay_close(struct relay *r)
{
	relay_break(r);
	uv_close((uv_handle_t *)&r->listener, NULL);
}
