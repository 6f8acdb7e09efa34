/* One HTTP request in a libcurl easy handle.
 *
 * No silent second POST: when a reused connection ends without a whole answer, libcurl sends the
 * request again on a new one, and no option forbids it. Two things here do. The body comes from a
 * read function and there is no seek function, so libcurl cannot rewind what it has sent. And a
 * function that libcurl calls before each attempt ends the transfer when the body had begun, which
 * covers the attempts where libcurl believes that nothing was sent. An attempt that ended before
 * the body was asked for may be repeated. */
#include "worker/io/transfer.h"

#include "worker/base/failpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_LINES_SIZE    (64 * 1024)
#define MAX_BODY_SIZE     (1024 * 1024)
#define MAX_HEADERS_BYTES (64 * 1024)
#define MAX_FRONT_SIZE    300 /* Of a URL, up to its path; a longer one goes as a whole */

/* Of each buffer: more than this is not kept for the next request. */
#define KEPT_CAPACITY (32 * 1024)

/* Small answers are the rule: less memory for each request that is in flight. */
#define RECEIVE_BUFFER_SIZE (4L * 1024)
#define SEND_BUFFER_SIZE    (16L * 1024)

/* An idle connection older than this is not used again: a load balancer may have dropped it
 * unnoticed, and a POST lost that way is one of which nobody can say whether it had an effect. */
#define MAX_IDLE_SECONDS 50L

/* A connection older than this is not used again, so that a change of the address is noticed. */
#define MAX_AGE_SECONDS 600L

static const char *const response_headers[HTTP_RESPONSE_HEADERS] = {
	[HTTP_LOCATION] = "Location",
	[HTTP_RETRY_AFTER] = "Retry-After",
	[HTTP_REQUEST_ID] = "request-id",
	[HTTP_CLIENT_REQUEST_ID] = "client-request-id",
};

static int on_before_attempt(void *owner, char *peer, char *local, int peer_port, int local_port)
{
	struct http_transfer *t = owner;

	(void)peer;
	(void)local;
	(void)peer_port;
	(void)local_port;
	if (!t->body_begun)
		return CURL_PREREQFUNC_OK;
	t->reason = "the connection ended after the request was sent, which is not sent again";
	return CURL_PREREQFUNC_ABORT;
}

static size_t on_read(char *out, size_t size, size_t n, void *owner)
{
	struct http_transfer *t = owner;
	size_t left = t->body.size - t->body_given;
	size_t given = left < size * n ? left : size * n;

	FAILPOINT(lease_before_check);
	if (!t->body_begun && t->gate && !t->gate(t->owner)) {
		t->reason = "the gate was closed before the body was sent";
		return CURL_READFUNC_ABORT;
	}
	FAILPOINT(lease_after_check);
	t->body_begun = true;
	memcpy(out, t->body.data + t->body_given, given);
	t->body_given += given;
	return given;
}

static size_t on_header(char *data, size_t size, size_t n, void *owner)
{
	struct http_transfer *t = owner;

	(void)data;
	if (t->body_begun && t->header_bytes == 0)
		FAILPOINT(post_after_body);
	t->header_bytes += size * n;
	if (t->header_bytes <= MAX_HEADERS_BYTES)
		return size * n;
	t->reason = "the headers of the answer are too long";
	return 0;
}

static size_t on_write(char *data, size_t size, size_t n, void *owner)
{
	struct http_transfer *t = owner;

	buffer_append(&t->answer, data, size * n);
	if (buffer_ok(&t->answer))
		return size * n;
	t->reason = "the body of the answer is too long";
	return 0;
}

#define SET(option, value) (code = code ? code : curl_easy_setopt(easy, option, value))

/* Without QUICK_EXIT libcurl waits for a name lookup to end when its transfer is given up, and the
 * loop with it. */
static CURLcode set_connection_options(CURL *easy, const struct http_options *options)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, options->proxy ? options->proxy : "");
	SET(CURLOPT_NOPROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_MAXAGE_CONN, MAX_IDLE_SECONDS);
	SET(CURLOPT_MAXLIFETIME_CONN, MAX_AGE_SECONDS);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)duration_to_ms(options->connect_timeout));
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (options->ca_file)
		SET(CURLOPT_CAINFO, options->ca_file);
	return code;
}

static CURLcode set_message_options(CURL *easy, const struct http_options *options)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_SIZE);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER_SIZE);
	SET(CURLOPT_PREREQFUNCTION, on_before_attempt);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_WRITEFUNCTION, on_write);
	if (options->user_agent)
		SET(CURLOPT_USERAGENT, options->user_agent);
	return code;
}

static CURLcode set_owner_options(CURL *easy, struct http_transfer *t)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PRIVATE, t);
	SET(CURLOPT_PREREQDATA, t);
	SET(CURLOPT_READDATA, t);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_HTTPHEADER, t->headers);
	return code;
}

