/* The Graph client: one POST …/participants/invite with its token and headers. Gives no meaning to
 * the answer. */
#ifndef WORKER_IO_GRAPH_H
#define WORKER_IO_GRAPH_H

#include "worker/core/answer.h"
#include "worker/core/effects.h"
#include "worker/io/http.h"
#include "worker/io/tokens.h"

struct graph;

struct graph_options {
	const char *url;    /* Service root, such as https://graph.microsoft.com/v1.0 */
	duration_t timeout; /* For one request */
};

struct graph_callbacks {
	void *owner;
	/* Exactly once for each graph_invite(), never from inside it; 'answer' is borrowed for the
	 * call. */
	void (*answered)(void *owner, uint64_t invite_id, const struct answer *answer);
	/* Likewise for each graph_look(), but for those of LOOK_OPERATION. */
	void (*evidence)(void *owner, uint64_t look_id, const struct answer *answer);
	/* Likewise for those. */
	void (*polled)(void *owner, uint64_t look_id, const struct answer *answer);
	/* Asked in the last microseconds before the body of an invite leaves: false, and it is not
	 * sent and answered as ANSWER_NOT_SENT, as it is when it has expired. NULL: always. Must
	 * not call any graph_… function. */
	bool (*may_send)(void *owner);
};

struct graph_invite {
	uint64_t id;          /* Given back with the answer */
	uint32_t tenant;      /* Whose token it carries */
	struct bytes call_id; /* Validated by the core: [A-Za-z0-9._~-]{1,128}, no "." or ".." */
	struct bytes body;    /* JSON */
	struct bytes client_request_id; /* A UUID for Graph's support people */
	wall_t expires_at;              /* From then on it may not leave */
};

/* Borrows 'http' and 'tokens' until graph_close(). */
struct graph *graph_new(struct http *http, struct tokens *tokens, uv_loop_t *loop,
                        const struct graph_options *options,
                        const struct graph_callbacks *callbacks, struct err *err) MUST_CHECK;

/* Send one invite; everything is copied. What cannot even be started is answered (later) as
 * ANSWER_NOT_SENT. The token that Graph answered with 401 is dropped, so that the next request
 * fetches a new one. 'sent_at' in the answer is a time of clock_now(). */
void graph_invite(struct graph *graph, const struct graph_invite *invite);

/* Ask for the operations or the participants of a call, or for one of its operations. */
void graph_look(struct graph *graph, const struct effect_look *look);

/* End all invites and looks without a callback, then release everything; the memory returns with a
 * later turn of the loop. Call it before tokens_close() and http_close(), or after nothing is
 * pending. */
void graph_close(struct graph *graph);

#endif
