/* Which operation is asked for next: see poll.h.
 *
 * All of them wait the same time for their next question, so a list in the order of arrival is one
 * in the order of being due. When the rate does not suffice they take turns all the same. */
#include "worker/core/poll.h"

#include "worker/base/slots.h"
#include "worker/core/ending.h"
#include "worker/core/limiter.h"
#include "worker/core/retry.h"

#include <stdlib.h>
#include <utlist.h>

struct followed {
	struct followed *prev, *next; /* While it waits */
	uint64_t id;
	uint32_t tenant;
	instant_t since;
	instant_t due;
	struct bytes call_id; /* These lie in 'text' */
	struct bytes operation_id;
	struct bytes context; /* For an answer without one */
	char text[];
};

struct poll {
	struct poll_policy policy;
	instant_t now; /* Of the last call */
	struct limiter_rate rate;
	struct limiter limiter;
	struct followed *waiting; /* Owned */
	struct followed *ended;   /* Owned: what the last record borrows from */
	struct slots all;
	uint32_t n_asked;
	instant_t hold_until; /* Graph wants to be left alone */
	struct buffer text;
};

struct poll *poll_new(const struct poll_policy *policy, instant_t now)
{
	struct poll *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->policy = *policy;
	p->now = now;
	p->hold_until = now;
	p->rate = limiter_rate_of(policy->rate, 1);
	limiter_init(&p->limiter, &p->rate, 1, now);
	slots_init(&p->all);
	buffer_init(&p->text, ENDING_SIZE_MAX);
	return p;
}

void poll_free(struct poll *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->all.capacity; i++)
		free(slots_at(&p->all, i));
	slots_close(&p->all);
	free(p->ended);
	buffer_close(&p->text);
	free(p);
}

static struct bytes keep(char **to, struct bytes text)
{
	struct bytes kept = { *to, text.size };

	if (text.size > 0)
		memcpy(*to, text.data, text.size);
	*to += text.size;
	return kept;
}

/* NULL when there is no memory. */
static struct followed *followed_new(const struct effect_follow *operation,
                                     const struct ending *said, instant_t now)
{
	struct bytes call_id = bytes_of(operation->call_id);
	struct followed *f =
	    malloc(sizeof(*f) + call_id.size + said->operation_id.size + said->context.size);
	char *text;

	if (!f)
		return NULL;
	text = f->text;
	*f = (struct followed){ .tenant = operation->tenant, .since = now };
	f->call_id = keep(&text, call_id);
	f->operation_id = keep(&text, said->operation_id);
	f->context = keep(&text, said->context);
	return f;
}

static void wait_for_turn(struct poll *p, struct followed *f, instant_t now)
{
	f->due = instant_add(now, p->policy.interval);
	DL_APPEND(p->waiting, f);
}

/* False when there is no room for it, or no memory. */
static bool add(struct poll *p, struct followed *f, instant_t now)
{
	if (!f || p->all.used >= p->policy.most)
		return false;
	f->id = slots_put(&p->all, f);
	if (f->id == SLOTS_NONE)
		return false;
	wait_for_turn(p, f, now);
	return true;
}

/* False when it does not fit, or there is no memory. */
static bool write_record(struct poll *p, const struct ending *ending, struct poll_record *ret)
{
	buffer_clear(&p->text);
	ending_write(ending, bytes_of(p->policy.commands_topic), &p->text);
	*ret = (struct poll_record){ .key = ending->call_id,
		                     .value = buffer_bytes(&p->text),
		                     .has_failed = ending->has_failed };
	return buffer_ok(&p->text);
}

enum poll_result poll_follow(struct poll *p, const struct effect_follow *operation, instant_t now,
                             struct poll_record *ret)
{
	json_t *said = json_loadb(operation->json.data, operation->json.size, 0, NULL);
	struct ending ending = { .source = ENDING_POLLED, .call_id = bytes_of(operation->call_id) };
	enum poll_result result = POLL_LEFT;
	struct followed *f;

