/* HTTP requests by curl_multi on a libuv loop.
 *
 * libcurl says which sockets it watches and when it wants to be woken (on_socket, on_alarm_wanted),
 * the poller wakes it (on_ready, on_alarm), and after each time it was woken the transfers that
 * ended are taken out. */
#include "worker/io/http.h"

#include "worker/io/poller.h"
#include "worker/io/transfer.h"

#include <stdlib.h>
#include <utlist.h>

/* Transfers that are kept for the next requests. */
#define MAX_SPARE 256

/* Streams that one HTTP/2 connection carries; servers commonly allow 100. */
#define MAX_STREAMS 100L

enum http_state { HTTP_OPEN = 1, HTTP_CLOSING };

struct http {
	enum http_state state;
	struct poller poller;
	CURLM *multi;                 /* Owned, as is what follows */
	CURL *model;                  /* What all easy handles are copied from */
	struct http_transfer *active; /* In 'multi' */
	struct http_transfer *spare;  /* Linked by 'next' */
	size_t n_active, n_spare;
	bool has_proxy;
	void (*closed)(void *owner);
	void *closed_owner;
};

static void http_drain(struct http *http);

/* A pointer in 'known' marks the sockets that the poller has. To report a failure would end all
 * transfers at once and for good; so one socket is not watched, and its transfer ends when its time
 * is over. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
	struct http *http = owner;
	unsigned events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (known)
			poller_rest(&http->poller, fd);
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= POLLER_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= POLLER_WRITABLE;
	if (poller_watch(&http->poller, fd, events, known != NULL) == 0 && !known)
		curl_multi_assign(http->multi, fd, http);
	return 0;
}

static int on_alarm_wanted(CURLM *multi, long ms, void *owner)
{
	struct http *http = owner;

	(void)multi;
	poller_set_alarm(&http->poller, ms);
	return 0;
}

static void on_ready(void *owner, int fd, unsigned events)
{
	struct http *http = owner;
	int mask = 0, running;

	if (events & POLLER_READABLE)
		mask |= CURL_CSELECT_IN;
	if (events & POLLER_WRITABLE)
		mask |= CURL_CSELECT_OUT;
	if (events & POLLER_FAILED)
		mask |= CURL_CSELECT_ERR;
	curl_multi_socket_action(http->multi, fd, mask, &running);
	http_drain(http);
}

static void on_alarm(void *owner)
{
	struct http *http = owner;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	http_drain(http);
}

static void on_poller_closed(void *owner)
{
	struct http *http = owner;
	void (*closed)(void *) = http->closed;
	void *closed_owner = http->closed_owner;

	free(http);
	curl_global_cleanup();
	if (closed)
		closed(closed_owner);
}

static struct http_transfer *transfer_take(struct http *http)
{
	struct http_transfer *t = http->spare;

	if (!t) {
		t = transfer_new();
		if (t)
			t->has_proxy = http->has_proxy;
		return t;
	}
	LL_DELETE(http->spare, t);
	http->n_spare--;
	return t;
}

static void transfer_put(struct http *http, struct http_transfer *t, bool failed)
{
	if (http->state != HTTP_OPEN || http->n_spare >= MAX_SPARE) {
		transfer_free(t);
		return;
	}
	transfer_recycle(t, failed);
	LL_PREPEND(http->spare, t);
	http->n_spare++;
}

/* The callback may start and cancel requests, and it may close 'http', which is freed later by the
 * loop. */
static void http_end(struct http *http, struct http_transfer *t, CURLcode code)
{
	curl_multi_remove_handle(http->multi, t->easy);
	DL_DELETE(http->active, t);
	http->n_active--;
	transfer_report(t, code);
	transfer_put(http, t, code != CURLE_OK);
}

