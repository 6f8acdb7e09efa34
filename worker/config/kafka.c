/* Properties that are passed through to librdkafka. */
#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/io/kafka.h"
#include "worker/io/secret.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROPERTY_MAX 16384 /* Bytes of a value: a certificate or a key fits */

/* Values of these are never repeated in a message, and should not stand in the file. */
static const char *const secret_properties[] = {
	"sasl.password",         "ssl.key.password",        "ssl.key.pem",
	"ssl.keystore.password", "sasl.oauthbearer.config", "sasl.oauthbearer.client.secret",
};

static bool is_secret(const char *name)
{
	for (size_t i = 0; i < sizeof(secret_properties) / sizeof(secret_properties[0]); i++) {
		if (strcmp(secret_properties[i], name) == 0)
			return true;
	}
	return false;
}

static void property_path(const char *name, char path[static OPTION_NAME_SIZE])
{
	snprintf(path, OPTION_NAME_SIZE, "kafka.%s", name);
}

/* The names of properties go into messages, so only harmless ones are taken. */
static bool is_property_name(const char *name, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

	return length > 0 && length < OPTION_NAME_SIZE - strlen("kafka._credential") &&
	       strspn(name, allowed) == strlen(name);
}

static struct given_property *find_or_append(struct loader *l, const char *name, size_t length)
{
	struct given_property *p;

	for (size_t i = 0; i < l->kafka_count; i++) {
		p = &l->kafka[i];
		if (strlen(p->name) == length && strncmp(p->name, name, length) == 0)
			return p;
	}
	if (l->kafka_count == LOADER_KAFKA_MAX)
		return NULL;
	p = &l->kafka[l->kafka_count++];
	p->name = names_copy(name, length);
	return p;
}

void loader_add_kafka(struct loader *l, const char *name, const char *value,
                      const struct place *place)
{
	struct given given = { .place = *place };
	struct given_property *property;
	char path[OPTION_NAME_SIZE];
	size_t length;

	given.source = given_split(name, &length);
	if (!is_property_name(name, length)) {
		problems_add(l->problems, SEVERITY_MISTAKE, place, "kafka",
		             "expected the name of a librdkafka property, in small letters");
		return;
	}
	property_path(name, path);
	property = find_or_append(l, name, length);
	if (!property) {
		problems_add(l->problems, SEVERITY_MISTAKE, place, path, "more than %d properties",
		             LOADER_KAFKA_MAX);
		return;
	}
	given.text = names_copy(value, strlen(value));
	given_set(l, &property->given, path, &given);
	secret_wipe(given.text);
}

/* True unless librdkafka would make no consumer of it. */
static bool check_poll_interval(struct loader *l, const struct given_property *p, const char *path,
                                const char *value)
{
	int64_t session_ms = duration_to_ms(l->config->consumer.session_timeout);

	if (strcmp(p->name, KAFKA_POLL_INTERVAL) != 0 || strtoll(value, NULL, 0) >= session_ms)
		return true;
	problems_add(l->problems, SEVERITY_MISTAKE, &p->given.place, path,
	             "is shorter than consumer.session_timeout, %" PRId64 " ms", session_ms);
	return false;
}

/* True when librdkafka takes the property and the worker leaves it to the user. */
static bool check_property(struct loader *l, const struct given_property *p, const char *path,
                           const char *value)
{
	const struct place *place = &p->given.place;
	const char *why = "";
	struct err err;

	if (kafka_property_is_ours(p->name, &why)) {
		problems_add(l->problems, SEVERITY_MISTAKE, place, path, "cannot be set: %s", why);
		return false;
	}
	if (kafka_property_check(p->name, value, &err) == 0)
		return check_poll_interval(l, p, path, value);
	if (is_secret(p->name) || p->given.source != GIVEN_LITERAL)
		problems_add(l->problems, SEVERITY_MISTAKE, place, path,
		             "librdkafka does not take this value or property");
	else
		problems_add(l->problems, SEVERITY_MISTAKE, place, path, "%s", err.msg);
	return false;
}

static void finish_property(struct loader *l, const struct given_property *p)
{
	struct config *config = l->config;
	char path[OPTION_NAME_SIZE];
	char *value, *file;

	property_path(p->name, path);
	value = given_fetch(l, &p->given, path, PROPERTY_MAX, &file);
	free(file);
	if (!value)
		return;
	if (is_secret(p->name) && p->given.source == GIVEN_LITERAL && p->given.place.line)
		problems_add(l->problems, SEVERITY_WARNING, &p->given.place, path,
		             "a secret stands in the file; better use %s_file", p->name);
	if (!check_property(l, p, path, value)) {
		secret_wipe(value);
		return;
	}
	names_push(&config->kafka_texts, names_copy(p->name, strlen(p->name)));
	names_push(&config->kafka_texts, value);
	config->kafka_list[config->kafka.count++] = (struct kafka_property){
		.name = config->kafka_texts.list[config->kafka_texts.count - 2],
		.value = value,
	};
}

void loader_finish_kafka(struct loader *l)
{
	static const struct place nowhere = { 0 };
	bool have_servers = false;

	l->config->kafka_list = names_allocate(LOADER_KAFKA_MAX, sizeof(*l->config->kafka_list));
	l->config->kafka.list = l->config->kafka_list;
	for (size_t i = 0; i < l->kafka_count; i++) {
		const struct given_property *p = &l->kafka[i];

		if (strcmp(p->name, "bootstrap.servers") == 0 ||
		    strcmp(p->name, "metadata.broker.list") == 0)
			have_servers = true;
		finish_property(l, p);
	}
	if (!have_servers)
		problems_add(l->problems, SEVERITY_MISTAKE, &nowhere, "kafka.bootstrap.servers",
		             "is required: expected HOST:PORT of one or more brokers");
}
