/* The consumer group on the loop: see consumer.h. What the group assigns is assignment.c's.
 *
 *            renew             old client gone
 *     OPEN ---------> RENEWING ----------------> OPEN
 *       |                 |
 *       '------ close ----'-----> CLOSING: all parts are let go, the last one calls back
 *
 * Each client has queues of its own: what an old one still had to say goes with it. */
#include "worker/io/consumer.h"

#include "worker/io/assignment.h"
#include "worker/io/consumer_client.h"
#include "worker/io/kafka_record.h"
#include "worker/io/lookup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opaque numbers travel through librdkafka as pointers. */
_Static_assert(sizeof(void *) >= sizeof(uint64_t), "an opaque number must fit into a pointer");

/* The group is polled this often at least, and what failed before an assignment is tried again. */
#define CONSUMER_TICK_MS 500

/* How long the destruction of an old client may take when the group is joined anew. */
#define CONSUMER_RENEW_MS 15000

enum consumer_state { CONSUMER_OPEN, CONSUMER_RENEWING, CONSUMER_CLOSING };

struct consumer {
	uv_loop_t *loop; /* Borrowed, as what follows */
	const struct log *log;
	struct consumer_callbacks callbacks;
	char *topic; /* Owned, as what follows */
	char *group;
	char *instance_id; /* NULL: dynamic */
	struct kafka_properties properties;
	duration_t session_timeout;
	uint32_t batch;

	enum consumer_state state;
	bool is_fatal;   /* Was reported */
	bool is_lost;    /* An answer of the broker said so */
	bool must_renew; /* In the next turn */
	bool has_read;   /* Since the assignment was accepted: all of it is being fetched */
	size_t n_taken;  /* Records since the client's queue was empty */
	size_t ahead;    /* With so many in its queue the client does not fetch */

	struct kafka_client *client;   /* Owned; NULL: none could be made again */
	struct assignment *assignment; /* Owned */
	rd_kafka_queue_t *messages;    /* Owned; of the client */
	rd_kafka_queue_t *commits;     /* Owned; of the client: answers to commits only */

	struct lookup *reading; /* Owned: the question of consumer_read_committed() */
	consumer_committed_cb read_cb;
	void *read_owner;

	struct kafka_record_room room;

	uv_timer_t tick;
	unsigned open_parts; /* Of tick, client, assignment and a question under way */
	duration_t close_deadline;
	void (*closed)(void *owner);
	void *closed_owner;
};

/* Only notes what happened: librdkafka waits for the answer. While closing this runs on the
 * client's thread, and the consumer is not to be touched. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct kafka_client *client = opaque;
	struct consumer *c;

	if (kafka_client_is_closing(client)) {
		rd_kafka_assign(rk, NULL);
		return;
	}
	c = kafka_client_owner(client);
	assignment_note(c->assignment, what, partitions);
}

static void deliver(struct consumer *c, const rd_kafka_message_t *message)
{
	struct record record;

	kafka_record_read(&c->room, message, c->topic, &record);
	c->callbacks.record(c->callbacks.owner, &record);
}

static void dispatch(struct consumer *c, const rd_kafka_message_t *message)
{
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_works(c->client);
		if (assignment_pass(c->assignment, message->partition, message->offset + 1))
			deliver(c, message);
	} else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		kafka_client_works(c->client);
		if (assignment_pass(c->assignment, message->partition, message->offset))
			c->callbacks.position(c->callbacks.owner, message->partition,
			                      message->offset);
	} else {
		kafka_client_report(c->client, message->err, rd_kafka_message_errstr(message));
	}
}

/* A client whose queue was full sleeps for up to a second, however soon the queue is empty again,
 * unless it is told to go on. */
static void wake_client(struct consumer *c)
{
	if (c->n_taken >= c->ahead)
		assignment_refetch(c->assignment);
	c->n_taken = 0;
}

/* At most one batch; what is left is taken in the next turn, after timers and sockets had theirs.
 */
static void take_messages(struct consumer *c)
{
	for (uint32_t i = 0; i < c->batch; i++) {
		rd_kafka_message_t *message =
		    rd_kafka_consumer_poll(kafka_client_handle(c->client), 0);

		assignment_serve(c->assignment);
		if (!message) {
			wake_client(c);
			return;
		}
		c->n_taken++;
		c->has_read = true;
		if (c->state != CONSUMER_CLOSING)
			dispatch(c, message);
		rd_kafka_message_destroy(message);
		if (c->state == CONSUMER_CLOSING || c->must_renew)
			return;
	}
	kafka_client_again(c->client);
}