static void http_drain(struct http *http)
{
	CURLMsg *message;
	int left;

	while (http->state == HTTP_OPEN && (message = curl_multi_info_read(http->multi, &left))) {
		char *t = NULL;

		CHECK(message->msg == CURLMSG_DONE);
		CHECK(curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK);
		http_end(http, (struct http_transfer *)t, message->data.result);
	}
}

#define SET(option, value) (code = code ? code : curl_multi_setopt(multi, option, value))

static CURLM *http_multi(struct http *http, const struct http_options *options)
{
	CURLM *multi = curl_multi_init();
	CURLMcode code = multi ? CURLM_OK : CURLM_OUT_OF_MEMORY;

	SET(CURLMOPT_SOCKETFUNCTION, on_socket);
	SET(CURLMOPT_SOCKETDATA, http);
	SET(CURLMOPT_TIMERFUNCTION, on_alarm_wanted);
	SET(CURLMOPT_TIMERDATA, http);
	SET(CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	SET(CURLMOPT_MAX_CONCURRENT_STREAMS, MAX_STREAMS);
	SET(CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->max_connections);
	SET(CURLMOPT_MAXCONNECTS, 2 * (long)options->max_connections);
	if (!code)
		return multi;
	curl_multi_cleanup(multi);
	return NULL;
}

#undef SET

struct http *http_new(uv_loop_t *loop, const struct http_options *options, struct err *err)
{
	struct poller_callbacks callbacks = { .ready = on_ready,
		                              .alarm = on_alarm,
		                              .closed = on_poller_closed };
	struct http *http;

	CHECK(options->max_connections > 0);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, "libcurl does not start");
		return NULL;
	}
	http = calloc(1, sizeof(*http));
	if (!http)
		goto no_memory;
	callbacks.owner = http;
	http->state = HTTP_OPEN;
	http->has_proxy = options->proxy != NULL;
	http->multi = http_multi(http, options);
	if (!http->multi)
		goto no_memory;
	http->model = transfer_model(options, err);
	if (!http->model)
		goto fail;
	if (poller_open(&http->poller, loop, &callbacks, err) < 0)
		goto fail;
	return http;

no_memory:
	err_set(err, "out of memory");
fail:
	if (http) {
		curl_easy_cleanup(http->model);
		curl_multi_cleanup(http->multi);
	}
	free(http);
	curl_global_cleanup();
	return NULL;
}

int http_start(struct http *http, const struct http_request *request, struct http_transfer **ret,
               struct err *err)
{
	struct http_transfer *t;
	CURLMcode code;

	if (http->state != HTTP_OPEN)
		return err_set(err, "the HTTP client is closing");
	t = transfer_take(http);
	if (!t)
		return err_set(err, "out of memory");
	if (transfer_prepare(t, http->model, request, err) < 0)
		goto fail;
	code = curl_multi_add_handle(http->multi, t->easy);
	if (code != CURLM_OK) {
		err_set(err, "start the request: %s", curl_multi_strerror(code));
		goto fail;
	}
	DL_APPEND(http->active, t);
	http->n_active++;
	if (ret)
		*ret = t;
	return 0;

fail:
	transfer_put(http, t, true);
	return -1;
}

void http_cancel(struct http *http, struct http_transfer *transfer)
{
	transfer->reason = "canceled";
	http_end(http, transfer, CURLE_ABORTED_BY_CALLBACK);
}

size_t http_pending(const struct http *http)
{
	return http->n_active;
}

void http_close(struct http *http, void (*closed)(void *owner), void *owner)
{
	struct http_transfer *t, *next;

	CHECK(http->state == HTTP_OPEN);
	http->state = HTTP_CLOSING;
	http->closed = closed;
	http->closed_owner = owner;
	while (http->active)
		http_cancel(http, http->active);
	LL_FOREACH_SAFE(http->spare, t, next)
	transfer_free(t);
	http->spare = NULL;
	curl_multi_cleanup(http->multi);
	curl_easy_cleanup(http->model);
	poller_close(&http->poller);
}
