/* Replies and dead letters on their way to Kafka: see publisher.h.
 *
 * A write goes straight to librdkafka. When its queue is full the write joins 'waiting', and so
 * does every later one until that list is empty again: the order is kept. A write that librdkafka
 * refuses at once joins 'refused', to be reported in the next turn of the loop. All others are
 * reported by their delivery report. */
#include "worker/io/publisher.h"

#include "worker/io/kafka_client.h"
#include "worker/io/kafka_write.h"

#include <stdlib.h>
#include <utlist.h>

/* Ids travel through librdkafka as pointers. */
_Static_assert(sizeof(void *) >= sizeof(uint64_t), "an id must fit into a pointer");

/* How long the handle itself may take to go, once nothing is on the way any more. */
#define PUBLISHER_GRACE_MS 1000

enum publisher_state { PUBLISHER_OPEN, PUBLISHER_DRAINING, PUBLISHER_CLOSING };

struct publisher {
	enum publisher_state state;
	struct kafka_client *client; /* Owned */
	rd_kafka_queue_t *queue;     /* Owned: the main queue */
	publisher_cb cb;
	void *owner;
	void (*fatal)(void *owner, const char *message);
	bool is_fatal; /* Was reported */
	const struct log *log;

	struct kafka_write *waiting;
	struct kafka_write *refused;
	size_t pending;

	uv_timer_t deadline;
	void (*closed)(void *owner);
	void *closed_owner;
};

static void free_writes(struct kafka_write **list)
{
	struct kafka_write *w, *next;

	DL_FOREACH_SAFE (*list, w, next) {
		DL_DELETE(*list, w);
		kafka_write_free(w);
	}
}

static void *pointer_of(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

/* Offer one write that is in no list. True unless librdkafka has no room for it. */
static bool offer(struct publisher *p, struct kafka_write *w)
{
	rd_kafka_t *rk = kafka_client_handle(p->client);
	rd_kafka_resp_err_t error = kafka_write_produce(w, rk, pointer_of(w->id));

	if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return false;
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__FATAL) {
		/* Of a fatal error on_error() tells; the record has no result then. */
		kafka_write_free(w);
		return true;
	}
	DL_APPEND(p->refused, w);
	kafka_client_again(p->client);
	return true;
}

void publisher_write(struct publisher *p, const struct publisher_write *write)
{
	struct kafka_write *w = kafka_write_new(write);

	CHECK(p->state == PUBLISHER_OPEN);
	p->pending++;
	if (p->waiting || !offer(p, w))
		DL_APPEND(p->waiting, w);
}

/* Offer what waits, as far as there is room. */
static void offer_waiting(struct publisher *p)
{
	while (p->waiting) {
		struct kafka_write *w = p->waiting;

		DL_DELETE(p->waiting, w);
		if (!offer(p, w)) {
			DL_PREPEND(p->waiting, w);
			return;
		}
	}
}

static void report(struct publisher *p, uint64_t id, const char *error)
{
	CHECK(p->pending > 0);
	p->pending--;
	p->cb(p->owner, id, error);
}

static void report_fatal(struct publisher *p, const char *message)
{
	if (p->is_fatal)
		return;
	p->is_fatal = true;
	log_error(p->log, "publisher.fatal", "error=\"%s\"", message);
	p->fatal(p->owner, message);
}

