/* The control API. */
#include "simulator/control.h"

#include "simulator/answers.h"
#include "simulator/simulator.h"

#include <string.h>

/* Refuse a control request with a reason for the one who wrote the test. */
static void refuse(struct exchange *exchange, int status, const char *problem)
{
	answers_json(exchange, status, json_pack("{s:s}", "problem", problem));
}

static void show_rules(struct exchange *exchange)
{
	answers_json(exchange, 200, rules_write(&exchange->simulator->rules));
}

static void add_rules(struct exchange *exchange)
{
	struct bytes body = buffer_bytes(&exchange->body);
	struct err err = { "" };
	json_error_t error;
	json_t *list = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, &error);

	if (!list) {
		refuse(exchange, 400, error.text);
		return;
	}
	if (rules_add(&exchange->simulator->rules, list, &err) < 0)
		refuse(exchange, 400, err.msg);
	else
		show_rules(exchange);
	json_decref(list);
}

static void replace_rules(struct exchange *exchange)
{
	struct rules *rules = &exchange->simulator->rules;
	struct rules before = *rules;

	rules_init(rules);
	add_rules(exchange);
	if (exchange->answer.status == 200)
		rules_close(&before);
	else
		*rules = before;
}

static void clear_rules(struct exchange *exchange)
{
	rules_clear(&exchange->simulator->rules);
	show_rules(exchange);
}

static void show_settings(struct exchange *exchange)
{
	answers_json(exchange, 200, settings_write(&exchange->simulator->settings));
}

static void change_settings(struct exchange *exchange)
{
	struct bytes body = buffer_bytes(&exchange->body);
	struct err err = { "" };
	json_error_t error;
	json_t *object = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		refuse(exchange, 400, error.text);
	else if (settings_read(&exchange->simulator->settings, object, &err) < 0)
		refuse(exchange, 400, err.msg);
	else
		show_settings(exchange);
	json_decref(object);
}

static void change_credentials(struct exchange *exchange)
{
	struct bytes body = buffer_bytes(&exchange->body);
	struct err err = { "" };
	json_t *object = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);

	if (credentials_read(&exchange->simulator->credentials, object, &err) < 0)
		refuse(exchange, 400, err.msg);
	else
		answers_json(exchange, 200, json_object());
	json_decref(object);
}

static void revoke_tokens(struct exchange *exchange)
{
	int64_t n = tokens_revoke(&exchange->simulator->tokens, exchange->arrived);

	answers_json(exchange, 200, json_pack("{s:I}", "revoked", (json_int_t)n));
}

static void show_state(struct exchange *exchange)
{
	const struct simulator *s = exchange->simulator;
	json_t *state = json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "requests", (json_int_t)s->requests,
	    "invites", (json_int_t)s->invites, "effects", (json_int_t)s->effects, "in_flight",
	    (json_int_t)s->in_flight, "connections", (json_int_t)s->server.connections,
	    "tokens_issued", (json_int_t)s->tokens.issued, "calls",
	    (json_int_t)HASH_COUNT(s->calls.by_key), "operations",
	    (json_int_t)HASH_COUNT(s->calls.by_operation), "journal_lost",
	    (json_int_t)s->journal.lost);

	answers_json(exchange, 200, state);
}

static void flush(struct exchange *exchange)
{
	journal_flush(&exchange->simulator->journal);
	show_state(exchange);
}

static void forget_calls(struct exchange *exchange)
{
	calls_clear(&exchange->simulator->calls);
	show_state(exchange);
}

static const struct {
	const char *method;
	const char *path;
	void (*handle)(struct exchange *exchange);
} actions[] = {
	{ "GET", "/control/rules", show_rules },
	{ "PUT", "/control/rules", replace_rules },
	{ "POST", "/control/rules", add_rules },
	{ "DELETE", "/control/rules", clear_rules },
	{ "GET", "/control/settings", show_settings },
	{ "PATCH", "/control/settings", change_settings },
	{ "PATCH", "/control/credentials", change_credentials },
	{ "DELETE", "/control/tokens", revoke_tokens },
	{ "DELETE", "/control/calls", forget_calls },
	{ "GET", "/control/state", show_state },
	{ "POST", "/control/flush", flush },
};

void control_handle(struct exchange *exchange)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(actions[i].method, exchange->method) != 0 ||
		    strcmp(actions[i].path, exchange->path) != 0)
			continue;
		actions[i].handle(exchange);
		return;
	}
	refuse(exchange, 404, "no such action; see the README of the simulator");
}
