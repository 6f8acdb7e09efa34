/* A call's next request, begun early: see successor.h. */
#include "worker/core/successor.h"

#include "worker/core/departure.h"
#include "worker/core/scheduler.h"
#include "worker/core/settle.h"

static struct invite *successor_of(const struct call *call)
{
	return call->invite ? call->invite->successor : NULL;
}

/* True when the call could have one, as far as it is concerned. */
static bool may_have(const struct call *call)
{
	return call->invite && call->invite->state == INVITE_IN_FLIGHT &&
	       !call->invite->successor && call->doubts == 0 && call->split_left == 0 &&
	       call->partition->state == PARTITION_OWNED;
}

/* True when the application has room for it, and nothing better to do. */
static bool is_allowed(const struct engine *e, const struct application *a)
{
	return application_may_begin(e, a) && !application_first(a) &&
	       !application_is_held(a, e->now);
}

void successor_begin(struct engine *e, struct call *call)
{
	struct batch batch;

	if (!e->policy->exactly_once || !may_have(call) || !is_allowed(e, application_of(e, call)))
		return;
	batch_choose_next(e->policy, call, &batch);
	if (batch.n > 0 && batch.is_closed && scheduler_reserve(e, call))
		call->invite->successor = scheduler_begin(e, call, &batch);
}

/* True when a command of high priority would go first, were it chosen now. */
static bool is_overtaken(const struct call *call)
{
	const struct invite *successor = successor_of(call);
	const struct job *first;

	if (!successor || job_command(successor->batch.items[0].job)->high_priority)
		return false;
	first = call_first_new(call);
	return first && job_command(first)->high_priority;
}

void successor_update(struct engine *e, struct call *call)
{
	if (is_overtaken(call))
		successor_drop(e, call);
	successor_begin(e, call);
}

bool successor_may_follow(const struct engine *e, const struct call *call)
{
	return call->doubts == 0 && call->next_expiry.us > e->wall.us;
}

void successor_follow(struct engine *e, struct invite *invite)
{
	if (invite->state == INVITE_MARKED)
		departure_add(e, invite);
}

void successor_drop(struct engine *e, struct call *call)
{
	struct invite *successor = successor_of(call);

	if (!successor)
		return;
	trace(e, "%s: request is taken back", call->id);
	settle_unsent(e, successor);
}
