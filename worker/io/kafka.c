/* Which librdkafka properties are whose, and configurations made of them: see kafka.h. */
#include "worker/io/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KAFKA_ERROR_SIZE 400

struct reserved_property {
	const char *name;
	const char *why;
};

/* Properties, with their aliases, whose value the promises of the worker rest on. */
static const struct reserved_property reserved_properties[] = {
	{ "enable.auto.commit", "offsets are committed behind stored replies only" },
	{ "auto.commit.enable", "offsets are committed behind stored replies only" },
	{ "auto.commit.interval.ms", "offsets are committed behind stored replies only" },
	{ "enable.auto.offset.store", "offsets are committed behind stored replies only" },
	{ "offset.store.method", "offsets are stored by the broker" },
	{ "offset.store.path", "offsets are stored by the broker" },
	{ "offset.store.sync.interval.ms", "offsets are stored by the broker" },
	{ "enable.partition.eof", "the worker needs to know the end of a partition" },
	{ "auto.offset.reset",
	  "a new partition is read from its start; anything else loses commands" },
	{ "isolation.level", "commands of aborted transactions must not be sent" },
	{ "group.id", "use the worker's own option for the group" },
	{ "group.instance.id", "use the worker's own option for the instance" },
	{ "session.timeout.ms", "use the worker's own option for the session" },
	{ "group.protocol", "the worker needs the classic protocol" },
	{ "group.protocol.type", "the worker needs the classic protocol" },
	{ "retry.backoff.ms", "a commit that is sent again must not land behind a newer one" },
	{ "retry.backoff.max.ms", "a commit that is sent again must not land behind a newer one" },
	{ "fetch.queue.backoff.ms", "the worker says when to fetch again" },
	{ "partition.assignment.strategy",
	  "the worker needs range; cooperative ones can lose partitions" },
	{ "enable.idempotence", "replies are written by an idempotent producer" },
	{ "acks", "a reply counts as stored when all replicas have it" },
	{ "request.required.acks", "a reply counts as stored when all replicas have it" },
	{ "transactional.id", "the worker chooses it when it uses transactions" },
	{ "transaction.timeout.ms", "it belongs to the worker's session and lease" },
	{ "message.timeout.ms", "a reply is never given up" },
	{ "delivery.timeout.ms", "a reply is never given up" },
	{ "message.send.max.retries", "a reply is never given up" },
	{ "retries", "a reply is never given up" },
	{ "max.in.flight", "the idempotent producer sets it" },
	{ "max.in.flight.requests.per.connection", "the idempotent producer sets it" },
	{ "queuing.strategy", "replies stay in order" },
	{ "queue.buffering.backpressure.threshold", "the idempotent producer sets it" },
	{ "enable.gapless.guarantee", "one refused reply must not stop the others" },
	{ "delivery.report.only.error", "every reply needs its delivery report" },
	{ "plugin.library.paths", "the worker loads no code by configuration" },
	{ "log.queue", "librdkafka's lines go to the worker's log" },
	{ "enabled_events", "the worker uses callbacks" },
	{ "opaque", "it is not for configuration" },
	{ "interceptors", "it is not for configuration" },
	{ "default_topic_conf", "it is not for configuration" },
};

struct kafka_properties kafka_properties_copy(const struct kafka_properties *properties)
{
	struct kafka_property *list = calloc(properties->count + 1, sizeof(*list));

	CHECK(list);
	for (size_t i = 0; i < properties->count; i++) {
		const struct kafka_property *from = &properties->list[i];
		size_t name_size = strlen(from->name) + 1;
		size_t value_size = strlen(from->value) + 1;
		char *text = malloc(name_size + value_size);

		CHECK(text);
		list[i].name = memcpy(text, from->name, name_size);
		list[i].value = memcpy(text + name_size, from->value, value_size);
	}
	return (struct kafka_properties){ list, properties->count };
}

void kafka_properties_close(struct kafka_properties *copy)
{
	union {
		const void *borrowed;
		void *owned;
	} text;

	for (size_t i = 0; i < copy->count; i++) {
		text.borrowed = copy->list[i].name;
		free(text.owned);
	}
	text.borrowed = copy->list;
	free(text.owned);
	*copy = (struct kafka_properties){ 0 };
}

