/* The records of a transaction: those that wait for one, and those in the open one.
 *
 * A part of transaction.h; who wants to write uses that. */
#ifndef WORKER_IO_OUTBOX_H
#define WORKER_IO_OUTBOX_H

#include "worker/io/kafka_write.h"

struct outbox {
	struct kafka_write *waiting; /* Owned, as what follows */
	struct kafka_write *batch;   /* Of the open transaction, while no step has them */
	size_t pending;              /* All, also those that a step has */
	bool was_suspect;            /* The last batch was a suspect's */
};

void outbox_close(struct outbox *o);

/* A copy of it waits. It and the one that it is to go with are partners from now on, if that has no
 * result yet and is for another topic: of one topic it could not be told which one was refused. */
void outbox_add(struct outbox *o, const struct publisher_write *write);

/* Make the batch of the next transaction, of at most so many: a suspect alone, every other time;
 * else all that are none. Partners stay together, also as suspects, and at 'max', which is exceeded
 * by one then. */
void outbox_take(struct outbox *o, size_t max);

/* The batch waits again, in front of all others. */
void outbox_put_back(struct outbox *o);

void outbox_forget_waiting(struct outbox *o);
void outbox_forget_batch(struct outbox *o);

/* False when the partner of a write in the batch waits. */
bool outbox_is_whole(const struct outbox *o);

/* True when the batch is a single write, or two partners. */
bool outbox_is_alone(const struct outbox *o);

/* Take a write of the batch that will never be stored out of it, to be freed; NULL when there is no
 * more. What librdkafka did not take, it refuses. What the broker did not take spoils a batch for
 * all, and it may not be that record's fault: it is refused if it was alone, else it becomes a
 * suspect. */
struct kafka_write *outbox_refused(struct outbox *o, bool alone);

/* Take the first write of the batch out, to be freed; NULL when there is none. */
struct kafka_write *outbox_stored(struct outbox *o);

#endif
