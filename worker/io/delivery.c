/* The Kafka side: see delivery.h. */
#include "worker/io/delivery.h"

#include <stdlib.h>

struct delivery {
	uv_loop_t *loop;
	struct delivery_options options;
	struct delivery_callbacks callbacks;
	const struct log *log;
	struct metrics *metrics;
	bool is_closing;
	struct consumer *consumer; /* Owned, as what follows */
	struct committer *committer;
	struct publisher *publisher;     /* At-least-once */
	struct transaction *transaction; /* Exactly-once */
	void (*settled)(void *owner);
	void *settled_owner;
	bool settles_lost;
	bool is_settling; /* From the settling to the release, or to the end */
	void (*closed)(void *owner);
	void *closed_owner;
};

static void on_record(void *owner, const struct record *record)
{
	struct delivery *d = owner;

	d->callbacks.record(d->callbacks.owner, record);
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	struct delivery *d = owner;

	d->callbacks.position(d->callbacks.owner, partition, offset);
}

static void on_assigned(void *owner, const struct consumer_offer *offers, size_t n,
                        int32_t partitions_of_topic)
{
	struct delivery *d = owner;

	committer_reset(d->committer);
	d->callbacks.assigned(d->callbacks.owner, offers, n, partitions_of_topic);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t n, bool lost)
{
	struct delivery *d = owner;

	d->callbacks.revoked(d->callbacks.owner, partitions, n, lost);
}

static void on_committed(void *owner, uint64_t opaque, const char *error)
{
	struct delivery *d = owner;

	if (!d->is_closing)
		committer_committed(d->committer, opaque, error);
}

static void on_fatal(void *owner, const char *message)
{
	struct delivery *d = owner;

	d->callbacks.fatal(d->callbacks.owner, message);
}

static void on_marked(void *owner, const uint64_t *invite_ids, size_t n)
{
	struct delivery *d = owner;

	d->callbacks.marked(d->callbacks.owner, invite_ids, n);
}

static bool on_map(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
                   struct buffer *text)
{
	struct delivery *d = owner;

	return d->callbacks.map(d->callbacks.owner, partition, view, ret_offset, text);
}

/* A commit may land late: only a new membership fences it, and only the map that is read then is
 * true. */
static void on_broken(void *owner, const char *why)
{
	struct delivery *d = owner;
	char quoted[LOG_QUOTE_SIZE];

	if (d->is_closing)
		return;
	log_warn(d->log, "delivery.rejoin", "reason=%s", log_quote(bytes_of(why), quoted));
	consumer_renew(d->consumer);
}

static void on_staged(void *owner, const uint64_t *write_ids, size_t n)
{
	struct delivery *d = owner;

	d->callbacks.staged(d->callbacks.owner, write_ids, n);
}

static void on_unstaged(void *owner)
{
	struct delivery *d = owner;

	d->callbacks.unstaged(d->callbacks.owner);
}

static void on_written(void *owner, uint64_t write_id, const char *error)
{
	struct delivery *d = owner;

	d->callbacks.written(d->callbacks.owner, write_id, error);
}

static bool make_group(struct delivery *d, struct err *err)
{
	const struct consumer_callbacks consumer = {
		.owner = d,
		.record = on_record,
		.position = on_position,
		.assigned = on_assigned,
		.revoked = on_revoked,
		.committed = on_committed,
		.fatal = on_fatal,
	};
	const struct committer_callbacks committer = {
		.owner = d, .marked = on_marked, .map = on_map, .broken = on_broken
	};

	d->consumer =
	    consumer_new(d->loop, &d->options.consumer, &consumer, d->log, d->metrics, err);
	if (!d->consumer)
		return false;
	d->committer = committer_new(d->loop, d->consumer, &d->options.committer, &committer,
	                             d->log, d->metrics, err);
	return d->committer;
}

static bool make_producer(struct delivery *d, struct err *err)
{
	const struct transaction_callbacks callbacks = {
		.owner = d,
		.staged = on_staged,
		.written = on_written,
		.unstaged = on_unstaged,
		.fatal = on_fatal,
	};

	if (d->options.exactly_once) {
		d->transaction = transaction_new(d->loop, d->consumer, d->committer,
		                                 &d->options.transaction, &callbacks, d->log, err);
		return d->transaction;
	}
	d->publisher =
	    publisher_new(d->loop, &d->options.kafka, on_written, d, on_fatal, d->log, err);
	return d->publisher;
}

