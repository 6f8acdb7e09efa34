/* Requests in flight, as the service bears them: see concurrency.h. */
#include "worker/core/concurrency.h"

#include "worker/base/check.h"

/* A round has so many answers at least: fewer prove nothing. */
#define ROUND_LEAST 10

/* A round is bad when one of so many answers says that the service is ill, and so many at least,
 * lest chance makes a short round bad … */
#define ILL_PART  5
#define ILL_LEAST 5

/* … or one of so many accepted ones was slow. */
#define SLOW_PART 2

/* An answer is slow when it took twice as long as usual, and so much longer at least: less is the
 * lateness of a busy machine, and not worth a request. */
#define SLOW_SLACK_US INT64_C(100000)

/* A good round lets the limit grow by one part of so many. */
#define GROW_PART 8

/* With the least in flight, what answers take becomes usual in this time or so. */
#define LEARN_US INT64_C(180000000)

/* A faster round counts for one part of so many. */
#define FASTER_PART 4

static void begin_round(struct concurrency *c, instant_t now)
{
	c->round = (struct concurrency_round){ .began = now, .was_least = c->limit == c->least };
}

void concurrency_init(struct concurrency *c, uint32_t least, uint32_t most, instant_t now)
{
	CHECK(least >= 1 && least <= most);
	*c = (struct concurrency){ .least = least, .most = most, .limit = most, .shrunk = now };
	begin_round(c, now);
}

void concurrency_restart(struct concurrency *c, instant_t now)
{
	c->limit = c->least;
	c->shrunk = now;
	begin_round(c, now);
}

static bool is_slow(const struct concurrency *c, int64_t took_us)
{
	int64_t slack_us = c->usual_us > SLOW_SLACK_US ? c->usual_us : SLOW_SLACK_US;

	return c->usual_us > 0 && took_us > c->usual_us + slack_us;
}

static void count(struct concurrency *c, const struct concurrency_answer *answer)
{
	struct concurrency_round *r = &c->round;
	int64_t took_us = instant_since(answer->now, answer->sent).us;

	r->n_answers++;
	r->n_ill += answer->health == HEALTH_ILL;
	if (answer->in_flight > r->peak)
		r->peak = answer->in_flight;
	if (!answer->is_accepted)
		return;
	r->n_accepted++;
	r->n_slow += is_slow(c, took_us);
	r->accepted_us += took_us;
}

static bool is_round_over(const struct concurrency_round *r)
{
	return r->n_answers >= ROUND_LEAST && r->n_answers >= r->peak;
}

static bool was_bad(const struct concurrency_round *r)
{
	return (r->n_ill >= ILL_LEAST && r->n_ill * ILL_PART >= r->n_answers) ||
	       (r->n_slow > 0 && r->n_slow * SLOW_PART >= r->n_accepted);
}

/* See what an accepted request takes usually. */
static void learn(struct concurrency *c, instant_t now)
{
	const struct concurrency_round *r = &c->round;
	int64_t lasted_us = instant_since(now, r->began).us;
	int64_t mean_us;

	if (r->n_accepted == 0)
		return;
	mean_us = r->accepted_us / r->n_accepted;
	if (c->usual_us == 0)
		c->usual_us = mean_us > 0 ? mean_us : 1;
	else if (mean_us < c->usual_us)
		c->usual_us -= (c->usual_us - mean_us) / FASTER_PART;
	else if (r->was_least)
		c->usual_us += (mean_us - c->usual_us) / 1000 *
		               (lasted_us < LEARN_US ? lasted_us : LEARN_US) / (LEARN_US / 1000);
}

/* Half of what was really in flight: a bound that nothing reached tells nothing. */
static void shrink(struct concurrency *c, instant_t now)
{
	uint32_t used = c->round.peak < c->limit ? c->round.peak : c->limit;

	c->limit = used / 2 > c->least ? used / 2 : c->least;
	c->shrunk = now;
}

static void grow(struct concurrency *c)
{
	uint32_t more = c->limit / GROW_PART;

	c->limit += more > 0 ? more : 1;
	if (c->limit > c->most)
		c->limit = c->most;
}

bool concurrency_note(struct concurrency *c, const struct concurrency_answer *answer)
{
	uint32_t before = c->limit;

	if (answer->health == HEALTH_NONE || instant_before(answer->sent, c->shrunk))
		return false;
	count(c, answer);
	if (!is_round_over(&c->round))
		return false;
	if (was_bad(&c->round))
		shrink(c, answer->now);
	else
		grow(c);
	learn(c, answer->now);
	begin_round(c, answer->now);
	return c->limit != before;
}