/* A record without a result is reported neither as stored nor as refused. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_client *client = opaque;
	struct publisher *p;
	uint64_t id = (uint64_t)(uintptr_t)message->_private;
	char fatal[2];

	if (kafka_client_is_closing(client))
		return;
	p = kafka_client_owner(client);
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_works(client);
		report(p, id, NULL);
	} else if (rd_kafka_fatal_error(rk, fatal, sizeof(fatal)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_again(client);
	} else if (rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) {
		report(p, id, rd_kafka_err2str(message->err));
	} else {
		report_fatal(p, "it is not known whether the broker has stored a reply");
	}
}

static void report_refused(struct publisher *p)
{
	struct kafka_write *refused = p->refused;
	struct kafka_write *w, *next;

	p->refused = NULL;
	DL_FOREACH_SAFE (refused, w, next) {
		DL_DELETE(refused, w);
		report(p, w->id, rd_kafka_err2str(w->error));
		kafka_write_free(w);
	}
}

static void on_timer_closed(uv_handle_t *handle);

static void finish_if_drained(struct publisher *p)
{
	if (p->state == PUBLISHER_DRAINING && (p->pending == 0 || p->is_fatal)) {
		p->state = PUBLISHER_CLOSING;
		uv_close((uv_handle_t *)&p->deadline, on_timer_closed);
	}
}

static void on_turn(void *owner)
{
	struct publisher *p = owner;
	const char *fatal;

	report_refused(p);
	rd_kafka_poll(kafka_client_handle(p->client), 0);
	offer_waiting(p);
	fatal = kafka_client_fatal(p->client);
	if (fatal)
		report_fatal(p, fatal);
	finish_if_drained(p);
}

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
}

static const struct kafka_property default_properties[] = {
	{ "linger.ms", "1.5" },
};

/* No time limit: a record is given up only when the broker refuses it. */
static const struct kafka_property our_properties[] = {
	{ "enable.idempotence", "true" },
	{ "acks", "all" },
	{ "message.timeout.ms", "0" },
};

struct publisher *publisher_new(uv_loop_t *loop, const struct kafka_properties *kafka,
                                publisher_cb cb, void *owner,
                                void (*fatal)(void *owner, const char *message),
                                const struct log *log, struct err *err)
{
	struct publisher *p = calloc(1, sizeof(*p));
	struct kafka_client_options options = {
		.name = "publisher",
		.conf = { .role = KAFKA_PRODUCER,
		          .defaults = { default_properties, 1 },
		          .user = *kafka,
		          .ours = { our_properties, 3 } },
		.configure = configure,
		.turn = on_turn,
		.owner = p,
	};

	if (!p) {
		err_set(err, "out of memory");
		return NULL;
	}
	p->client = kafka_client_new(loop, &options, log, err);
	if (!p->client) {
		free(p);
		return NULL;
	}
	p->cb = cb;
	p->owner = owner;
	p->fatal = fatal;
	p->log = log;
	p->queue = rd_kafka_queue_get_main(kafka_client_handle(p->client));
	kafka_client_watch(p->client, p->queue);
	uv_timer_init(loop, &p->deadline);
	p->deadline.data = p;
	return p;
}

size_t publisher_pending(const struct publisher *p)
{
	return p->pending;
}

static void on_client_closed(void *owner)
{
	struct publisher *p = owner;
	void (*closed)(void *) = p->closed;
	void *closed_owner = p->closed_owner;

	free_writes(&p->waiting);
	free_writes(&p->refused);
	free(p);
	closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct publisher *p = handle->data;

	rd_kafka_queue_destroy(p->queue);
	kafka_client_close(p->client, duration_ms(PUBLISHER_GRACE_MS), kafka_client_purge,
	                   on_client_closed);
}

static void on_deadline(uv_timer_t *timer)
{
	struct publisher *p = timer->data;

	log_warn(p->log, "publisher.unfinished", "writes=%zu", p->pending);
	p->state = PUBLISHER_CLOSING;
	uv_close((uv_handle_t *)timer, on_timer_closed);
}

void publisher_close(struct publisher *p, duration_t deadline, void (*closed)(void *owner),
                     void *owner)
{
	CHECK(p->state == PUBLISHER_OPEN);
	p->state = PUBLISHER_DRAINING;
	p->closed = closed;
	p->closed_owner = owner;
	uv_timer_start(&p->deadline, on_deadline, (uint64_t)duration_to_ms(deadline), 0);
	kafka_client_again(p->client);
}
