/* The way of a request through the simulator. */
#include "simulator/exchange.h"

#include "simulator/answers.h"
#include "simulator/control.h"
#include "simulator/invites.h"
#include "simulator/simulator.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 8

static const char *const route_names[ROUTE_COUNT] = {
	[ROUTE_OTHER] = "other",         [ROUTE_TOKEN] = "token",
	[ROUTE_INVITE] = "invite",       [ROUTE_OPERATIONS] = "operations",
	[ROUTE_OPERATION] = "operation", [ROUTE_PARTICIPANTS] = "participants",
	[ROUTE_CONTROL] = "control",
};

const char *route_name(enum route route)
{
	return route_names[route];
}

bool route_parse(const char *name, enum route *ret)
{
	for (int i = 0; i < ROUTE_COUNT; i++) {
		if (strcmp(route_names[i], name) != 0)
			continue;
		*ret = (enum route)i;
		return true;
	}
	return false;
}

/* Cut the path at its slashes, without its query. Returns the number of segments, 0 if there are
 * too many. */
static size_t split(const char *path, struct bytes segments[static SEGMENTS_MAX])
{
	const char *end = path + strcspn(path, "?");
	size_t n = 0;

	while (path < end && *path == '/') {
		const char *next = memchr(path + 1, '/', (size_t)(end - path - 1));

		if (!next)
			next = end;
		if (n == SEGMENTS_MAX)
			return 0;
		segments[n++] = (struct bytes){ path + 1, (size_t)(next - path - 1) };
		path = next;
	}
	return path == end ? n : 0;
}

static enum route find_call_route(struct exchange *exchange, const struct bytes *s, size_t n)
{
	exchange->call_id = s[3];
	if (n == 6 && bytes_equal_text(s[4], "participants") && bytes_equal_text(s[5], "invite"))
		return ROUTE_INVITE;
	if (n == 5 && bytes_equal_text(s[4], "participants"))
		return ROUTE_PARTICIPANTS;
	if (n == 5 && bytes_equal_text(s[4], "operations"))
		return ROUTE_OPERATIONS;
	if (n == 6 && bytes_equal_text(s[4], "operations")) {
		exchange->operation_id = s[5];
		return ROUTE_OPERATION;
	}
	exchange->call_id = (struct bytes){ 0 };
	return ROUTE_OTHER;
}

static enum route find_route(struct exchange *exchange)
{
	struct bytes s[SEGMENTS_MAX];
	size_t n = split(exchange->path, s);

	if (n >= 2 && bytes_equal_text(s[0], "control"))
		return ROUTE_CONTROL;
	if (n == 4 && bytes_equal_text(s[1], "oauth2") && bytes_equal_text(s[2], "v2.0") &&
	    bytes_equal_text(s[3], "token")) {
		exchange->tenant = s[0];
		return ROUTE_TOKEN;
	}
	if (n == 4 && bytes_equal_text(s[0], "metadata") && bytes_equal_text(s[1], "identity") &&
	    bytes_equal_text(s[2], "oauth2") && bytes_equal_text(s[3], "token")) {
		exchange->route_is_identity = true;
		return ROUTE_TOKEN;
	}
	if (n >= 5 && bytes_equal_text(s[0], "v1.0") && bytes_equal_text(s[1], "communications") &&
	    bytes_equal_text(s[2], "calls") && s[3].size > 0)
		return find_call_route(exchange, s, n);
	return ROUTE_OTHER;
}

