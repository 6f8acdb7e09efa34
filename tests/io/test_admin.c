/* The operator's HTTP server, asked over loopback sockets from the same thread. */
#include "worker/io/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define ANSWER_MAX  8192
#define PATIENCE_MS 20000

struct fixture {
	uv_loop_t loop;
	struct log log;
	struct admin *admin;
	enum admin_health health;
	bool closed;
};

static enum admin_health on_health(void *owner, struct buffer *why)
{
	struct fixture *f = owner;

	if (f->health != ADMIN_READY)
		buffer_append_text(why,
		                   f->health == ADMIN_DEGRADED ? "no token" : "no partition yet");
	return f->health;
}

static void on_metrics(void *owner, struct buffer *page)
{
	(void)owner;
	buffer_append_text(page, "invite_worker_up 1\n");
}

static void on_closed(void *owner)
{
	struct fixture *f = owner;

	f->closed = true;
}

static struct admin *listen_on(struct fixture *f, const char *address, uint16_t port,
                               struct err *err)
{
	struct admin_options options = { .address = address, .port = port };
	struct admin_callbacks callbacks = { f, on_health, on_metrics };

	return admin_new(&f->loop, &options, &callbacks, &f->log, err);
}

static int setup(void **state)
{
	static struct fixture f;
	struct err err;

	memset(&f, 0, sizeof(f));
	uv_loop_init(&f.loop);
	log_init(&f.log, NULL, LOG_DEBUG);
	f.admin = listen_on(&f, "127.0.0.1", 0, &err);
	assert_non_null(f.admin);
	assert_true(admin_port(f.admin) > 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	admin_close(f->admin, on_closed, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	return 0;
}

/* A socket, or -1 when nobody listens there. */
static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turn the loop until the server has closed the connection; what it sent goes into 'answer'. Closes
 * 'fd'. */
static void receive_all(struct fixture *f, int fd, char answer[static ANSWER_MAX])
{
	size_t used = 0;
	uint64_t began_ms = uv_now(&f->loop);

	for (;;) {
		ssize_t n = recv(fd, answer + used, ANSWER_MAX - 1 - used, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			used += (size_t)n;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_true(uv_now(&f->loop) - began_ms < PATIENCE_MS);
	}
	answer[used] = '\0';
	close(fd);
}

static void ask(struct fixture *f, const char *method, const char *path,
                char answer[static ANSWER_MAX])
{
	char request[256];
	int fd = connect_to("127.0.0.1", admin_port(f->admin));

	assert_true(fd >= 0);
	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
	         method, path);
	send_text(fd, request);
	receive_all(f, fd, answer);
}

static void assert_starts(const char *answer, const char *start)
{
	assert_int_equal(strncmp(answer, start, strlen(start)), 0);
}

static void it_is_alive(void **state)
{
	char answer[ANSWER_MAX];

	ask(*state, "GET", "/livez", answer);
	assert_starts(answer, "HTTP/1.1 200 ");
	assert_non_null(strstr(answer, "\r\n\r\nok"));
}

static void it_says_why_it_is_not_ready(void **state)
{
	struct fixture *f = *state;
	char answer[ANSWER_MAX];

	ask(f, "GET", "/readyz", answer);
	assert_starts(answer, "HTTP/1.1 503 ");
	assert_non_null(strstr(answer, "no partition yet"));
	f->health = ADMIN_READY;
	ask(f, "GET", "/readyz", answer);
	assert_starts(answer, "HTTP/1.1 200 ");
	assert_non_null(strstr(answer, "\r\n\r\nok\n"));
}

static void it_stays_ready_and_alive_while_it_is_degraded_and_says_so(void **state)
{
	static const char *const pages[] = { "/readyz", "/livez" };
	struct fixture *f = *state;
	char answer[ANSWER_MAX];

	f->health = ADMIN_DEGRADED;
	for (size_t i = 0; i < 2; i++) {
		ask(f, "GET", pages[i], answer);
		assert_starts(answer, "HTTP/1.1 200 ");
		assert_non_null(strstr(answer, "\r\n\r\ndegraded: no token\n"));
	}
}

static void figures_have_the_type_that_scrapers_expect(void **state)
{
	char answer[ANSWER_MAX];

	ask(*state, "GET", "/metrics", answer);
	assert_starts(answer, "HTTP/1.1 200 ");
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4\r\n"));
	assert_non_null(strstr(answer, "\r\n\r\ninvite_worker_up 1\n"));
}

static void head_has_no_body(void **state)
{
	char answer[ANSWER_MAX];

	ask(*state, "HEAD", "/metrics", answer);
	assert_starts(answer, "HTTP/1.1 200 ");
	assert_null(strstr(answer, "invite_worker_up"));
}

static void other_paths_and_methods_are_refused(void **state)
{
	char answer[ANSWER_MAX];

	ask(*state, "GET", "/", answer);
	assert_starts(answer, "HTTP/1.1 404 ");
	ask(*state, "GET", "/metrics/../livez", answer);
	assert_starts(answer, "HTTP/1.1 404 ");
	ask(*state, "DELETE", "/livez", answer);
	assert_starts(answer, "HTTP/1.1 405 ");
	assert_non_null(strstr(answer, "Allow: GET, HEAD"));
}

static void a_body_is_not_read(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to("127.0.0.1", admin_port(f->admin));
	char answer[ANSWER_MAX];

	send_text(fd, "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc");
	receive_all(f, fd, answer);
	assert_starts(answer, "HTTP/1.1 405 ");
}

static void a_head_that_is_too_large_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to("127.0.0.1", admin_port(f->admin));
	static char line[32 * 1024];
	char answer[ANSWER_MAX];

	memset(line, 'a', sizeof(line) - 1);
	send_text(fd, "GET /livez HTTP/1.1\r\nHost: x\r\nX: ");
	send_text(fd, line);
	receive_all(f, fd, answer);
	assert_null(strstr(answer, " 200 "));
}

/* Connections that send nothing, or half a request, do not keep others from being served. */
static void slow_clients_do_not_stop_the_others(void **state)
{
	struct fixture *f = *state;
	char answer[ANSWER_MAX];
	int slow[10];

	for (int i = 0; i < 10; i++) {
		slow[i] = connect_to("127.0.0.1", admin_port(f->admin));
		assert_true(slow[i] >= 0);
		if (i % 2)
			send_text(slow[i], "GET /li");
	}
	for (int i = 0; i < 5; i++) {
		ask(f, "GET", "/livez", answer);
		assert_starts(answer, "HTTP/1.1 200 ");
	}
	for (int i = 0; i < 10; i++)
		close(slow[i]);
}

static void closing_breaks_off_open_connections(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to("127.0.0.1", admin_port(f->admin));

	send_text(fd, "GET /li");
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	close(fd);
}

static void it_listens_on_no_other_address(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(connect_to("127.0.0.2", admin_port(f->admin)), -1);
}

static void what_is_no_address_or_is_taken_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_null(listen_on(f, "localhost", 0, &err));
	assert_non_null(strstr(err.msg, "localhost"));
	assert_null(listen_on(f, "127.0.0.1", admin_port(f->admin), &err));
	assert_non_null(strstr(err.msg, "127.0.0.1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_alive),
		TEST(it_says_why_it_is_not_ready),
		TEST(it_stays_ready_and_alive_while_it_is_degraded_and_says_so),
		TEST(figures_have_the_type_that_scrapers_expect),
		TEST(head_has_no_body),
		TEST(other_paths_and_methods_are_refused),
		TEST(a_body_is_not_read),
		TEST(a_head_that_is_too_large_is_refused),
		TEST(slow_clients_do_not_stop_the_others),
		TEST(closing_breaks_off_open_connections),
		TEST(it_listens_on_no_other_address),
		TEST(what_is_no_address_or_is_taken_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
