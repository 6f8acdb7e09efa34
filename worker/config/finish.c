/* What is left once file and environment were read: secrets, values that follow from others, and
 * checks across options. */
#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Graph's published limit for one application. */
#define GRAPH_REQUESTS 50000
#define GRAPH_SECONDS  15

void loader_report(struct loader *l, enum severity severity, enum option_position at,
                   const char *message)
{
	char path[OPTION_NAME_SIZE];

	option_path(option_at(at), path);
	problems_add(l->problems, severity, &l->places[at], path, "%s", message);
}

bool loader_is_given(const struct loader *l, enum option_position at)
{
	return l->places[at].line || l->places[at].variable[0];
}

/* A managed identity may be the machine's own, which needs no id. */
static bool is_needed(const struct loader *l, size_t at)
{
	return option_at(at)->need == OPTION_REQUIRED &&
	       (at != OPTION_AT_login_client_id ||
	        l->config->login.credential != CONFIG_MANAGED_IDENTITY);
}

/* An option that was given, but wrongly, has had its message already. */
static void check_required(struct loader *l)
{
	static const struct place nowhere = { 0 };
	char path[OPTION_NAME_SIZE], variable[OPTION_NAME_SIZE];

	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		const struct config_option *o = option_at(at);

		if (!is_needed(l, at) || loader_is_given(l, (enum option_position)at))
			continue;
		option_path(o, path);
		option_variable(o, variable);
		problems_add(l->problems, SEVERITY_MISTAKE, &nowhere, path,
		             "is required: in the file, or as %s in the environment", variable);
	}
}

static void fetch_secrets(struct loader *l)
{
	char path[OPTION_NAME_SIZE];

	for (size_t at = 0; at < OPTIONS_COUNT; at++) {
		const struct config_option *o = option_at(at);
		const struct given *given = &l->secrets[at];
		struct config_secret *secret;

		if (o->type != OPTION_SECRET || given->source == GIVEN_NOT)
			continue;
		option_path(o, path);
		secret = option_field(o, l->config);
		secret->text =
		    given_fetch(l, given, path, strtoul(o->most, NULL, 10), &secret->file);
		if (given->source == GIVEN_LITERAL && given->place.line)
			problems_add(l->problems, SEVERITY_WARNING, &given->place, path,
			             "a secret stands in the file; better use %s_file or "
			             "%s_credential",
			             o->name, o->name);
	}
}

static void check_url(struct loader *l, enum option_position at, const char *url)
{
	if (strncmp(url, "http://", 7) == 0 && !url_is_loopback(url))
		loader_report(l, SEVERITY_WARNING, at,
		              "http:// to another machine: secret and token travel in clear");
}

static void set_scope(struct config *config)
{
	const char *url = config->graph.url;

	if (config->login.scope)
		return;
	CHECK(asprintf(&config->login.scope, "%.*s/.default", (int)url_origin_size(url), url) >= 0);
}

/* Every worker needs a name that survives its restarts, and that no other worker has. */
static void check_slot(struct loader *l)
{
	if (l->config->consumer.instance_id)
		return;
	loader_report(
	    l, SEVERITY_MISTAKE, OPTION_AT_consumer_instance_id,
	    "is required for delivery: exactly-once. Give each worker a name of its own that "
	    "stays the same over restarts: in a StatefulSet the pod's name, with systemd the "
	    "instance (%i). Or choose delivery: at-least-once");
}

static void set_transactional_id(struct config *config)
{
	const char *instance = config->consumer.instance_id;

	if (config->exactly_once.transactional_id || !instance)
		return;
	CHECK(asprintf(&config->exactly_once.transactional_id, "%s-%s", config->consumer.group,
	               instance) >= 0);
}

static void check_exactly_once(struct loader *l)
{
	const struct config *c = l->config;

	if (c->delivery.value != CONFIG_EXACTLY_ONCE)
		return;
	check_slot(l);
	if (c->exactly_once.lease.us >= c->consumer.session_timeout.us)
		loader_report(
		    l, SEVERITY_MISTAKE, OPTION_AT_exactly_once_lease,
		    "is not less than consumer.session_timeout: the worker could still send when "
		    "another has taken over");
	if (c->exactly_once.commit_deadline.us >= c->exactly_once.lease.us)
		loader_report(
		    l, SEVERITY_MISTAKE, OPTION_AT_exactly_once_commit_deadline,
		    "is not less than exactly_once.lease: a commit could come too late to send");
	if (c->retry.settle.us < c->exactly_once.lease.us + c->graph.timeout.us)
		loader_report(
		    l, SEVERITY_WARNING, OPTION_AT_retry_settle,
		    "is shorter than exactly_once.lease + graph.timeout: evidence may be looked "
		    "for while the worker of before is still sending");
}

/* Each is a segment of the URL of its tokens. */
static bool can_be_tenant(const char *name)
{
	return !strchr(name, '_') && name[0] != '.' && strlen(name) <= 128;
}

