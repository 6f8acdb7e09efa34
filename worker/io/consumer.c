/* The consumer group on the loop: see consumer.h. What the group assigns is assignment.c's. */
#include "worker/io/consumer.h"

#include "worker/io/assignment.h"
#include "worker/io/kafka_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Opaque numbers travel through librdkafka as pointers. */
_Static_assert(sizeof(void *) >= sizeof(uint64_t), "an opaque number must fit into a pointer");

/* The group is polled this often at least, and what failed before an assignment is tried again. */
#define CONSUMER_TICK_MS 500

struct consumer {
	uv_loop_t *loop; /* Borrowed, as what follows */
	const struct log *log;
	struct consumer_callbacks callbacks;
	char *topic; /* Owned */
	uint32_t batch;
	bool is_closing;
	bool is_fatal; /* Was reported */

	struct kafka_client *client;   /* Owned */
	struct assignment *assignment; /* Owned */
	rd_kafka_queue_t *messages;    /* Owned */
	rd_kafka_queue_t *commits;     /* Owned: answers to commits only */

	struct record_header *headers; /* Owned: room for the headers of one record */
	size_t headers_capacity;

	uv_timer_t tick;
	unsigned open_parts; /* Of tick, client and assignment */
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

/* The headers of a message, borrowed until the next one. */
static size_t take_headers(struct consumer *c, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	size_t n = 0;
	const char *name;
	const void *value;
	size_t size;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (rd_kafka_header_get_all(headers, n, &name, &value, &size) ==
	       RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (n == c->headers_capacity) {
			c->headers_capacity = n ? 2 * n : 16;
			c->headers = realloc(c->headers, c->headers_capacity * sizeof(*c->headers));
			CHECK(c->headers);
		}
		c->headers[n++] = (struct record_header){ .name = bytes_of(name),
			                                  .value = { value, size },
			                                  .is_null = !value };
	}
	return n;
}

static void deliver(struct consumer *c, const rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
	struct record record = {
		.topic = bytes_of(c->topic),
		.partition = message->partition,
		.offset = message->offset,
		.timestamp = { timestamp_ms > 0 ? timestamp_ms * 1000 : 0 },
		.has_key = message->key != NULL,
		.key = { message->key, message->key_len },
		.value = { message->payload, message->len },
		.n_headers = take_headers(c, message),
	};

	record.headers = c->headers;
	c->callbacks.record(c->callbacks.owner, &record);
}

static void dispatch(struct consumer *c, const rd_kafka_message_t *message)
{
	bool ours = assignment_is_reading(c->assignment, message->partition);

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_works(c->client);
		if (ours)
			deliver(c, message);
	} else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		kafka_client_works(c->client);
		if (ours)
			c->callbacks.position(c->callbacks.owner, message->partition,
			                      message->offset);
	} else {
		kafka_client_report(c->client, message->err, rd_kafka_message_errstr(message));
	}
}

/* At most one batch; what is left is taken in the next turn, after timers and sockets had theirs.
 */