/* Where the path of a URL begins, if it can stand in a request as it is; NULL otherwise. */
static const char *plain_path(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = host + strcspn(host, "/?#");

	if (*path != '/')
		return NULL;
	for (const char *c = path; *c; c++) {
		if (*c <= ' ' || *c > '~' || *c == '#')
			return NULL;
	}
	return path;
}

/* libcurl takes a URL apart and puts it together again for each request, byte by byte. What it
 * needs for the connection is the front, which is short; the rest is given to it as the target of
 * the request. A proxy that is asked for the request itself needs all of it. */
static CURLcode set_url(CURL *easy, const char *url, bool has_proxy)
{
	const char *path = has_proxy ? NULL : plain_path(url);
	char front[MAX_FRONT_SIZE];
	CURLcode code = CURLE_OK;

	if (path && (size_t)(path - url) < sizeof(front) - 1) {
		memcpy(front, url, (size_t)(path - url) + 1);
		front[path - url + 1] = '\0';
		url = front;
	} else {
		path = NULL;
	}
	SET(CURLOPT_URL, url);
	SET(CURLOPT_REQUEST_TARGET, path);
	return code;
}

/* PIPEWAIT lets the requests of a cold start share the first connection where the server speaks
 * HTTP/2, which shows in the TLS handshake. Without TLS it would show with the first answer only,
 * and a server that is slow to give it would hold up all other requests. */
static CURLcode set_request_options(CURL *easy, const struct http_request *request, bool has_proxy)
{
	bool tls = strncasecmp(request->url, "https://", 8) == 0;
	CURLcode code = set_url(easy, request->url, has_proxy);

	SET(CURLOPT_PIPEWAIT, tls ? 1L : 0L);
	SET(CURLOPT_TIMEOUT_MS, (long)duration_to_ms(request->timeout));
	if (request->method == HTTP_GET) {
		SET(CURLOPT_HTTPGET, 1L);
	} else {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
	}
	return code;
}

#undef SET

CURL *transfer_model(const struct http_options *options, struct err *err)
{
	CURL *model = curl_easy_init();
	CURLcode code = model ? set_connection_options(model, options) : CURLE_OUT_OF_MEMORY;

	if (!code)
		code = set_message_options(model, options);
	if (!code)
		return model;
	curl_easy_cleanup(model);
	err_set(err, "set up libcurl: %s", curl_easy_strerror(code));
	return NULL;
}

struct http_transfer *transfer_new(void)
{
	struct http_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	buffer_init(&t->lines, MAX_LINES_SIZE);
	buffer_init(&t->body, MAX_BODY_SIZE);
	return t;
}

/* What was sent and answered: access tokens, secrets, phone numbers. What libcurl has copied of it,
 * and memory that a buffer grew out of, is out of reach. */
static void transfer_wipe(struct http_transfer *t)
{
	struct buffer *const all[] = { &t->lines, &t->body, &t->answer };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->size)
			explicit_bzero(all[i]->data, all[i]->size);
	}
}

void transfer_free(struct http_transfer *t)
{
	if (!t)
		return;
	curl_easy_cleanup(t->easy);
	transfer_wipe(t);
	buffer_close(&t->lines);
	buffer_close(&t->body);
	buffer_close(&t->answer);
	free(t);
}

static bool name_is_token(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && !strchr("!#$%&'*+-.^_`|~", *name))
			return false;
	}
	return true;
}