static void add_tenant(struct loader *l, const char *tenant)
{
	struct config_names *tenants = &l->config->tenants;

	for (size_t i = 0; i < tenants->count; i++) {
		if (strcasecmp(tenants->list[i], tenant) == 0)
			loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_other_tenants,
			              i == 0 ? "contains login.tenant_id, which is a tenant anyway"
			                     : "contains the same tenant twice, in other case");
	}
	if (!can_be_tenant(tenant) && tenants->count == 0)
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_tenant_id,
		              "is neither an id nor a domain");
	else if (!can_be_tenant(tenant))
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_other_tenants,
		              "contains a name that is neither an id nor a domain");
	names_push(tenants, names_copy(tenant, strlen(tenant)));
}

static void set_tenants(struct loader *l)
{
	const struct config_login *login = &l->config->login;

	if (!login->tenant_id)
		return;
	add_tenant(l, login->tenant_id);
	for (size_t i = 0; i < login->other_tenants.count; i++)
		add_tenant(l, login->other_tenants.list[i]);
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static void report_topic(struct loader *l, enum option_position at, const char *what,
                         const char *name)
{
	char message[64];

	snprintf(message, sizeof(message), "%s topics.%s", what, name);
	loader_report(l, SEVERITY_MISTAKE, at, message);
}

/* The worker must not read what it writes: each record would beget the next. And a dead letter has
 * a topic of its own: it could not be told from what is written for the same command. */
static void check_topics(struct loader *l)
{
	const struct config_topics *t = &l->config->topics;
	const struct {
		enum option_position at;
		const char *topic, *other, *name; /* 'name' is that of 'other' */
	} pairs[] = {
		{ OPTION_AT_topics_replies, t->replies, t->commands, "commands" },
		{ OPTION_AT_topics_dead_letters, t->dead_letters, t->commands, "commands" },
		{ OPTION_AT_topics_dead_letters, t->dead_letters, t->replies, "replies" },
		{ OPTION_AT_topics_outcomes, t->outcomes, t->commands, "commands" },
		{ OPTION_AT_topics_outcomes, t->outcomes, t->dead_letters, "dead_letters" },
		{ OPTION_AT_topics_notifications, t->notifications, t->commands, "commands" },
		{ OPTION_AT_topics_notifications, t->notifications, t->replies, "replies" },
		{ OPTION_AT_topics_notifications, t->notifications, t->dead_letters,
		  "dead_letters" },
		{ OPTION_AT_topics_notifications, t->notifications, t->outcomes, "outcomes" },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (same(pairs[i].topic, pairs[i].other))
			report_topic(l, pairs[i].at, "is the same topic as", pairs[i].name);
	}
}

/* What a command may name as its reply topic, by the same rules. */
static void check_reply_topics(struct loader *l)
{
	const struct config_topics *t = &l->config->topics;
	const struct config_names *allowed = &l->config->commands.reply_topics;
	const struct {
		const char *topic, *name;
	} others[] = {
		{ t->commands, "commands" },
		{ t->dead_letters, "dead_letters" },
		{ t->notifications, "notifications" },
	};

	for (size_t i = 0; i < allowed->count; i++) {
		for (size_t j = 0; j < sizeof(others) / sizeof(*others); j++) {
			if (same(allowed->list[i], others[j].topic))
				report_topic(l, OPTION_AT_commands_reply_topics,
				             "contains the topic of", others[j].name);
		}
	}
}

static void check_rate(struct loader *l)
{
	const struct config *c = l->config;
	double most = c->rate.application_burst + c->rate.application * GRAPH_SECONDS;
	bool burst = loader_is_given(l, OPTION_AT_rate_application_burst);

	if (most > GRAPH_REQUESTS)
		loader_report(
		    l, SEVERITY_WARNING,
		    burst ? OPTION_AT_rate_application_burst : OPTION_AT_rate_application,
		    "rate.application_burst + 15 x rate.application is over 50000, the number "
		    "of requests that Graph allows an application in 15 s");
}

static void check_relations(struct loader *l)
{
	const struct config *c = l->config;

	if (c->retry.base.us > c->retry.cap.us)
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_retry_cap,
		              "is shorter than retry.base");
	if (c->graph.connect_timeout.us > c->graph.timeout.us)
		loader_report(l, SEVERITY_WARNING, OPTION_AT_graph_connect_timeout,
		              "is longer than graph.timeout, which ends the request first");
	if (c->queue.offsets_per_partition < c->queue.commands_per_partition)
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_queue_offsets_per_partition,
		              "is less than queue.commands_per_partition");
}

void loader_finish(struct loader *l)
{
	loader_choose_credential(l);
	check_required(l);
	fetch_secrets(l);
	loader_check_credential(l);
	loader_set_cloud(l);
	check_url(l, OPTION_AT_graph_url, l->config->graph.url);
	check_url(l, OPTION_AT_login_url, l->config->login.url);
	set_scope(l->config);
	set_tenants(l);
	set_transactional_id(l->config);
	check_exactly_once(l);
	check_topics(l);
	check_reply_topics(l);
	check_rate(l);
	check_relations(l);
}
