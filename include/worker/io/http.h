/* HTTP requests by curl_multi on a libuv loop. The only module that knows both libraries.
 *
 * A request is given to http_start(); its callback fires exactly once, later, never from inside
 * http_start(). No request is ever sent a second time behind the caller's back: libcurl would do so
 * when a reused connection drops (worker/README.md, "No silent second POST"). Redirects are not
 * followed and no proxy is taken from the environment. The process must ignore SIGPIPE: writing to
 * a TLS connection that the peer has closed raises it. */
#ifndef WORKER_IO_HTTP_H
#define WORKER_IO_HTTP_H

#include "worker/base/bytes.h"
#include "worker/base/check.h"
#include "worker/base/err.h"
#include "worker/base/instant.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http;
struct http_transfer;

struct http_options {
	const char *ca_file; /* PEM bundle to trust, borrowed for http_new(); NULL: the system's */
	const char *proxy; /* Borrowed for http_new(); NULL: none, whatever the environment says */
	const char *user_agent;     /* Borrowed for http_new() */
	uint32_t max_connections;   /* Most connections to one host */
	duration_t connect_timeout; /* For name, connection and TLS together */
};

enum http_method { HTTP_GET, HTTP_POST };

/* A header line that the caller adds. Names that are not tokens (RFC 9110 section 5.6.2), empty
 * values and values with control characters are refused. */
struct http_header {
	const char *name;
	struct bytes value;
};

#define HTTP_MAX_HEADERS 8

/* Which response headers are kept. */
enum http_response_header {
	HTTP_LOCATION,
	HTTP_RETRY_AFTER,
	HTTP_REQUEST_ID,
	HTTP_CLIENT_REQUEST_ID,
	HTTP_RESPONSE_HEADERS
};

/* A longer response header is taken as absent. */
#define HTTP_MAX_HEADER_VALUE 4096

struct http_response {
	/* False: the body was never asked for, so nothing of it left. True: it may have left,
	 * whatever 'problem' says. Means nothing for a GET. */
	bool body_begun;
	int status;        /* HTTP status of a whole answer; 0 when 'problem' is set */
	struct bytes body; /* NUL-terminated one past its end */
	/* The first of its name in the final answer; NULL when absent, long or not printable. */
	const char *headers[HTTP_RESPONSE_HEADERS];
	const char *problem; /* Printable: why there is no whole answer; NULL when there is one */
};

/* 'response' is borrowed for the call. The transfer is gone when it returns. */
typedef void (*http_done_cb)(void *owner, const struct http_response *response);

/* Asked in the last microseconds before the first byte of a body leaves: false stops the request
 * there, and the response says that the body was never begun. Must not call any http_… function. */
typedef bool (*http_gate_cb)(void *owner);

struct http_request {
	enum http_method method;
	const char *url; /* http:// or https://; dot segments stay as they are */
	struct http_header headers[HTTP_MAX_HEADERS];
	size_t n_headers;
	struct bytes body;        /* POST only, and then not empty */
	const char *content_type; /* POST only */
	duration_t timeout;       /* For the whole transfer, waiting for a connection included */
	size_t max_response;      /* A longer body ends the transfer with a problem */
	bool is_direct;           /* Past the proxy, if there is one */
	void *owner;
	http_done_cb done;
	http_gate_cb gate; /* NULL: always open */
};

/* Borrows 'loop' until http_close() has called back. Returns NULL and says why on failure. */
struct http *http_new(uv_loop_t *loop, const struct http_options *options,
                      struct err *err) MUST_CHECK;

/* Start a request. All that 'request' points to is copied. Returns 0, or -1 and says why (the
 * callback then never fires). 'ret' may be NULL; '*ret' is valid until the callback. */
int http_start(struct http *http, const struct http_request *request, struct http_transfer **ret,
               struct err *err) MUST_CHECK;

/* End one transfer: its callback fires with a problem, from inside this call. */
void http_cancel(struct http *http, struct http_transfer *transfer);

/* Requests whose callback has not fired. */
size_t http_pending(const struct http *http);

/* End all transfers (their callbacks fire with a problem, from inside this call), release
 * everything, then call 'closed' (may be NULL) when the loop holds nothing of this any more. */
void http_close(struct http *http, void (*closed)(void *owner), void *owner);

#endif
