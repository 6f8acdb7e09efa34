/* No silent second POST over HTTP/2 and TLS either: nghttpx stands before a plain server, and the
 * connection to it breaks while many requests share it. */
#include "lib/hostile_server.h"
#include "lib/relay.h"
#include "worker/base/random.h"
#include "worker/io/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <poll.h>

#include <cmocka.h>

#define REQUESTS  20000
#define IN_FLIGHT 16

#define OK_TEXT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const struct hostile_step answer = { .text = OK_TEXT };

enum end { NOT_ENDED, ACCEPTED, BROKEN, UNSENT };

struct world {
	uv_loop_t loop;
	struct hostile_server server;
	struct relay relay;
	struct http *http;
	struct random random;
	pid_t proxy;
	unsigned one_break_in; /* Effects; 0: never */
	unsigned breaks, started, ended, over_http2, total_effects;
	unsigned counts[UNSENT + 1];
	char dir[64], front[96], key[96], cert[96], url[64];
	unsigned char effects[REQUESTS];
	unsigned char ends[REQUESTS];
};

struct request {
	struct world *world;
	unsigned number;
};

/* It dies with the test, however that ends; what it says on stderr is dropped. */
static pid_t start_program(const char *const *argv)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !freopen("/dev/null", "w", stderr))
		_exit(1);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void make_certificate(struct world *w)
{
	const char *argv[] = { "openssl",
		               "req",
		               "-x509",
		               "-newkey",
		               "ec",
		               "-pkeyopt",
		               "ec_paramgen_curve:prime256v1",
		               "-nodes",
		               "-days",
		               "2",
		               "-subj",
		               "/CN=test",
		               "-addext",
		               "subjectAltName=IP:127.0.0.1",
		               "-keyout",
		               w->key,
		               "-out",
		               w->cert,
		               NULL };
	int status;

	assert_true(waitpid(start_program(argv), &status, 0) > 0);
	assert_int_equal(status, 0);
}

static bool front_answers(struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool connected;

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", w->front);
	connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return connected;
}

static void start_proxy(struct world *w)
{
	char frontend[128], backend[64];
	const char *argv[] = { "nghttpx",
		               "--single-process",
		               "--conf=/dev/null",
		               "--no-ocsp",
		               "--errorlog-file=/dev/null",
		               frontend,
		               backend,
		               w->key,
		               w->cert,
		               NULL };

	snprintf(frontend, sizeof(frontend), "--frontend=unix:%s", w->front);
	snprintf(backend, sizeof(backend), "--backend=127.0.0.1,%u", w->server.port);
	w->proxy = start_program(argv);
	while (!front_answers(w)) {
		assert_int_equal(waitpid(w->proxy, NULL, WNOHANG), 0);
		poll(NULL, 0, 5);
	}
}

static const struct hostile_step *next_step(void *owner, const struct hostile_turn *turn)
{
	(void)owner;
	(void)turn;
	return &answer;
}

static void on_effect(void *owner, struct bytes head, struct bytes body)
{
	struct world *w = owner;
	unsigned long number = strtoul(body.data, NULL, 10);

	assert_true(number < REQUESTS);
	w->effects[number]++;
	w->total_effects++;
	if (memmem(head.data, head.size, "2 nghttpx", 9))
		w->over_http2++;
	if (w->one_break_in && random_below(&w->random, w->one_break_in) == 0) {
		relay_break(&w->relay);
		w->breaks++;
	}
}

static void start_next(struct world *w);

static void on_done(void *owner, const struct http_response *response)
{
	struct request *request = owner;
	struct world *w = request->world;
	enum end end = response->body_begun ? BROKEN : UNSENT;

	if (!response->problem) {
		assert_int_equal(response->status, 200);
		end = ACCEPTED;
	}
	assert_int_equal(w->ends[request->number], NOT_ENDED);
	w->ends[request->number] = (unsigned char)end;
	w->counts[end]++;
	w->ended++;
	free(request);
	if (w->started < REQUESTS)
		start_next(w);
	else if (w->ended == REQUESTS)
		uv_stop(&w->loop);
}

static void start_next(struct world *w)
{
	struct request *owner = malloc(sizeof(*owner));
	char body[256];
	int size;
	struct http_request request;

	assert_non_null(owner);
	*owner = (struct request){ .world = w, .number = w->started++ };
	size = snprintf(body, sizeof(body), "%-200u", owner->number);
	request = (struct http_request){ .method = HTTP_POST,
		                         .url = w->url,
		                         .body = { body, (size_t)size },
		                         .content_type = "text/plain",
		                         .timeout = duration_ms(30000),
		                         .max_response = 1000,
		                         .owner = owner,
		                         .done = on_done };
	assert_int_equal(http_start(w->http, &request, NULL, NULL), 0);
}

static struct world *world_open(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct hostile_script script = { .owner = w, .step = next_step, .effect = on_effect };
	struct http_options options = { .max_connections = 2,
		                        .connect_timeout = duration_ms(20000) };

	assert_non_null(w);
	random_init(&w->random, 1);
	snprintf(w->dir, sizeof(w->dir), "/tmp/http2-drops-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->front, sizeof(w->front), "%s/front", w->dir);
	snprintf(w->key, sizeof(w->key), "%s/key", w->dir);
	snprintf(w->cert, sizeof(w->cert), "%s/cert", w->dir);
	make_certificate(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	hostile_server_open(&w->server, &w->loop, &script);
	start_proxy(w);
	relay_open(&w->relay, &w->loop, w->front);
	snprintf(w->url, sizeof(w->url), "https://127.0.0.1:%u/", w->relay.port);
	options.ca_file = w->cert;
	w->http = http_new(&w->loop, &options, NULL);
	assert_non_null(w->http);
	return w;
}

static void world_close(struct world *w)
{
	http_close(w->http, NULL, NULL);
	relay_close(&w->relay);
	hostile_server_close(&w->server);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	kill(w->proxy, SIGKILL);
	waitpid(w->proxy, NULL, 0);
	unlink(w->front);
	unlink(w->key);
	unlink(w->cert);
	assert_int_equal(rmdir(w->dir), 0);
	free(w);
}

static void run_all(struct world *w)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		start_next(w);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	print_message("%u answered, %u broken, %u not sent, %u breaks, %u connections\n",
	              w->counts[ACCEPTED], w->counts[BROKEN], w->counts[UNSENT], w->breaks,
	              w->relay.n_pairs);
}

static void shares_one_connection_among_all_requests(void **state)
{
	struct world *w = world_open();

	(void)state;
	run_all(w);
	assert_int_equal(w->counts[ACCEPTED], REQUESTS);
	assert_int_equal(w->over_http2, REQUESTS);
	assert_int_equal(w->relay.n_pairs, 1);
	world_close(w);
}

static void no_broken_connection_makes_a_second_post(void **state)
{
	struct world *w = world_open();

	(void)state;
	w->one_break_in = 20;
	run_all(w);
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_in_range(w->effects[i], 0, 1);
		if (w->ends[i] == ACCEPTED)
			assert_int_equal(w->effects[i], 1);
		if (w->ends[i] == UNSENT)
			assert_int_equal(w->effects[i], 0);
	}
	assert_int_equal(w->over_http2, w->total_effects);
	assert_true(w->counts[BROKEN] > REQUESTS / 10);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_one_connection_among_all_requests),
		cmocka_unit_test(no_broken_connection_makes_a_second_post),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