/* Callbacks and functions are given by code only. */
static bool is_function(const char *name)
{
	size_t size = strlen(name);

	return (size > 3 && strcmp(name + size - 3, "_cb") == 0) ||
	       strcmp(name, "msg_order_cmp") == 0;
}

bool kafka_property_is_ours(const char *name, const char **ret_why)
{
	for (size_t i = 0; i < sizeof(reserved_properties) / sizeof(*reserved_properties); i++) {
		if (strcmp(name, reserved_properties[i].name) == 0) {
			*ret_why = reserved_properties[i].why;
			return true;
		}
	}
	if (is_function(name)) {
		*ret_why = "it is not for configuration";
		return true;
	}
	return false;
}

/* Values of these are kept out of messages. */
static bool may_be_secret(const char *name)
{
	static const char *const parts[] = { "password", "secret", "pem", "oauthbearer",
		                             "username" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (strstr(name, parts[i]))
			return true;
	}
	return false;
}

static int set_property(rd_kafka_conf_t *conf, const struct kafka_property *property,
                        struct err *err)
{
	char why[KAFKA_ERROR_SIZE] = "";
	rd_kafka_conf_res_t result;

	result = rd_kafka_conf_set(conf, property->name, property->value, why, sizeof(why));
	if (result == RD_KAFKA_CONF_OK)
		return 0;
	if (result == RD_KAFKA_CONF_UNKNOWN)
		return err_set(err, "librdkafka %s has no property \"%.100s\"",
		               rd_kafka_version_str(), property->name);
	if (may_be_secret(property->name))
		return err_set(err, "librdkafka refuses the value of \"%.100s\"", property->name);
	return err_set(err, "\"%.100s\": librdkafka says: %s", property->name, why);
}

int kafka_property_check(const char *name, const char *value, struct err *err)
{
	struct kafka_property property = { .name = name, .value = value };
	rd_kafka_conf_t *scratch;
	const char *why;
	int result;

	if (kafka_property_is_ours(name, &why))
		return err_set(err, "\"%.100s\" is set by the worker: %s", name, why);
	scratch = rd_kafka_conf_new();
	result = set_property(scratch, &property, err);
	rd_kafka_conf_destroy(scratch);
	return result;
}

/* librdkafka's own table of properties as text, to be freed; NULL without memory. A row begins
 * "name   |  C  |". */
static char *property_table(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	rd_kafka_conf_properties_show(file);
	if (fclose(file) == 0)
		return text;
	free(text);
	return NULL;
}

/* True when the table says that only the other role knows this property: there it would only give a
 * warning. */
static bool is_for_other_role(const char *table, const char *name, enum kafka_role role)
{
	size_t size = strlen(name);
	char other = role == KAFKA_CONSUMER ? 'P' : 'C';

	for (const char *line = table; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == ' ') {
			const char *column = line + size + strspn(line + size, " ");

			column += strspn(column, "| ");
			return *column == other;
		}
	}
	return false;
}

static int set_all(rd_kafka_conf_t *conf, const struct kafka_properties *properties,
                   struct err *err)
{
	for (size_t i = 0; i < properties->count; i++) {
		if (set_property(conf, &properties->list[i], err) < 0)
			return -1;
	}
	return 0;
}

static bool makes_transactions(const struct kafka_conf_options *options)
{
	for (size_t i = 0; i < options->ours.count; i++) {
		if (strcmp(options->ours.list[i].name, "transactional.id") == 0)
			return true;
	}
	return false;
}

static bool is_for(const struct kafka_conf_options *options, const char *table, const char *name)
{
	const char *why;

	return !kafka_property_is_ours(name, &why) &&
	       !is_for_other_role(table, name, options->role) &&
	       !(strcmp(name, KAFKA_SOCKET_TIMEOUT) == 0 && makes_transactions(options));
}

static int set_user(rd_kafka_conf_t *conf, const struct kafka_conf_options *options,
                    struct err *err)
{
	char *table = property_table();
	int result = 0;

	if (!table)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < options->user.count && result == 0; i++) {
		if (is_for(options, table, options->user.list[i].name))
			result = set_property(conf, &options->user.list[i], err);
	}
	free(table);
	return result;
}

rd_kafka_conf_t *kafka_conf_new(const struct kafka_conf_options *options, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	if (set_all(conf, &options->defaults, err) == 0 && set_user(conf, options, err) == 0 &&
	    set_all(conf, &options->ours, err) == 0)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}