/* The error of a commit as a whole, or of the first partition that has one. */
static rd_kafka_resp_err_t commit_error(rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	rd_kafka_resp_err_t error = rd_kafka_event_error(event);

	for (int i = 0; list && error == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
		error = list->elems[i].err;
	return error;
}

/* These say that the assignment is lost, whatever other calls say. */
static bool is_membership_error(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
	       error == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
	       error == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
}

static void take_commits(struct consumer *c)
{
	rd_kafka_event_t *event;

	while (c->state != CONSUMER_CLOSING && !c->must_renew &&
	       (event = rd_kafka_queue_poll(c->commits, 0))) {
		uint64_t opaque = (uint64_t)(uintptr_t)rd_kafka_event_opaque(event);
		rd_kafka_resp_err_t error = commit_error(event);

		rd_kafka_event_destroy(event);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			kafka_client_works(c->client);
		if (is_membership_error(error))
			c->is_lost = true;
		c->callbacks.committed(c->callbacks.owner, opaque,
		                       error ? rd_kafka_err2str(error) : NULL);
	}
}

static void report_fatal(struct consumer *c, const char *fatal)
{
	if (!fatal || c->is_fatal || c->state == CONSUMER_CLOSING)
		return;
	c->is_fatal = true;
	log_error(c->log, "consumer.fatal", "error=\"%s\"", fatal);
	c->callbacks.fatal(c->callbacks.owner, fatal);
}

static void begin_renewal(struct consumer *c);
static void begin_close(struct consumer *c);

static void on_turn(void *owner)
{
	struct consumer *c = owner;

	if (c->state == CONSUMER_OPEN && !c->must_renew)
		take_commits(c);
	if (c->state == CONSUMER_OPEN && !c->must_renew)
		take_messages(c);
	if (c->state == CONSUMER_OPEN)
		report_fatal(c, kafka_client_fatal(c->client));
	if (c->state == CONSUMER_OPEN && c->must_renew)
		begin_renewal(c);
}

/* A close begins here: also while there is no client that could wake the loop. */
static void on_tick(uv_timer_t *tick)
{
	struct consumer *c = tick->data;

	if (c->state == CONSUMER_CLOSING) {
		begin_close(c);
	} else if (c->state == CONSUMER_OPEN) {
		assignment_retry(c->assignment);
		on_turn(c);
	}
}

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	consumer_client_tune(conf);
}

/* A client with queues of its own, configured as all before it. */
static int open_client(struct consumer *c, struct err *err)
{
	struct consumer_client client = {
		.group = c->group,
		.instance_id = c->instance_id,
		.properties = c->properties,
		.session_timeout = c->session_timeout,
		.configure = configure,
		.turn = on_turn,
		.owner = c,
	};
	rd_kafka_t *rk;

	c->client = consumer_client_new(c->loop, &client, c->log, err);
	if (!c->client)
		return -1;
	rk = kafka_client_handle(c->client);
	rd_kafka_poll_set_consumer(rk);
	c->ahead = consumer_client_ahead(c->client);
	c->messages = rd_kafka_queue_get_consumer(rk);
	c->commits = rd_kafka_queue_new(rk);
	kafka_client_watch(c->client, c->messages);
	kafka_client_watch(c->client, c->commits);
	return 0;
}

static void open_assignment(struct consumer *c, uint32_t history, struct metrics *metrics)
{
	struct assignment_options options = {
		.client = c->client,
		.topic = c->topic,
		.history = history,
		.log = c->log,
		.metrics = metrics,
		.callbacks = { .owner = c->callbacks.owner,
		               .assigned = c->callbacks.assigned,
		               .revoked = c->callbacks.revoked },
	};

	c->assignment = assignment_new(c->loop, &options);
}

static void free_consumer(struct consumer *c)
{
	kafka_properties_close(&c->properties);
	kafka_record_close(&c->room);
	free(c->instance_id);
	free(c->group);
	free(c->topic);
	free(c);
}

static void copy_options(struct consumer *c, const struct consumer_options *options)
{
	CHECK(options->batch > 0);
	c->batch = options->batch;
	c->session_timeout = options->session_timeout;
	c->properties = kafka_properties_copy(options->kafka);
	c->topic = strdup(options->topic);
	c->group = strdup(options->group);
	c->instance_id = options->instance_id ? strdup(options->instance_id) : NULL;
	CHECK(c->topic && c->group && (c->instance_id || !options->instance_id));
}