struct delivery *delivery_new(uv_loop_t *loop, const struct delivery_options *options,
                              const struct delivery_callbacks *callbacks, const struct log *log,
                              struct metrics *metrics, struct err *err)
{
	struct delivery *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(err, "no memory");
		return NULL;
	}
	d->loop = loop;
	d->options = *options;
	d->callbacks = *callbacks;
	d->log = log;
	d->metrics = metrics;
	if (make_group(d, err) && make_producer(d, err))
		return d;
	delivery_close(d, NULL, NULL);
	return NULL;
}

int delivery_start(struct delivery *d, struct err *err)
{
	return consumer_start(d->consumer, err);
}

void delivery_mark(struct delivery *d, int32_t partition, uint64_t invite_id)
{
	committer_mark(d->committer, partition, invite_id);
}

void delivery_touch(struct delivery *d, int32_t partition)
{
	committer_touch(d->committer, partition);
}

/* What came too late for the last transaction of an assignment is left to the next owner, who finds
 * out what became of the command: written in a later transaction, no map would say that it has its
 * reply. */
void delivery_write(struct delivery *d, const struct publisher_write *write)
{
	if (!d->transaction)
		publisher_write(d->publisher, write);
	else if (!d->is_settling)
		transaction_write(d->transaction, write);
}

void delivery_pause(struct delivery *d, int32_t partition)
{
	consumer_pause(d->consumer, partition);
}

void delivery_resume(struct delivery *d, int32_t partition)
{
	consumer_resume(d->consumer, partition);
}

void delivery_accept(struct delivery *d)
{
	consumer_accept(d->consumer);
}

static void on_flushed(void *owner)
{
	struct delivery *d = owner;

	d->settled(d->settled_owner);
}

static void on_transaction_ended(void *owner)
{
	struct delivery *d = owner;

	if (d->settles_lost)
		d->settled(d->settled_owner);
	else
		committer_flush(d->committer, on_flushed, d);
}

void delivery_settle(struct delivery *d, bool lost, void (*done)(void *owner), void *owner)
{
	d->settled = done;
	d->settled_owner = owner;
	d->settles_lost = lost;
	d->is_settling = true;
	if (d->transaction)
		transaction_reset(d->transaction, on_transaction_ended, d);
	else
		committer_flush(d->committer, on_flushed, d);
}

void delivery_forget(struct delivery *d, int32_t partition)
{
	committer_forget(d->committer, partition);
}

void delivery_release(struct delivery *d)
{
	d->is_settling = false;
	consumer_release(d->consumer);
}

bool delivery_may_send(const struct delivery *d)
{
	return committer_may_send(d->committer);
}

bool delivery_is_member(const struct delivery *d)
{
	return consumer_is_member(d->consumer);
}

/* The end: the producer leans on the lane, the lane on the group. */

static void on_consumer_closed(void *owner)
{
	struct delivery *d = owner;

	if (d->closed)
		d->closed(d->closed_owner);
	free(d);
}

static void on_committer_closed(void *owner)
{
	struct delivery *d = owner;

	if (d->consumer)
		consumer_close(d->consumer, d->options.leave_deadline, on_consumer_closed, d);
	else
		on_consumer_closed(d);
}

static void on_producer_closed(void *owner)
{
	struct delivery *d = owner;

	if (d->committer)
		committer_close(d->committer, on_committer_closed, d);
	else
		on_committer_closed(d);
}

void delivery_close(struct delivery *d, void (*closed)(void *owner), void *owner)
{
	d->is_closing = true;
	d->closed = closed;
	d->closed_owner = owner;
	if (d->transaction)
		transaction_close(d->transaction, d->options.leave_deadline, on_producer_closed, d);
	else if (d->publisher)
		publisher_close(d->publisher, d->options.leave_deadline, on_producer_closed, d);
	else
		on_producer_closed(d);
}
