/* Calls that are over, in the order in which Graph said so: see verdict.h. */
#include "worker/core/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

static void count(struct engine *e, int by)
{
	e->verdicts.n = (uint32_t)((int)e->verdicts.n + by);
	metrics_set(e->metrics, METRIC_calls_over, e->verdicts.n);
}

void verdict_forget(struct engine *e, struct call *call)
{
	struct verdict *verdict = call->verdict;

	if (!verdict)
		return;
	DL_DELETE(e->verdicts.first, verdict);
	call->verdict = NULL;
	free(verdict);
	count(e, -1);
}

/* The longest known one, and with it its call, if nothing else keeps that. */
static void forget_oldest(struct engine *e)
{
	struct call *oldest = e->verdicts.first->call;

	verdict_forget(e, oldest);
	if (oldest->state != CALL_BUSY)
		call_update(e, oldest);
}

void verdict_remember(struct engine *e, struct call *call)
{
	duration_t memory = e->policy->call_over_memory;
	struct verdict *verdict;

	verdict_forget(e, call);
	if (memory.us == 0)
		return;
	verdict = malloc(sizeof(*verdict));
	if (!verdict) {
		e->effects.out_of_memory = true;
		return;
	}
	*verdict = (struct verdict){ .call = call, .until = instant_add(e->now, memory) };
	call->verdict = verdict;
	DL_APPEND(e->verdicts.first, verdict);
	count(e, 1);
	trace(e, "%s: is over, which is remembered for %lld ms", call->id,
	      (long long)duration_to_ms(memory));
	if (e->verdicts.n > e->policy->verdicts)
		forget_oldest(e);
}

void verdict_explain(const struct engine *e, const struct call *call,
                     char message[static OUTCOME_MESSAGE_SIZE])
{
	int64_t ago_us =
	    e->policy->call_over_memory.us - instant_since(call->verdict->until, e->now).us;
	char date[WALL_TEXT_SIZE];

	wall_format((wall_t){ e->wall.us - ago_us }, date);
	snprintf(message, OUTCOME_MESSAGE_SIZE,
	         "not sent: Graph said at %s that there is no such call (any more)", date);
}