static void take_messages(struct consumer *c)
{
	for (uint32_t i = 0; i < c->batch; i++) {
		rd_kafka_message_t *message =
		    rd_kafka_consumer_poll(kafka_client_handle(c->client), 0);

		assignment_serve(c->assignment);
		if (!message)
			return;
		if (!c->is_closing)
			dispatch(c, message);
		rd_kafka_message_destroy(message);
		if (c->is_closing)
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

static void take_commits(struct consumer *c)
{
	rd_kafka_event_t *event;

	while (!c->is_closing && (event = rd_kafka_queue_poll(c->commits, 0))) {
		uint64_t opaque = (uint64_t)(uintptr_t)rd_kafka_event_opaque(event);
		rd_kafka_resp_err_t error = commit_error(event);

		rd_kafka_event_destroy(event);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			kafka_client_works(c->client);
		c->callbacks.committed(c->callbacks.owner, opaque,
		                       error ? rd_kafka_err2str(error) : NULL);
	}
}

static void report_fatal(struct consumer *c)
{
	const char *fatal = kafka_client_fatal(c->client);

	if (!fatal || c->is_fatal || c->is_closing)
		return;
	c->is_fatal = true;
	log_error(c->log, "consumer.fatal", "error=\"%s\"", fatal);
	c->callbacks.fatal(c->callbacks.owner, fatal);
}

static void begin_close(struct consumer *c);

static void on_turn(void *owner)
{
	struct consumer *c = owner;

	if (c->is_closing) {
		begin_close(c);
		return;
	}
	take_commits(c);
	if (!c->is_closing)
		take_messages(c);
	report_fatal(c);
}

static void on_tick(uv_timer_t *tick)
{
	struct consumer *c = tick->data;

	if (c->is_closing)
		return;
	assignment_retry(c->assignment);
	on_turn(c);
}

static void configure(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
}

#define HEARTBEAT_MS 3000 /* librdkafka's own, unless the session is short */

/* Open the client with the worker's own properties. */
static int open_client(struct consumer *c, const struct consumer_options *options, struct err *err)
{
	char session[24], heartbeat[24];
	int64_t session_ms = duration_to_ms(options->session_timeout);
	const struct kafka_property defaults[] = {
		/* Bounds the memory of a backlog at the same speed. */
		{ "queued.min.messages", "1000" },
		/* One lost heartbeat must not cost the session. */
		{ "heartbeat.interval.ms", heartbeat },
	};
	struct kafka_property ours[] = {
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		{ "isolation.level", "read_committed" },
		{ "partition.assignment.strategy", "range" },
		{ "session.timeout.ms", session },
		{ "group.id", options->group },
		{ "group.instance.id", options->instance_id }, /* Left out for a dynamic member */
	};
	size_t n = sizeof(ours) / sizeof(*ours) - (options->instance_id ? 0 : 1);
	struct kafka_client_options client = {
		.name = "consumer",
		.conf = { .role = KAFKA_CONSUMER,
		          .defaults = { defaults, sizeof(defaults) / sizeof(*defaults) },
		          .user = *options->kafka,
		          .ours = { ours, n } },
		.configure = configure,
		.turn = on_turn,
		.owner = c,
	};

	snprintf(session, sizeof(session), "%" PRId64, session_ms);
	snprintf(heartbeat, sizeof(heartbeat), "%" PRId64,
	         session_ms / 3 < HEARTBEAT_MS ? session_ms / 3 : HEARTBEAT_MS);
	c->client = kafka_client_new(c->loop, &client, c->log, err);
	return c->client ? 0 : -1;
}

static void open_assignment(struct consumer *c, struct metrics *metrics)
{
	struct assignment_options options = {
		.client = c->client,
		.topic = c->topic,
		.log = c->log,
		.metrics = metrics,
		.callbacks = { .owner = c->callbacks.owner,
		               .assigned = c->callbacks.assigned,
		               .revoked = c->callbacks.revoked },
	};

	c->assignment = assignment_new(c->loop, &options);
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
	CHECK(options->batch > 0);
	c->loop = loop;
	c->log = log;
	c->callbacks = *callbacks;
	c->batch = options->batch;
	c->topic = strdup(options->topic);
	CHECK(c->topic);
	if (open_client(c, options, err) < 0) {
		free(c->topic);
		free(c);
		return NULL;
	}
	open_assignment(c, metrics);
	rd_kafka_poll_set_consumer(kafka_client_handle(c->client));
	c->messages = rd_kafka_queue_get_consumer(kafka_client_handle(c->client));
	c->commits = rd_kafka_queue_new(kafka_client_handle(c->client));
	kafka_client_watch(c->client, c->messages);
	kafka_client_watch(c->client, c->commits);
	uv_timer_init(loop, &c->tick);
	c->tick.data = c;
	c->open_parts = 3;
	return c;
}

int consumer_start(struct consumer *c, struct err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t error;

	rd_kafka_topic_partition_list_add(topics, c->topic, RD_KAFKA_PARTITION_UA);
	error = rd_kafka_subscribe(kafka_client_handle(c->client), topics);
	rd_kafka_topic_partition_list_destroy(topics);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, "cannot subscribe to %s: %s", c->topic,
		               rd_kafka_err2str(error));
	uv_timer_start(&c->tick, on_tick, CONSUMER_TICK_MS, CONSUMER_TICK_MS);
	return 0;
}

void consumer_accept(struct consumer *c)
{
	assignment_accept(c->assignment);
}

void consumer_release(struct consumer *c)
{
	assignment_release(c->assignment);
}

void consumer_pause(struct consumer *c, int32_t partition)
{
	assignment_set_paused(c->assignment, partition, true);
}

void consumer_resume(struct consumer *c, int32_t partition)
{
	assignment_set_paused(c->assignment, partition, false);
}

int consumer_commit(struct consumer *c, const struct consumer_position *positions, size_t n,
                    uint64_t opaque, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t error;

	CHECK(n > 0);
	for (size_t i = 0; i < n; i++) {
		if (!assignment_may_commit(c->assignment, positions[i].partition))
			return err_set(err, "partition %" PRId32 " is not ours",
			               positions[i].partition);
	}
	list = rd_kafka_topic_partition_list_new((int)n);
	for (size_t i = 0; i < n; i++) {
		rd_kafka_topic_partition_list_add(list, c->topic, positions[i].partition)->offset =
		    positions[i].offset;
	}
	error = rd_kafka_commit_queue(kafka_client_handle(c->client), list, c->commits, NULL,
	                              (void *)(uintptr_t)opaque);
	rd_kafka_topic_partition_list_destroy(list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(err, "cannot commit: %s", rd_kafka_err2str(error));
	return 0;
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
	free(c->headers);
	free(c->topic);
	free(c);
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

/* On the client's thread. */
static void leave_group(rd_kafka_t *rk)
{
	rd_kafka_consumer_close(rk);
}

static void begin_close(struct consumer *c)
{
	assignment_close(c->assignment, on_part_closed, c);
	uv_close((uv_handle_t *)&c->tick, on_tick_closed);
	rd_kafka_queue_destroy(c->messages);
	rd_kafka_queue_destroy(c->commits);
	kafka_client_close(c->client, c->close_deadline, leave_group, on_part_closed);
}

/* Begins in the next turn, so that it may be asked for by a callback. */
void consumer_close(struct consumer *c, duration_t deadline, void (*closed)(void *owner),
                    void *owner)
{
	CHECK(!c->is_closing);
	c->is_closing = true;
	c->close_deadline = deadline;
	c->closed = closed;
	c->closed_owner = owner;
	kafka_client_again(c->client);
}