static bool value_is_plain(struct bytes value)
{
	for (size_t i = 0; i < value.size; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return value.size > 0;
}

static int request_check(const struct http_request *request, struct err *err)
{
	CHECK(request->done && request->n_headers <= HTTP_MAX_HEADERS);
	CHECK(duration_to_ms(request->timeout) > 0);
	if (strncasecmp(request->url, "http://", 7) && strncasecmp(request->url, "https://", 8))
		return err_set(err, "the URL begins with neither http:// nor https://");
	for (size_t i = 0; i < request->n_headers; i++) {
		const struct http_header *header = &request->headers[i];

		if (!name_is_token(header->name))
			return err_set(err, "the name of header %zu is not a token", i + 1);
		if (!value_is_plain(header->value))
			return err_set(err, "header %s is empty or has control characters",
			               header->name);
	}
	if (request->method == HTTP_GET)
		return 0;
	/* libcurl never asks for an empty body, so nothing could be said about whether it was sent.
	 */
	if (request->body.size == 0)
		return err_set(err, "a POST needs a body");
	if (!request->content_type || !value_is_plain(bytes_of(request->content_type)))
		return err_set(err, "a POST needs a content type");
	return 0;
}

static void append_line(struct buffer *lines, const char *name, struct bytes value)
{
	buffer_append_text(lines, name);
	buffer_append_text(lines, value.size ? ": " : ":");
	buffer_append_bytes(lines, value);
	buffer_append_char(lines, '\0');
}

/* libcurl takes a list of lines; this one lies in the transfer's own memory. */
static int fill_headers(struct http_transfer *t, const struct http_request *request,
                        struct err *err)
{
	size_t starts[TRANSFER_MAX_LINES];
	size_t n = 0;

	for (size_t i = 0; i < request->n_headers; i++) {
		starts[n++] = t->lines.size;
		append_line(&t->lines, request->headers[i].name, request->headers[i].value);
	}
	if (request->method == HTTP_POST) {
		starts[n++] = t->lines.size;
		append_line(&t->lines, "Content-Type", bytes_of(request->content_type));
	}
	starts[n++] = t->lines.size;
	append_line(&t->lines, "Expect", bytes_of(NULL));
	if (!buffer_ok(&t->lines))
		return err_set(err, "the headers are too long");
	for (size_t i = 0; i < n; i++)
		t->headers[i] = (struct curl_slist){
			.data = t->lines.data + starts[i],
			.next = i + 1 < n ? &t->headers[i + 1] : NULL,
		};
	return 0;
}

int transfer_prepare(struct http_transfer *t, CURL *model, const struct http_request *request,
                     struct err *err)
{
	CURLcode code = CURLE_OK;

	if (request_check(request, err) < 0 || fill_headers(t, request, err) < 0)
		return -1;
	buffer_append_bytes(&t->body, request->body);
	if (!buffer_ok(&t->body))
		return err_set(err, "the body is too long");
	t->owner = request->owner;
	t->done = request->done;
	t->gate = request->gate;
	t->answer.limit = request->max_response;
	if (!t->easy) {
		t->easy = curl_easy_duphandle(model);
		t->is_direct = false;
		code = t->easy ? set_owner_options(t->easy, t) : CURLE_OUT_OF_MEMORY;
	}
	if (!code && request->is_direct != t->is_direct)
		code = curl_easy_setopt(t->easy, CURLOPT_NOPROXY, request->is_direct ? "*" : "");
	t->is_direct = request->is_direct;
	if (!code)
		code = set_request_options(t->easy, request, t->has_proxy);
	return code ? err_set(err, "set up the request: %s", curl_easy_strerror(code)) : 0;
}

/* The final answer's headers only: not those of an interim answer, nor trailers. */
static const char *response_header(CURL *easy, const char *name)
{
	struct curl_header *header;
	size_t size = 0;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	for (const char *c = header->value; *c; c++, size++) {
		if (*c < 0x20 || *c > 0x7e || size >= HTTP_MAX_HEADER_VALUE)
			return NULL;
	}
	return header->value;
}

static void fill_answer(struct http_transfer *t, struct http_response *response)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;
	response->body = buffer_bytes(&t->answer);
	for (int i = 0; i < HTTP_RESPONSE_HEADERS; i++)
		response->headers[i] = response_header(t->easy, response_headers[i]);
}

/* What libcurl says may quote the peer. */
static void write_problem(const struct http_transfer *t, CURLcode code, char *problem, size_t size)
{
	const char *text = t->reason;

	if (!text)
		text = t->error[0] ? t->error : curl_easy_strerror(code);
	snprintf(problem, size, "%s (curl %d)", text, (int)code);
	for (char *c = problem; *c; c++) {
		if (*c < 0x20 || *c > 0x7e)
			*c = '?';
	}
}

void transfer_report(struct http_transfer *t, CURLcode code)
{
	struct http_response response = { .body_begun = t->body_begun };
	char problem[CURL_ERROR_SIZE + 32];

	if (code == CURLE_OK) {
		fill_answer(t, &response);
	} else {
		write_problem(t, code, problem, sizeof(problem));
		response.problem = problem;
	}
	t->done(t->owner, &response);
}

static void buffer_recycle(struct buffer *b)
{
	buffer_clear(b);
	if (b->capacity <= KEPT_CAPACITY)
		return;
	size_t limit = b->limit;

	buffer_close(b);
	buffer_init(b, limit);
}

/* A handle that failed is not used again: libcurl keeps some of what went wrong in it, such as the
 * number of its attempts, and newer versions a rewind that is still owed. */
void transfer_recycle(struct http_transfer *t, bool failed)
{
	if (failed) {
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
	}
	transfer_wipe(t);
	buffer_recycle(&t->lines);
	buffer_recycle(&t->body);
	buffer_recycle(&t->answer);
	t->body_given = 0;
	t->body_begun = false;
	t->header_bytes = 0;
	t->reason = NULL;
	t->error[0] = '\0';
}