struct consumer *consumer_new(uv_loop_t *loop, const struct consumer_options *options,
                              const struct consumer_callbacks *callbacks, const struct log *log,
                              struct metrics *metrics, struct err *err)
{
	struct consumer *c = calloc(1, sizeof(*c));

	if (!c) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->loop = loop;
	c->log = log;
	c->callbacks = *callbacks;
	copy_options(c, options);
	if (open_client(c, err) < 0) {
		free_consumer(c);
		return NULL;
	}
	open_assignment(c, options->history, metrics);
	uv_timer_init(loop, &c->tick);
	c->tick.data = c;
	c->open_parts = 3;
	return c;
}

static int subscribe(struct consumer *c, struct err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t error;

	rd_kafka_topic_partition_list_add(topics, c->topic, RD_KAFKA_PARTITION_UA);
	error = rd_kafka_subscribe(kafka_client_handle(c->client), topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, "cannot subscribe to %s: %s", c->topic,
		               rd_kafka_err2str(error));
	return 0;
}

int consumer_start(struct consumer *c, struct err *err)
{
	if (subscribe(c, err) < 0)
		return -1;
	uv_timer_start(&c->tick, on_tick, CONSUMER_TICK_MS, CONSUMER_TICK_MS);
	return 0;
}

void consumer_accept(struct consumer *c)
{
	if (assignment_accept(c->assignment))
		c->is_lost = false;
	c->has_read = false;
	c->n_taken = 0;
}

void consumer_release(struct consumer *c)
{
	assignment_release(c->assignment);
}

void consumer_pause(struct consumer *c, int32_t partition)
{
	assignment_set_paused(c->assignment, partition, true);
	/* What the queue had of it is gone: it may have been full before. A partition that
	 * librdkafka has not begun to fetch must not be sought: it could lose count of its
	 * versions, and throw away all that it fetches. */
	if (c->has_read)
		c->n_taken += c->ahead;
}

void consumer_resume(struct consumer *c, int32_t partition)
{
	assignment_set_paused(c->assignment, partition, false);
}

/* The list that librdkafka wants, to be destroyed. */
static rd_kafka_topic_partition_list_t *list_of(const struct consumer *c,
                                                const struct consumer_position *positions, size_t n)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++)
		consumer_position_add(&positions[i], c->topic, list);
	return list;
}

void consumer_position_add(const struct consumer_position *position, const char *topic,
                           rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_t *p =
	    rd_kafka_topic_partition_list_add(list, topic, position->partition);
	struct bytes metadata = position->metadata;

	CHECK(metadata.size <= CONSUMER_METADATA_MAX);
	CHECK(metadata.size == 0 || !memchr(metadata.data, '\0', metadata.size));
	p->offset = position->offset;
	if (metadata.size == 0)
		return;
	p->metadata = malloc(metadata.size);
	CHECK(p->metadata);
	memcpy(p->metadata, metadata.data, metadata.size);
	p->metadata_size = metadata.size;
}

int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t error;

	CHECK(n > 0);
	if (c->state != CONSUMER_OPEN || c->must_renew)
		return err_set(err, "the group is joined anew");
	for (size_t i = 0; i < n; i++) {
		if (!assignment_may_commit(c->assignment, positions[i].partition))
			return err_set(err, "partition %" PRId32 " is not ours",
			               positions[i].partition);
	}
	list = list_of(c, positions, n);
	error = rd_kafka_commit_queue(kafka_client_handle(c->client), list, c->commits, NULL,
	                              (void *)(uintptr_t)opaque);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, "cannot commit: %s", rd_kafka_err2str(error));
	return 0;
}

const char *consumer_topic(const struct consumer *c)
{
	return c->topic;
}

const rd_kafka_consumer_group_metadata_t *consumer_group_metadata(const struct consumer *c)
{
	return consumer_is_lost(c) ? NULL : assignment_group(c->assignment);
}

bool consumer_is_lost(const struct consumer *c)
{
	return c->is_lost || c->must_renew || c->state != CONSUMER_OPEN ||
	       rd_kafka_assignment_lost(kafka_client_handle(c->client));
}

bool consumer_is_member(const struct consumer *c)
{
	return assignment_is_member(c->assignment);
}

static void part_is_closed(struct consumer *c)
{
	void (*closed)(void *) = c->closed;
	void *closed_owner = c->closed_owner;

	CHECK(c->open_parts > 0);
	if (--c->open_parts > 0)
		return;
	free_consumer(c);
	closed(closed_owner);
}

