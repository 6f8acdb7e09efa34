/* libmicrohttpd on libuv.
 *
 * Each daemon brings an epoll set that the loop watches. Whatever wakes the loop, the daemons get
 * to work before it waits again. */
#include "simulator/server.h"

#include "simulator/simulator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 20000u
#define BACKLOG         4096u
#define PEM_MAX         (1u << 20)

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct listener *listener = cls;
	struct exchange *exchange = exchange_new(listener->simulator, connection, uri);
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (!exchange)
		return NULL;
	exchange->tls = listener->tls;
	exchange->connection_number = (uint64_t)(uintptr_t)info->socket_context;
	return exchange;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
	struct exchange *exchange = *context;

	(void)cls, (void)connection, (void)url;
	if (!exchange)
		return MHD_NO;
	if (exchange->stage == EXCHANGE_HEADERS) {
		exchange_begin(exchange, method, version);
		return MHD_YES;
	}
	if (exchange->stage == EXCHANGE_DELAYED)
		return delivery_resume(exchange);
	if (*size > 0) {
		buffer_append(&exchange->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	exchange_handle(exchange);
	return delivery_start(exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
	struct exchange *exchange = *context;

	(void)cls, (void)connection;
	*context = NULL;
	if (exchange)
		exchange_end(exchange,
		             delivery_end(exchange, how == MHD_REQUEST_TERMINATED_COMPLETED_OK));
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
	struct listener *listener = cls;

	(void)connection;
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*context = (void *)(uintptr_t)++listener->simulator->server.connections;
}

static void on_daemon_log(void *cls, const char *format, va_list args)
{
	struct listener *listener = cls;
	char text[512];
	char quoted[LOG_QUOTE_SIZE];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	vsnprintf(text, sizeof text, format, args);
#pragma GCC diagnostic pop
	log_debug(&listener->simulator->log, "server.daemon", "text=%s",
	          log_quote(bytes_of(text), quoted));
}

static bool work(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (!listener->daemon)
		return false;
	MHD_run(listener->daemon);
	return MHD_get_timeout(listener->daemon, &timeout) == MHD_YES && timeout == 0;
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct server *server = prepare->data;
	bool http = work(&server->http);
	bool https = work(&server->https);

	if (http || https)
		uv_idle_start(&server->idle, on_idle);
	else
		uv_idle_stop(&server->idle);
}

/* The daemon works in on_prepare(), which follows. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
}

static int read_file(const char *path, struct buffer *out, struct err *err)
{
	char block[4096];
	size_t n;
	FILE *file = path ? fopen(path, "re") : NULL;

	if (!path)
		return err_set(err, "--https needs --cert and --key");
	if (!file)
		return err_set(err, "open %s: %s", path, strerror(errno));
	while ((n = fread(block, 1, sizeof block, file)) > 0)
		buffer_append(out, block, n);
	bool ok = !ferror(file) && buffer_ok(out) && out->size > 0;

	fclose(file);
	return ok ? 0 : err_set(err, "read %s: unreadable, empty or too large", path);
}

static struct MHD_Daemon *start_daemon(struct listener *listener, const struct sockaddr *address,
                                       const char *key, const char *cert)
{
	unsigned flags =
	    MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	if (listener->tls)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(
	    flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_daemon_log,
	    listener, MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_URI_LOG_CALLBACK, on_request_line,
	    listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_CONNECTION_LIMIT,
	    CONNECTIONS_MAX, MHD_OPTION_LISTEN_BACKLOG_SIZE, BACKLOG, MHD_OPTION_ARRAY,
	    listener->tls ? tls : none, MHD_OPTION_END);
}

static int listen_on(struct listener *listener, int port, const char *key, const char *cert,
                     struct err *err)
{
	struct simulator *simulator = listener->simulator;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	const union MHD_DaemonInfo *info;

	if (inet_pton(AF_INET, simulator->options->address, &address.sin_addr) != 1)
		return err_set(err, "--address %s: not an IPv4 address",
		               simulator->options->address);
	listener->daemon = start_daemon(listener, (struct sockaddr *)&address, key, cert);
	if (!listener->daemon)
		return err_set(err, "listen on %s port %d: %s", simulator->options->address, port,
		               errno ? strerror(errno) : "refused by libmicrohttpd");
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(&simulator->loop, &listener->poll, info->epoll_fd);
	uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	return 0;
}

static int listen_tls(struct listener *listener, const struct options *options, struct err *err)
{
	struct buffer key, cert;
	int result;

	buffer_init(&key, PEM_MAX);
	buffer_init(&cert, PEM_MAX);
	result = read_file(options->key, &key, err);
	if (result == 0)
		result = read_file(options->cert, &cert, err);
	if (result == 0)
		result = listen_on(listener, options->https_port, key.data, cert.data, err);
	buffer_close(&key);
	buffer_close(&cert);
	return result;
}

int server_init(struct server *server, struct simulator *simulator, struct err *err)
{
	const struct options *options = simulator->options;

	*server = (struct server){ .deliveries.timer = -1 };
	server->http.simulator = simulator;
	server->https.simulator = simulator;
	server->https.tls = true;
	uv_prepare_init(&simulator->loop, &server->prepare);
	uv_idle_init(&simulator->loop, &server->idle);
	server->prepare.data = server;
	uv_prepare_start(&server->prepare, on_prepare);
	if (deliveries_init(&server->deliveries, &simulator->loop, err) < 0)
		return -1;
	if (options->http_port >= 0 &&
	    listen_on(&server->http, options->http_port, NULL, NULL, err) < 0)
		return -1;
	if (options->https_port >= 0 && listen_tls(&server->https, options, err) < 0)
		return -1;
	return 0;
}

int listener_port(const struct listener *listener)
{
	const union MHD_DaemonInfo *info;

	if (!listener->daemon)
		return 0;
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_BIND_PORT);
	return info->port;
}

static void close_listener(struct listener *listener)
{
	if (!listener->daemon)
		return;
	uv_close((uv_handle_t *)&listener->poll, NULL);
	MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
}

void server_close(struct server *server)
{
	/* libmicrohttpd must not be stopped while a connection is suspended. */
	while (server->deliveries.waiting) {
		deliveries_abort(&server->deliveries);
		work(&server->http);
		work(&server->https);
	}
	close_listener(&server->http);
	close_listener(&server->https);
	deliveries_close(&server->deliveries);
	uv_close((uv_handle_t *)&server->prepare, NULL);
	uv_close((uv_handle_t *)&server->idle, NULL);
}
