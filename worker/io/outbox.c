/* The records of a transaction: see outbox.h. */
#include "worker/io/outbox.h"

#include <string.h>
#include <utlist.h>

static void part(struct kafka_write *w)
{
	if (w->partner)
		w->partner->partner = NULL;
	w->partner = NULL;
}

static void forget(struct outbox *o, struct kafka_write **list)
{
	struct kafka_write *w, *next;

	DL_FOREACH_SAFE (*list, w, next) {
		DL_DELETE(*list, w);
		part(w);
		kafka_write_free(w);
		o->pending--;
	}
}

void outbox_close(struct outbox *o)
{
	forget(o, &o->waiting);
	forget(o, &o->batch);
}

static struct kafka_write *find(struct kafka_write *list, uint64_t id)
{
	struct kafka_write *w = list ? list->prev : NULL; /* The last: it is nearly always that */

	while (w && w->id != id)
		w = w == list ? NULL : w->prev;
	return w;
}

static void pair(struct outbox *o, struct kafka_write *w, uint64_t with_id)
{
	struct kafka_write *other = find(o->waiting, with_id);

	if (!other)
		other = find(o->batch, with_id);
	if (!other || strcmp(other->topic, w->topic) == 0)
		return;
	part(other);
	w->partner = other;
	other->partner = w;
}

void outbox_add(struct outbox *o, const struct publisher_write *write)
{
	struct kafka_write *w = kafka_write_new(write);

	if (write->with_id)
		pair(o, w, write->with_id);
	DL_APPEND(o->waiting, w);
	o->pending++;
}

/* A suspect's partner is one too. */
static bool is_suspect(const struct kafka_write *w)
{
	return w->is_suspect || (w->partner && w->partner->is_suspect);
}

void outbox_take(struct outbox *o, size_t max)
{
	struct kafka_write *w, *next, *suspect = NULL, *other = NULL;
	size_t n = 0;

	DL_FOREACH (o->waiting, w) {
		w->is_chosen = false;
		suspect = !suspect && is_suspect(w) ? w : suspect;
		other = !other && !is_suspect(w) ? w : other;
	}
	o->was_suspect = suspect && (!other || !o->was_suspect);
	DL_FOREACH_SAFE (o->waiting, w, next) {
		bool is_next = o->was_suspect ? w == suspect : !is_suspect(w);

		w->is_chosen = (w->partner && w->partner->is_chosen) || (is_next && n < max);
		if (!w->is_chosen)
			continue;
		DL_DELETE(o->waiting, w);
		DL_APPEND(o->batch, w);
		n++;
	}
}

void outbox_put_back(struct outbox *o)
{
	DL_CONCAT(o->batch, o->waiting);
	o->waiting = o->batch;
	o->batch = NULL;
}

void outbox_forget_waiting(struct outbox *o)
{
	forget(o, &o->waiting);
}

void outbox_forget_batch(struct outbox *o)
{
	forget(o, &o->batch);
}

bool outbox_is_whole(const struct outbox *o)
{
	const struct kafka_write *w;

	DL_FOREACH (o->waiting, w)
		if (w->partner && w->partner->is_chosen)
			return false;
	return true;
}

bool outbox_is_alone(const struct outbox *o)
{
	const struct kafka_write *first = o->batch, *second = first ? first->next : NULL;

	return first && (!second || (second == first->partner && !second->next));
}

static struct kafka_write *take_out(struct outbox *o, struct kafka_write *w)
{
	DL_DELETE(o->batch, w);
	part(w);
	o->pending--;
	return w;
}

static bool has_failed(const struct kafka_write *w)
{
	return w->error != RD_KAFKA_RESP_ERR_NO_ERROR &&
	       w->error != RD_KAFKA_RESP_ERR__PURGE_QUEUE &&
	       w->error != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

struct kafka_write *outbox_refused(struct outbox *o, bool alone)
{
	struct kafka_write *w;

	DL_FOREACH (o->batch, w) {
		if (!has_failed(w))
			continue;
		if (kafka_write_is_refusal(w->error) && (alone || !w->is_taken))
			return take_out(o, w);
		w->is_suspect = true;
	}
	return NULL;
}

struct kafka_write *outbox_stored(struct outbox *o)
{
	return o->batch ? take_out(o, o->batch) : NULL;
}