static void on_part_closed(void *owner)
{
	part_is_closed(owner);
}

static void on_tick_closed(uv_handle_t *handle)
{
	part_is_closed(handle->data);
}

/* Exactly one of the two fires: with what was found, or with nothing. */
static void on_read(void *owner, const struct lookup_result *result)
{
	struct consumer *c = owner;
	bool found = result && result->error == RD_KAFKA_RESP_ERR_NO_ERROR;
	size_t n = found ? (size_t)result->partitions->cnt : 0;
	struct consumer_offer *offers = calloc(n + 1, sizeof(*offers));

	CHECK(offers);
	for (size_t i = 0; i < n; i++) {
		const rd_kafka_topic_partition_t *p = &result->partitions->elems[i];

		offers[i] = (struct consumer_offer){ p->partition, p->offset >= 0 ? p->offset : -1,
			                             lookup_metadata(p) };
	}
	c->reading = NULL;
	c->read_cb(c->read_owner, found ? offers : NULL, n);
	free(offers);
	part_is_closed(c);
}

int consumer_read_committed(struct consumer *c, const struct consumer_position *positions, size_t n,
                            consumer_committed_cb cb, void *owner, struct err *err)
{
	struct lookup_question question = { .client = c->client,
		                            .topic = c->topic,
		                            .only_committed = true };
	rd_kafka_topic_partition_list_t *list;

	CHECK(!c->reading);
	if (c->state != CONSUMER_OPEN || c->must_renew)
		return err_set(err, "the group is joined anew");
	list = list_of(c, positions, n);
	question.partitions = list;
	c->read_cb = cb;
	c->read_owner = owner;
	c->reading = lookup_start(c->loop, &question, on_read, c, err);
	rd_kafka_topic_partition_list_destroy(list);
	if (!c->reading)
		return -1;
	c->open_parts++;
	return 0;
}

/* On the client's thread. */
static void leave_group(rd_kafka_t *rk)
{
	rd_kafka_consumer_close(rk);
}

static void close_queues(struct consumer *c)
{
	rd_kafka_queue_destroy(c->messages);
	rd_kafka_queue_destroy(c->commits);
	c->messages = NULL;
	c->commits = NULL;
}

/* The old client is gone, or is given up: if it still lives it is not a member any more once the
 * new one has joined. */
static void on_old_closed(void *owner)
{
	struct consumer *c = owner;
	struct err err;

	c->client = NULL;
	if (c->state == CONSUMER_CLOSING) {
		part_is_closed(c);
		return;
	}
	if (open_client(c, &err) < 0) {
		part_is_closed(c);
		report_fatal(c, err.msg);
		return;
	}
	c->state = CONSUMER_OPEN;
	assignment_attach(c->assignment, c->client);
	if (subscribe(c, &err) < 0)
		report_fatal(c, err.msg);
	kafka_client_again(c->client);
}

static void begin_renewal(struct consumer *c)
{
	c->must_renew = false;
	c->state = CONSUMER_RENEWING;
	log_warn(c->log, "consumer.renewed", "%s", "");
	if (c->reading)
		lookup_cancel(c->reading);
	assignment_detach(c->assignment);
	close_queues(c);
	kafka_client_close(c->client, duration_ms(CONSUMER_RENEW_MS),
	                   c->instance_id ? NULL : leave_group, on_old_closed);
}

void consumer_renew(struct consumer *c)
{
	if (c->state != CONSUMER_OPEN || c->must_renew)
		return;
	c->must_renew = true;
	kafka_client_again(c->client);
}

/* A client that is being renewed is closed already, or could not be made. */
static void begin_close(struct consumer *c)
{
	if (c->reading)
		lookup_cancel(c->reading);
	assignment_close(c->assignment, on_part_closed, c);
	uv_close((uv_handle_t *)&c->tick, on_tick_closed);
	if (!c->messages)
		return;
	close_queues(c);
	kafka_client_close(c->client, c->close_deadline, leave_group, on_part_closed);
}

/* Begins in the next turn, so that it may be asked for by a callback. */
void consumer_close(struct consumer *c, duration_t deadline, void (*closed)(void *owner),
                    void *owner)
{
	CHECK(c->state != CONSUMER_CLOSING);
	c->state = CONSUMER_CLOSING;
	c->close_deadline = deadline;
	c->closed = closed;
	c->closed_owner = owner;
	uv_timer_start(&c->tick, on_tick, 0, 0);
}