struct exchange *exchange_new(struct simulator *simulator, struct MHD_Connection *connection,
                              const char *path)
{
	struct exchange *exchange = calloc(1, sizeof *exchange);

	if (!exchange)
		return NULL;
	exchange->path = strdup(path);
	if (!exchange->path) {
		free(exchange);
		return NULL;
	}
	exchange->simulator = simulator;
	exchange->connection = connection;
	exchange->sequence = ++simulator->requests;
	exchange->arrived = simulator_now();
	exchange->arrived_wall = simulator_wall();
	exchange->end = END_LOST;
	buffer_init(&exchange->body, EXCHANGE_MAX_BODY);
	/* Echoed texts can grow sixfold as JSON. */
	buffer_init(&exchange->answer.body, (size_t)8 * EXCHANGE_MAX_BODY);
	buffer_init(&exchange->answer.location, EXCHANGE_MAX_BODY);
	random_uuid(&simulator->random, exchange->answer.request_id);
	exchange->route = find_route(exchange);
	simulator->in_flight += exchange->route != ROUTE_CONTROL;
	return exchange;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
	return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

void exchange_begin(struct exchange *exchange, const char *method, const char *version)
{
	struct call *call;

	exchange->stage = EXCHANGE_BODY;
	exchange->method = method;
	exchange->version = version;
	exchange->client_request_id = exchange_header(exchange, "client-request-id");
	if (exchange->route != ROUTE_TOKEN)
		tokens_identify(exchange);
	if (exchange->route != ROUTE_INVITE || strcmp(method, "POST") != 0)
		return;
	call = calls_take(&exchange->simulator->calls, exchange->tenant, exchange->call_id);
	if (!call)
		return;
	exchange->call = call;
	exchange->overlap = call->in_flight > 0;
	call->in_flight++;
}

static void handle_get(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	const struct settings *settings = &simulator->settings;
	const struct call *call =
	    calls_find(&simulator->calls, exchange->tenant, exchange->call_id);
	const struct operation *operation;
	struct buffer *body = &exchange->answer.body;

	if (strcmp(exchange->method, "GET") != 0) {
		answers_refuse(exchange, 405, NULL, NULL);
		return;
	}
	exchange->answer.status = 200;
	if (exchange->route == ROUTE_PARTICIPANTS) {
		calls_write_roster(call, settings, exchange->arrived, body);
		return;
	}
	if (exchange->route == ROUTE_OPERATIONS) {
		calls_write_operations(call, settings, exchange->arrived, body);
		return;
	}
	operation = calls_find_operation(&simulator->calls, call, exchange->operation_id);
	if (!operation || settings->operations_gone)
		answers_refuse(exchange, 404, "8525", "Operation not found.");
	else
		calls_write_operation(operation, settings, exchange->arrived, body);
}

/* What the service does when no rule stands in the way. */
static void perform(struct exchange *exchange)
{
	switch (exchange->route) {
	case ROUTE_TOKEN:
		tokens_handle(exchange);
		break;
	case ROUTE_INVITE:
		invites_handle(exchange);
		break;
	case ROUTE_OPERATIONS:
	case ROUTE_OPERATION:
	case ROUTE_PARTICIPANTS:
		handle_get(exchange);
		break;
	case ROUTE_OTHER:
	case ROUTE_CONTROL:
	case ROUTE_COUNT:
		answers_refuse(exchange, 404, "ResourceNotFound", "No such resource.");
		break;
	}
}

static bool needs_token(enum route route)
{
	return route != ROUTE_TOKEN && route != ROUTE_OTHER;
}

void exchange_handle(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	const struct rule *rule;

	exchange->answer.content_type = "application/json";
	if (!buffer_ok(&exchange->body)) {
		answers_refuse(exchange, 413, NULL, NULL);
		return;
	}
	if (exchange->route == ROUTE_CONTROL) {
		control_handle(exchange);
		return;
	}
	simulator->invites += exchange->route == ROUTE_INVITE;
	if (exchange->route == ROUTE_INVITE)
		invites_parse(exchange);
	if (needs_token(exchange->route) && !tokens_check(exchange))
		return;
	exchange->rule = rules_match(&simulator->rules, exchange);
	rule = exchange->rule;
	if (rule && rule->reset_when == RESET_BEFORE)
		return;
	if (!rule || rule->status == 0 || rule->effect)
		perform(exchange);
	if (rule && rule->status != 0)
		answers_by_rule(exchange);
	answers_adorn(exchange);
}

static void release(struct exchange *exchange)
{
	json_decref(exchange->json);
	rule_release(exchange->rule);
	buffer_close(&exchange->body);
	buffer_close(&exchange->answer.body);
	buffer_close(&exchange->answer.location);
	free(exchange->invited);
	free(exchange->assertion);
	free(exchange->path);
	free(exchange);
}

void exchange_conclude(struct exchange *exchange, enum exchange_end end)
{
	struct simulator *simulator = exchange->simulator;

	if (exchange->concluded)
		return;
	exchange->concluded = true;
	exchange->end = end;
	journal_add(&simulator->journal, exchange);
	simulator->in_flight -= exchange->route != ROUTE_CONTROL;
	if (exchange->call) {
		exchange->call->in_flight--;
		calls_put(&simulator->calls, exchange->call);
	}
}

void exchange_end(struct exchange *exchange, enum exchange_end end)
{
	exchange_conclude(exchange, end);
	release(exchange);
}
