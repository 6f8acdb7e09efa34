/* Reading rules and finding the one that applies. */
#include "simulator/rules.h"

#include "simulator/fields.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define RULES_MAX 10000
#define HOUR_MS   INT64_C(3600000)
#define HUGE_MAX  (INT64_C(1) << 34)

#define TEXT(name)                                                                                 \
	{                                                                                          \
#name, FIELD_TEXT, offsetof(struct rule, name), 0, 0                               \
	}
#define BOOL(name)                                                                                 \
	{                                                                                          \
#name, FIELD_BOOL, offsetof(struct rule, name), 0, 0                               \
	}
#define INTEGER(name, min, max)                                                                    \
	{                                                                                          \
#name, FIELD_INT, offsetof(struct rule, name), min, max                            \
	}

static const struct field fields[] = {
	TEXT(name),
	TEXT(on),
	TEXT(tenant),
	TEXT(call),
	TEXT(call_prefix),
	TEXT(identity),
	INTEGER(participants_above, -1, 1000),
	INTEGER(nth, 0, INT64_MAX),
	INTEGER(skip, 0, INT64_MAX),
	INTEGER(count, -1, INT64_MAX),
	{ "probability", FIELD_REAL, offsetof(struct rule, probability), 0, 1 },
	INTEGER(seed, 0, INT64_MAX),
	INTEGER(status, 200, 999),
	BOOL(effect),
	TEXT(code),
	TEXT(message),
	TEXT(form),
	TEXT(retry_after),
	INTEGER(retry_after_date_s, -1, 86400),
	TEXT(body),
	TEXT(content_type),
	TEXT(reset),
	INTEGER(delay_ms, 0, HOUR_MS),
	INTEGER(jitter_ms, 0, HOUR_MS),
	INTEGER(drip_bytes, 0, 1 << 20),
	INTEGER(drip_ms, 0, HOUR_MS),
	INTEGER(cut_at, -1, HUGE_MAX),
	INTEGER(huge_bytes, 0, HUGE_MAX),
	BOOL(chunked),
	BOOL(location),
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

void rules_init(struct rules *rules)
{
	rules->first = NULL;
}

void rule_release(struct rule *rule)
{
	if (!rule || --rule->references > 0)
		return;
	fields_close(fields, N_FIELDS, rule);
	free(rule);
}

void rules_clear(struct rules *rules)
{
	struct rule *rule, *next;

	DL_FOREACH_SAFE (rules->first, rule, next) {
		DL_DELETE(rules->first, rule);
		rule_release(rule);
	}
}

void rules_close(struct rules *rules)
{
	rules_clear(rules);
}

/* Find 'text' among 'n' names; NULL is the first of them. Returns -1 if it is none. */
static int choose(const char *text, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (!text || strcmp(text, names[i]) == 0)
			return i;
	return -1;
}

static int interpret(struct rule *rule, struct err *err)
{
	static const char *const forms[] = { "innerError", "innererror", "wrapped", "bare" };
	static const char *const resets[] = { "none", "before", "after" };
	int form = choose(rule->form, forms, 4);
	int reset = choose(rule->reset, resets, 3);

	if (form < 0)
		return err_set(err, "form: must be innerError, innererror, wrapped or bare");
	if (reset < 0)
		return err_set(err, "reset: must be none, before or after");
	rule->error_form = (enum rule_form)form;
	rule->reset_when = (enum rule_reset)reset;
	rule->any_route = rule->on && strcmp(rule->on, "any") == 0;
	rule->route = ROUTE_INVITE;
	if (rule->on && !rule->any_route && !route_parse(rule->on, &rule->route))
		return err_set(err,
		               "on: must be invite, token, operation, operations, participants, "
		               "other or any");
	if (rule->drip_bytes > 0 && rule->drip_ms == 0)
		return err_set(err, "drip_ms: needed with drip_bytes");
	random_init(&rule->random, (uint64_t)rule->seed);
	return 0;
}

static struct rule *read_rule(const json_t *object, struct err *err)
{
	struct rule *rule = calloc(1, sizeof *rule);

	if (!rule) {
		err_set(err, "out of memory");
		return NULL;
	}
	rule->references = 1;
	rule->participants_above = -1;
	rule->count = -1;
	rule->probability = 1;
	rule->retry_after_date_s = -1;
	rule->cut_at = -1;
	rule->location = true;
	if (fields_read(fields, N_FIELDS, object, rule, err) < 0 || interpret(rule, err) < 0) {
		rule_release(rule);
		return NULL;
	}
	return rule;
}

int rules_add(struct rules *rules, const json_t *list, struct err *err)
{
	struct rules added = { NULL };
	json_t *object;
	size_t i;

	if (json_is_object(list))
		list = json_object_get(list, "rules");
	if (!json_is_array(list) || json_array_size(list) > RULES_MAX)
		return err_set(err, "rules: must be an array of at most %d rules", RULES_MAX);
	json_array_foreach(list, i, object)
	{
		struct rule *rule = read_rule(object, err);

		if (!rule) {
			rules_clear(&added);
			return err_wrap(err, "rules[%zu]", i);
		}
		DL_APPEND(added.first, rule);
	}
	DL_CONCAT(rules->first, added.first);
	return 0;
}

json_t *rules_write(const struct rules *rules)
{
	json_t *list = json_array();
	struct rule *rule;

	DL_FOREACH (rules->first, rule) {
		json_t *object = fields_write(fields, N_FIELDS, rule);

		if (rule->status == 0)
			json_object_del(object, "status");
		json_object_set_new(object, "fitting", json_integer(rule->fitting));
		json_object_set_new(object, "applied", json_integer(rule->applied));
		json_array_append_new(list, object);
	}
	return json_pack("{s:o}", "rules", list);
}

static bool has_identity(const struct exchange *exchange, const char *id)
{
	for (size_t i = 0; i < exchange->n_invited; i++)
		if (exchange->invited[i].id && strcmp(exchange->invited[i].id, id) == 0)
			return true;
	return false;
}

static bool fits(const struct rule *rule, const struct exchange *exchange)
{
	struct bytes call = exchange->call_id;

	if (!rule->any_route && rule->route != exchange->route)
		return false;
	if (rule->tenant && !bytes_equal_text(exchange->tenant, rule->tenant))
		return false;
	if (rule->call && !bytes_equal_text(call, rule->call))
		return false;
	if (rule->call_prefix) {
		size_t size = strlen(rule->call_prefix);

		if (call.size < size ||
		    (size > 0 && memcmp(call.data, rule->call_prefix, size) != 0))
			return false;
	}
	if (rule->identity && !has_identity(exchange, rule->identity))
		return false;
	return rule->participants_above < 0 ||
	       (int64_t)exchange->n_invited > rule->participants_above;
}

/* Count a request that fits, and tell whether it is one of those that are meant. */
static bool applies(struct rule *rule)
{
	/* 53 random bits fill the mantissa of a double in [0, 1). */
	double draw = (double)(random_next(&rule->random) >> 11) / 9007199254740992.0;

	rule->fitting++;
	if (rule->nth > 0 && rule->fitting != rule->nth)
		return false;
	if (rule->fitting <= rule->skip)
		return false;
	if (rule->count >= 0 && rule->applied >= rule->count)
		return false;
	return draw < rule->probability;
}

struct rule *rules_match(struct rules *rules, const struct exchange *exchange)
{
	struct rule *rule;

	DL_FOREACH (rules->first, rule) {
		if (!fits(rule, exchange) || !applies(rule))
			continue;
		rule->applied++;
		rule->references++;
		return rule;
	}
	return NULL;
}
