/* A Graph that can fail: see cloud.h. */
#include "simulation/cloud.h"

#include "simulation/world.h"

#include <stdlib.h>
#include <string.h>

/* A request that the worker has given up is over so much after it left. */
#define LAST_EFFECT_US (HTTP_TIMEOUT_US - 500000)

void cloud_close(struct cloud *c)
{
	free(c->operations);
}

/* Times of an answer that comes as it should. */
static void be_quick(struct world *w, struct cloud_fate *ret)
{
	*ret = (struct cloud_fate){ .effect_us = world_between(w, 1000, 50000), .status = 200 };
	ret->answer_us = ret->effect_us + world_between(w, 1000, 100000);
}

static void be_slow(struct world *w, struct cloud_fate *ret)
{
	ret->effect_us = world_between(w, 1000, LAST_EFFECT_US);
	ret->answer_us = ret->effect_us + world_between(w, 1000, 2 * HTTP_TIMEOUT_US);
}

static void refuse(struct cloud_fate *ret, int status, const char *code)
{
	ret->status = status;
	ret->graph_code = code;
	ret->has_effect = false;
}

static void break_fate(struct world *w, unsigned n, struct cloud_fate *ret)
{
	static const char *const pauses[] = { "0", "0.4", "1", "3", "12" };

	switch (world_below(w, 11)) {
	case 0:
		be_slow(w, ret);
		break;
	case 1: /* Lost on its way */
		ret->effect_us = PLAN_NEVER;
		ret->answer_us = PLAN_NEVER;
		break;
	case 2: /* The answer is lost */
		be_slow(w, ret);
		ret->answer_us = PLAN_NEVER;
		break;
	case 3:
	case 4:
		refuse(ret, 429, NULL);
		ret->retry_after = world_below(w, 3) ? pauses[world_below(w, 5)] : NULL;
		break;
	case 5:
		refuse(ret, 503, NULL);
		ret->retry_after = pauses[world_below(w, 5)];
		break;
	case 6: /* An error that says nothing of what was done */
		ret->status = world_below(w, 2) ? 503 : 504;
		ret->has_effect = world_below(w, 2);
		break;
	case 7:
		refuse(ret, world_below(w, 3) ? 400 : 403, "7505");
		break;
	case 8:
		refuse(ret, n > 1 ? 400 : 409, NULL);
		break;
	case 9:
		refuse(ret, 404, "8522");
		break;
	default:
		refuse(ret, 401, NULL);
		break;
	}
}

void cloud_decide(struct world *w, unsigned call, unsigned n, struct cloud_fate *ret)
{
	be_quick(w, ret);
	ret->has_effect = true;
	if (w->cloud.is_over[call]) {
		refuse(ret, 404, "8522");
		return;
	}
	if (!world_is_faulty(w) || !world_chance(w, w->plan.graph_faults))
		return;
	break_fate(w, n, ret);
	if (ret->status == 404 && world_below(w, 3) == 0)
		w->cloud.is_over[call] = true;
	chronicle_fault(&w->chronicle, "graph", w->now_us, w->now_us + HTTP_TIMEOUT_US);
}

void cloud_decide_look(struct world *w, struct cloud_fate *ret)
{
	be_quick(w, ret);
	if (!world_is_faulty(w) || !world_chance(w, w->plan.graph_faults))
		return;
	break_fate(w, 1, ret);
	chronicle_fault(&w->chronicle, "look", w->now_us, w->now_us + HTTP_TIMEOUT_US);
}

size_t cloud_accept(struct cloud *c, const struct cloud_operation *operation)
{
	size_t n = c->n_operations;

	if ((n & (n - 1)) == 0) {
		c->operations = realloc(c->operations, (n ? 2 * n : 1) * sizeof(*c->operations));
		CHECK(c->operations);
	}
	c->operations[c->n_operations++] = *operation;
	return n;
}

void cloud_show(const struct cloud *c, unsigned call, enum look_kind kind, struct buffer *out)
{
	const char *comma = "";

	buffer_append_text(out, "{\"value\":[");
	for (size_t i = 0; i < c->n_operations; i++) {
		const struct cloud_operation *o = &c->operations[i];

		if (o->call != call)
			continue;
		if (kind == LOOK_OPERATIONS)
			buffer_printf(out, "%s{\"id\":\"op%zu\",\"clientContext\":\"%s\"}", comma,
			              i, o->context);
		for (unsigned k = 0; kind == LOOK_ROSTER && k < o->n; k++)
			buffer_printf(out,
			              "%s{\"info\":{\"identity\":{\"user\":{\"id\":\"u%u\"}}}}",
			              k ? "," : comma, o->identities[k]);
		comma = ",";
	}
	buffer_append_text(out, "]}");
}