	p->now = now;
	ending_read(said, &ending);
	if (ending.operation_id.size > 0 && ending_is_end(said)) {
		result = write_record(p, &ending, ret) ? POLL_ENDED : POLL_LEFT;
	} else if (ending.operation_id.size > 0) {
		f = followed_new(operation, &ending, now);
		if (add(p, f, now))
			result = POLL_RUNNING;
		else
			free(f);
	}
	json_decref(said);
	return result;
}

bool poll_next(struct poll *p, instant_t now, struct effect_look *ret)
{
	struct followed *f = p->waiting;

	p->now = now;
	if (instant_before(now, poll_wake_at(p)) || !limiter_take(&p->limiter, &p->rate, now))
		return false;
	DL_DELETE(p->waiting, f);
	p->n_asked++;
	*ret = (struct effect_look){ .look_id = f->id,
		                     .kind = LOOK_OPERATION,
		                     .tenant = f->tenant,
		                     .call_id = f->call_id,
		                     .operation_id = f->operation_id };
	return true;
}

instant_t poll_wake_at(const struct poll *p)
{
	instant_t at;

	if (!p->waiting || p->n_asked >= POLL_ASKED_MAX)
		return INSTANT_NEVER;
	at = instant_max(p->now, instant_max(p->waiting->due, p->hold_until));
	return instant_max(at, limiter_ready_at(&p->limiter, &p->rate, at));
}

size_t poll_count(const struct poll *p)
{
	return p->all.used;
}

/* Graph wants to be left alone; longer than it is waited for an operation would be for ever. */
static void hold(struct poll *p, const struct answer *answer, instant_t now, wall_t wall)
{
	duration_t pause;

	if (!answer->retry_after || !retry_after_parse(answer->retry_after, wall, &pause))
		pause = p->policy.interval;
	if (pause.us > p->policy.patience.us)
		pause = p->policy.patience;
	p->hold_until = instant_max(p->hold_until, instant_add(now, pause));
}

/* Asking again will not help. */
static bool is_refusal(int status)
{
	return status >= 400 && status < 500 && status != 401 && status != 408 && status != 429;
}

/* It is followed no more, but a record may still borrow from it. */
static void put_aside(struct poll *p, struct followed *f)
{
	slots_remove(&p->all, f->id);
	free(p->ended);
	p->ended = f;
}

/* What the operation says of itself; that it runs, when it cannot be read. */
static enum poll_result read_operation(struct poll *p, const struct followed *f,
                                       const struct answer *answer, struct poll_record *ret)
{
	struct ending ending = { .source = ENDING_POLLED, .call_id = f->call_id };
	json_t *said = json_loadb(answer->body.data, answer->body.size, 0, NULL);
	enum poll_result result = POLL_RUNNING;

	if (ending_is_end(said)) {
		ending_read(said, &ending);
		ending.operation_id = f->operation_id;
		if (ending.context.size == 0)
			ending.context = f->context;
		if (write_record(p, &ending, ret))
			result = POLL_ENDED;
	}
	json_decref(said);
	return result;
}

enum poll_result poll_answered(struct poll *p, uint64_t look_id, const struct answer *answer,
                               instant_t now, wall_t wall, struct poll_record *ret)
{
	struct followed *f = slots_find(&p->all, look_id);
	bool is_whole = answer->progress == ANSWER_COMPLETE;
	enum poll_result result = POLL_RUNNING;

	CHECK(f && p->n_asked > 0);
	p->now = now;
	p->n_asked--;
	if (is_whole && answer->http_status >= 200 && answer->http_status < 300)
		result = read_operation(p, f, answer, ret);
	else if (is_whole && is_refusal(answer->http_status))
		result = POLL_GONE;
	else if (is_whole && (answer->http_status == 429 || answer->http_status == 503))
		hold(p, answer, now, wall);
	if (result == POLL_RUNNING && instant_since(now, f->since).us >= p->policy.patience.us)
		result = POLL_LEFT;
	if (result == POLL_RUNNING)
		wait_for_turn(p, f, now);
	else
		put_aside(p, f);
	return result;
}
