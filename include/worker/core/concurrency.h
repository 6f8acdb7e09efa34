/* How many requests the service may have at once: all that is allowed while it answers well, fewer
 * while it is slow or fails.
 *
 * Answers are counted in rounds, each as long as the requests in flight. A round is bad when a
 * fifth of it says that the service is ill, or when half of what it accepted took much longer than
 * usual; the limit is then halved. A good round lets it grow by an eighth: from the least to the
 * most in about thirty rounds. Being throttled is no reason: the token buckets and the holds obey
 * that.
 *
 * 'Usual' follows faster answers at once. It follows slower ones only where fewer requests would
 * not help: with the least in flight what remains is the service's own time, and after some minutes
 * that counts as usual. So a queue that we make ourselves is never taken for the usual.
 *
 * Pure: it holds no clock, and every answer carries its instants. */
#ifndef WORKER_CORE_CONCURRENCY_H
#define WORKER_CORE_CONCURRENCY_H

#include "worker/core/health.h"

struct concurrency {
	uint32_t least, most; /* Bounds of 'limit' */
	uint32_t limit;       /* Requests that may be in flight */
	int64_t usual_us;     /* What an accepted request takes usually; 0: not known yet */
	instant_t shrunk;     /* What was sent earlier says nothing about the limit of now */
	struct concurrency_round {
		instant_t began;
		uint32_t peak; /* Most requests in flight */
		uint32_t n_answers, n_ill;
		uint32_t n_accepted, n_slow; /* Slow ones are among the accepted */
		int64_t accepted_us;         /* That they took, in all */
		bool was_least;              /* The limit was at its least all the time */
	} round;
};

/* An answer, as far as it matters here. */
struct concurrency_answer {
	instant_t sent, now;
	enum health health;
	bool is_accepted;
	uint32_t in_flight; /* Just before it came, with its own request */
};

/* Begin with 'most'; 1 <= 'least' <= 'most'. */
void concurrency_init(struct concurrency *c, uint32_t least, uint32_t most, instant_t now);

/* Count an answer. True when the limit changed. */
bool concurrency_note(struct concurrency *c, const struct concurrency_answer *answer);

/* The service is back after it was away: begin with the least. */
void concurrency_restart(struct concurrency *c, instant_t now);

#endif
