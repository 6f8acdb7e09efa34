/* The records of a transaction: see outbox.h. */
#include "worker/io/outbox.h"

#include <utlist.h>

static void forget(struct outbox *o, struct kafka_write **list)
{
	struct kafka_write *w, *next;

	DL_FOREACH_SAFE (*list, w, next) {
		DL_DELETE(*list, w);
		kafka_write_free(w);
		o->pending--;
	}
}

void outbox_close(struct outbox *o)
{
	forget(o, &o->waiting);
	forget(o, &o->batch);
}

void outbox_add(struct outbox *o, const struct publisher_write *write)
{
	struct kafka_write *w = kafka_write_new(write);

	DL_APPEND(o->waiting, w);
	o->pending++;
}

void outbox_take(struct outbox *o, size_t max)
{
	struct kafka_write *w, *next, *suspect = NULL, *other = NULL;
	size_t n = 0;

	DL_FOREACH (o->waiting, w) {
		suspect = !suspect && w->is_suspect ? w : suspect;
		other = !other && !w->is_suspect ? w : other;
	}
	o->was_suspect = suspect && (!other || !o->was_suspect);
	DL_FOREACH_SAFE (o->waiting, w, next) {
		if (n == max)
			return;
		if (o->was_suspect ? w != suspect : w->is_suspect)
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

static struct kafka_write *take_out(struct outbox *o, struct kafka_write *w)
{
	DL_DELETE(o->batch, w);
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
