/* A Graph that remembers: see graph.h. */
#include "engine/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void graph_close(struct graph *g)
{
	free(g->invites);
	*g = (struct graph){ 0 };
}

static const char *text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

unsigned graph_apply(struct graph *g, const char *call, int32_t partition, const json_t *body)
{
	const json_t *participants = json_object_get(body, "participants"), *one;
	size_t i;

	g->n_operations++;
	json_array_foreach(participants, i, one)
	{
		const json_t *set = json_object_get(one, "identity");
		const json_t *phone = json_object_get(set, "phone");
		struct graph_invite *invite;

		g->invites = realloc(g->invites, (g->n + 1) * sizeof(*g->invites));
		assert_non_null(g->invites);
		invite = &g->invites[g->n++];
		*invite = (struct graph_invite){ .partition = partition,
			                         .is_phone = phone != NULL,
			                         .operation = g->n_operations };
		snprintf(invite->call, sizeof(invite->call), "%s", call);
		snprintf(invite->tag, sizeof(invite->tag), "%s", text_of(one, "tag"));
		snprintf(invite->who, sizeof(invite->who), "%s",
		         text_of(phone ? phone : json_object_get(set, "user"), "id"));
		snprintf(invite->context, sizeof(invite->context), "%s",
		         text_of(body, "clientContext"));
	}
	return g->n_operations;
}

unsigned graph_count(const struct graph *g, int32_t partition, int64_t tag, size_t index)
{
	unsigned n = 0;
	char text[32];

	snprintf(text, sizeof(text), "%lld/%zu", (long long)tag, index);
	for (size_t i = 0; i < g->n; i++)
		n += g->invites[i].partition == partition && strcmp(g->invites[i].tag, text) == 0;
	return n;
}

static json_t *operation_json(const struct graph_invite *invite)
{
	char id[24];

	snprintf(id, sizeof(id), "op-%u", invite->operation);
	return json_pack("{s:s, s:s, s:s}", "id", id, "status", "completed", "clientContext",
	                 invite->context);
}

static json_t *member_json(const struct graph_invite *invite)
{
	return json_pack("{s:{s:{s:{s:s}}}}", "info", "identity",
	                 invite->is_phone ? "phone" : "user", "id", invite->who);
}

char *graph_body(const struct graph *g, const char *call, enum look_kind kind)
{
	json_t *values = json_array();
	json_t *root = json_pack("{s:o}", "value", values);
	unsigned last = 0;
	char *text;

	for (size_t i = 0; i < g->n; i++) {
		const struct graph_invite *invite = &g->invites[i];

		if (strcmp(invite->call, call) != 0)
			continue;
		if (kind == LOOK_ROSTER)
			json_array_append_new(values, member_json(invite));
		else if (invite->operation != last)
			json_array_append_new(values, operation_json(invite));
		last = invite->operation;
	}
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}
