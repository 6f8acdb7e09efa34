/* One HTTP request in a libcurl easy handle: its options, its bytes out and in, and what came of
 * it.
 *
 * A part of http.h; who wants to send a request uses that. Handles and memory are used again. */
#ifndef WORKER_IO_TRANSFER_H
#define WORKER_IO_TRANSFER_H

#include "worker/base/buffer.h"
#include "worker/io/http.h"

#include <curl/curl.h>

/* Ours besides the caller's: Content-Type and Expect. */
#define TRANSFER_MAX_LINES (HTTP_MAX_HEADERS + 2)

struct http_transfer {
	struct http_transfer *prev, *next; /* The list that it is in */
	CURL *easy;                        /* Owned; NULL after a failure, until it is used again */
	bool has_proxy;                    /* Of the model */
	bool is_direct;                    /* 'easy' is set up to pass by the proxy */
	void *owner;                       /* These three as in the request */
	http_done_cb done;
	http_gate_cb gate;
	struct buffer lines;                           /* Request header lines, a NUL after each */
	struct curl_slist headers[TRANSFER_MAX_LINES]; /* Point into 'lines' */
	struct buffer body;                            /* Of the request */
	size_t body_given;                             /* Bytes of it that libcurl has taken */
	bool body_begun;
	struct buffer answer;        /* Body of the response */
	size_t header_bytes;         /* Of the response, all together */
	const char *reason;          /* Set where a callback of ours ended the transfer; static */
	char error[CURL_ERROR_SIZE]; /* Filled by libcurl */
};

/* An easy handle with all that does not depend on the request. The caller owns it. */
CURL *transfer_model(const struct http_options *options, struct err *err) MUST_CHECK;

/* NULL when there is no memory. */
struct http_transfer *transfer_new(void) MUST_CHECK;

void transfer_free(struct http_transfer *t);

/* Take over a request; the easy handle comes from 'model' when there is none. */
int transfer_prepare(struct http_transfer *t, CURL *model, const struct http_request *request,
                     struct err *err) MUST_CHECK;

/* Call back with what libcurl said; the easy handle must be out of its multi handle. */
void transfer_report(struct http_transfer *t, CURLcode code);

/* Make ready for the next request: what was sent and answered is wiped, memory that grew large is
 * given back. 'failed' says that the last one did not end well. */
void transfer_recycle(struct http_transfer *t, bool failed);

#endif
