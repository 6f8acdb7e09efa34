/* What came back from Graph for one invite request, exactly as it came: no meaning is given to it
 * here.
 *
 * The shell fills it in, outcome.h judges it. */
#ifndef WORKER_CORE_ANSWER_H
#define WORKER_CORE_ANSWER_H

#include "worker/base/bytes.h"
#include "worker/base/instant.h"

/* How far a request got. What is not proven to be unsent counts as sent. */
enum answer_progress {
	ANSWER_NO_TOKEN, /* There was no access token; nothing was sent */
	ANSWER_NOT_SENT, /* The body was never asked for: no byte of it can have left */
	ANSWER_BROKEN,   /* The body, or a part of it, may have left, and no whole answer came */
	ANSWER_COMPLETE  /* A whole answer came */
};

/* Most bytes of an answer's body that are read; a longer answer counts as ANSWER_BROKEN. */
#define ANSWER_BODY_MAX (256 * 1024)

/* A body that is nested deeper is not read. */
#define ANSWER_DEPTH_MAX 64

struct answer {
	enum answer_progress progress;
	bool is_withheld;     /* The service was not asked: NOT_SENT is this worker's own doing */
	int http_status;      /* 0 unless ANSWER_COMPLETE */
	struct bytes body;    /* Borrowed, as all below */
	const char *problem;  /* Why it is not COMPLETE, for people; NULL otherwise */
	const char *location; /* Response headers; NULL when absent */
	const char *retry_after;
	const char *request_id;
	const char *client_request_id;
	instant_t sent_at; /* When the request was started */
};

#endif
