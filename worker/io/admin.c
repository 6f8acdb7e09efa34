/* The operator's HTTP server: see admin.h.
 *
 * libmicrohttpd runs without a thread of its own. Its epoll set is one descriptor, which a uv_poll
 * watches; the time until its next deadline is asked after every run and armed as a uv_timer. The
 * socket is opened here, so that it is bound to one address and an error can be told in full. */
#include "worker/io/admin.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADMIN_CONNECTIONS       32
#define ADMIN_TIMEOUT_SECONDS   10
#define ADMIN_CONNECTION_MEMORY (16 * 1024) /* Bounds the size of a request's head */
#define ADMIN_PAGE_MAX          (1024 * 1024)
#define ADMIN_BACKLOG           16

struct admin {
	struct admin_callbacks callbacks;
	struct MHD_Daemon *daemon; /* Owned; it owns the listening socket */
	uint16_t port;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned open_handles;
	void (*closed)(void *owner);
	void *closed_owner;
};

static const char text_type[] = "text/plain; charset=utf-8";

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               struct bytes body)
{
	/* The library copies the body; its parameter is not const. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    body.size, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Whoever is not ready is alive: to be restarted would not help. */
static enum MHD_Result respond_health(struct admin *admin, struct MHD_Connection *connection,
                                      unsigned status_when_unready)
{
	struct buffer why, text;
	enum MHD_Result result;
	enum admin_health health;
	unsigned status = MHD_HTTP_OK;

	buffer_init(&why, ADMIN_PAGE_MAX / 2);
	buffer_init(&text, ADMIN_PAGE_MAX);
	health = admin->callbacks.health(admin->callbacks.owner, &why);
	if (health == ADMIN_UNREADY)
		status = status_when_unready;
	if (health == ADMIN_READY || (health == ADMIN_UNREADY && status == MHD_HTTP_OK))
		buffer_append_text(&text, "ok");
	else
		buffer_printf(&text, "%s%s", health == ADMIN_DEGRADED ? "degraded: " : "",
		              buffer_bytes(&why).data);
	buffer_append_char(&text, '\n');
	result = respond(connection, status, text_type, buffer_bytes(&text));
	buffer_close(&text);
	buffer_close(&why);
	return result;
}

static enum MHD_Result respond_metrics(struct admin *admin, struct MHD_Connection *connection)
{
	struct buffer page;
	enum MHD_Result result;

	buffer_init(&page, ADMIN_PAGE_MAX);
	admin->callbacks.metrics(admin->callbacks.owner, &page);
	if (buffer_ok(&page))
		result = respond(connection, MHD_HTTP_OK, "text/plain; version=0.0.4",
		                 buffer_bytes(&page));
	else
		result = respond(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, text_type,
		                 bytes_of("the page is too large\n"));
	buffer_close(&page);
	return result;
}

/* libmicrohttpd calls this once for the head, where 'state' is still NULL, then for each piece of a
 * body, then at the end. An answer before the end closes the connection: what it sends further is
 * not read. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_size, void **state)
{
	struct admin *admin = arg;

	(void)version;
	(void)body;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, text_type,
		               bytes_of("only GET and HEAD\n"));
	if (*body_size > 0)
		return MHD_NO;
	if (!*state) {
		*state = admin;
		return MHD_YES;
	}
	if (strcmp(url, "/livez") == 0)
		return respond_health(admin, connection, MHD_HTTP_OK);
	if (strcmp(url, "/readyz") == 0)
		return respond_health(admin, connection, MHD_HTTP_SERVICE_UNAVAILABLE);
	if (strcmp(url, "/metrics") == 0)
		return respond_metrics(admin, connection);
	return respond(connection, MHD_HTTP_NOT_FOUND, text_type,
	               bytes_of("there are /livez, /readyz and /metrics\n"));
}

static void on_timer(uv_timer_t *timer);

/* Serve what is ready, then arm the next deadline. */
static void run(struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(admin->daemon);
	if (MHD_get_timeout(admin->daemon, &timeout_ms) == MHD_YES)
		uv_timer_start(&admin->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&admin->timer);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

static int parse_address(const struct admin_options *options, struct sockaddr_storage *address,
                         socklen_t *ret_size)
{
	if (uv_ip4_addr(options->address, options->port, (struct sockaddr_in *)address) == 0) {
		*ret_size = sizeof(struct sockaddr_in);
		return 0;
	}
	if (uv_ip6_addr(options->address, options->port, (struct sockaddr_in6 *)address) == 0) {
		*ret_size = sizeof(struct sockaddr_in6);
		return 0;
	}
	return -1;
}

/* Bind 'fd' and listen; tell the port. Returns a value of errno, or 0. */
static int listen_on(int fd, const struct sockaddr_storage *address, socklen_t size,
                     uint16_t *ret_port)
{
	struct sockaddr_storage bound = { 0 };
	socklen_t bound_size = sizeof(bound);
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return errno;
	if (address->ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return errno;
	if (bind(fd, (const struct sockaddr *)address, size) < 0 || listen(fd, ADMIN_BACKLOG) < 0)
		return errno;
	if (getsockname(fd, (struct sockaddr *)&bound, &bound_size) < 0)
		return errno;
	if (bound.ss_family == AF_INET6)
		*ret_port = ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	else
		*ret_port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	return 0;
}

static int open_socket(const struct admin_options *options, uint16_t *ret_port, struct err *err)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size;
	int error, fd;

	if (parse_address(options, &address, &size) < 0)
		return err_set(err, "\"%.100s\" is not an IPv4 or IPv6 address", options->address);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	error = fd < 0 ? errno : listen_on(fd, &address, size, ret_port);
	if (error == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set(err, "cannot listen on %s port %u: %s", options->address, options->port,
	               strerror(error));
}

static struct MHD_Daemon *start_daemon(struct admin *admin, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, admin,
	                        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	                        (unsigned)ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
	                        (unsigned)ADMIN_TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                        (size_t)ADMIN_CONNECTION_MEMORY, MHD_OPTION_END);
}

struct admin *admin_new(uv_loop_t *loop, const struct admin_options *options,
                        const struct admin_callbacks *callbacks, const struct log *log,
                        struct err *err)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	const union MHD_DaemonInfo *info;
	int fd;

	CHECK(admin);
	admin->callbacks = *callbacks;
	fd = open_socket(options, &admin->port, err);
	if (fd < 0) {
		free(admin);
		return NULL;
	}
	admin->daemon = start_daemon(admin, fd);
	if (!admin->daemon) {
		/* Whether the library has closed the socket is not told: better left open than
		 * closed twice. */
		err_set(err, "cannot start the HTTP server");
		free(admin);
		return NULL;
	}
	info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	CHECK(info);
	CHECK(uv_poll_init(loop, &admin->poll, info->epoll_fd) == 0);
	uv_timer_init(loop, &admin->timer);
	admin->poll.data = admin;
	admin->timer.data = admin;
	admin->open_handles = 2;
	uv_poll_start(&admin->poll, UV_READABLE, on_ready);
	log_info(log, "admin.listening", "address=%s port=%u", options->address, admin->port);
	return admin;
}

uint16_t admin_port(const struct admin *admin)
{
	return admin->port;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct admin *admin = handle->data;
	void (*closed)(void *) = admin->closed;
	void *closed_owner = admin->closed_owner;

	if (--admin->open_handles > 0)
		return;
	MHD_stop_daemon(admin->daemon);
	free(admin);
	if (closed)
		closed(closed_owner);
}

void admin_close(struct admin *admin, void (*closed)(void *owner), void *owner)
{
	admin->closed = closed;
	admin->closed_owner = owner;
	uv_close((uv_handle_t *)&admin->poll, on_handle_closed);
	uv_close((uv_handle_t *)&admin->timer, on_handle_closed);
}
