/* A consumer that never joins its group: see tool_client.h. */
#include "worker/io/tool_client.h"

#include <stdio.h>

static void on_error(rd_kafka_t *rk, int error, const char *text, void *opaque)
{
	struct tool_client *c = opaque;

	(void)rk;
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		snprintf(c->last_error, sizeof(c->last_error), "%s", text);
}

int tool_client_open(struct tool_client *c, const struct kafka_properties *kafka, const char *group,
                     struct err *err)
{
	const struct kafka_property ours[] = {
		{ "group.id", group },
		{ "enable.auto.commit", "false" },
		{ "enable.auto.offset.store", "false" },
		{ "enable.partition.eof", "true" },
		{ "auto.offset.reset", "earliest" },
		{ "isolation.level", "read_committed" },
		{ "log_level", "0" },
		/* It polls for no group. The user's may be less than librdkafka's session. */
		{ KAFKA_POLL_INTERVAL, "300000" },
	};
	const struct kafka_conf_options options = {
		.role = KAFKA_CONSUMER,
		.user = *kafka,
		.ours = { ours, sizeof(ours) / sizeof(ours[0]) },
	};
	rd_kafka_conf_t *conf = kafka_conf_new(&options, err);
	char why[TOOL_CLIENT_ERROR_SIZE] = "";

	*c = (struct tool_client){ 0 };
	if (!conf)
		return -1;
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_error_cb(conf, on_error);
	c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (c->rk)
		return 0;
	rd_kafka_conf_destroy(conf);
	return err_set(err, "librdkafka: %s", why);
}

void tool_client_close(struct tool_client *c)
{
	if (c->rk)
		rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	c->rk = NULL;
}
