/* The consumer's client: see consumer_client.h. */
#include "worker/io/consumer_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define AHEAD "queued.min.messages"

/* librdkafka sends a commit again after so long when its connection was lost: later than anybody
 * here waits for the answer, so that an answer in time is the answer to the only copy. */
#define RETRY_MS "10000"

#define HEARTBEAT_MS 3000   /* librdkafka's own, unless the session is short */
#define PATIENCE_MS  300000 /* librdkafka's own, unless the session is long */

/* Newer versions double the pause between retries up to a limit of its own (2.3), and can look
 * again soon whether there is room for more records (2.2). */
void consumer_client_tune(rd_kafka_conf_t *conf)
{
	(void)rd_kafka_conf_set(conf, "retry.backoff.max.ms", RETRY_MS, NULL, 0);
	(void)rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "10", NULL, 0);
}

struct kafka_client *consumer_client_new(uv_loop_t *loop, const struct consumer_client *options,
                                         const struct log *log, struct err *err)
{
	char session[24], heartbeat[24], patience[24];
	int64_t session_ms = duration_to_ms(options->session_timeout);
	const struct kafka_property defaults[] = {
		/* These bound the memory of a backlog. */
		{ AHEAD, "1000" },
		{ "fetch.message.max.bytes", "262144" },
		/* A partition that is resumed waits until the broker has answered what was asked
		 * for the others, and it lets that wait so long for records. */
		{ "fetch.wait.max.ms", "50" },
		/* One lost heartbeat must not cost the session. */
		{ "heartbeat.interval.ms", heartbeat },
		/* librdkafka makes no consumer whose session is longer. */
		{ KAFKA_POLL_INTERVAL, patience },
	};
	struct kafka_property ours[] = {
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		{ "isolation.level", "read_committed" },
		{ "partition.assignment.strategy", "range" },
		{ "retry.backoff.ms", RETRY_MS },
		{ "session.timeout.ms", session },
		{ "group.id", options->group },
		{ "group.instance.id", options->instance_id }, /* Left out for a dynamic member */
	};
	size_t n = sizeof(ours) / sizeof(*ours) - (options->instance_id ? 0 : 1);
	struct kafka_client_options client = {
		.name = "consumer",
		.conf = { .role = KAFKA_CONSUMER,
		          .defaults = { defaults, sizeof(defaults) / sizeof(*defaults) },
		          .user = options->properties,
		          .ours = { ours, n } },
		.configure = options->configure,
		.turn = options->turn,
		.owner = options->owner,
	};

	snprintf(session, sizeof(session), "%" PRId64, session_ms);
	snprintf(heartbeat, sizeof(heartbeat), "%" PRId64,
	         session_ms / 3 < HEARTBEAT_MS ? session_ms / 3 : HEARTBEAT_MS);
	snprintf(patience, sizeof(patience), "%" PRId64,
	         session_ms > PATIENCE_MS ? session_ms : PATIENCE_MS);
	return kafka_client_new(loop, &client, log, err);
}

size_t consumer_client_ahead(struct kafka_client *client)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(kafka_client_handle(client));
	char text[24];
	size_t size = sizeof(text);

	CHECK(rd_kafka_conf_get(conf, AHEAD, text, &size) == RD_KAFKA_CONF_OK);
	return (size_t)strtoul(text, NULL, 10);
}
