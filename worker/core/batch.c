/* Who travels together: see batch.h. */
#include "worker/core/batch.h"

#include "worker/core/partition.h"

static const struct participant *participant_of(const struct job *job, size_t index)
{
	return command_participant(job_command(job), index);
}

/* True when the participant shares its request with nobody. */
static bool is_solo(const struct policy *policy, const struct call *call, const struct job *job,
                    size_t index)
{
	switch (participant_of(job, index)->kind) {
	case PARTICIPANT_REPLACE:
	case PARTICIPANT_MOVE:
		return true;
	case PARTICIPANT_PHONE:
		if (policy->phones_alone)
			return true;
		break;
	case PARTICIPANT_PLAIN:
		break;
	}
	return call->is_single || job->results[index].is_alone || policy->batch_max == 1;
}

static bool same_context(const struct job *a, const struct job *b)
{
	if (a == b)
		return true;
	if (job_command(a)->has_context != job_command(b)->has_context)
		return false;
	return !job_command(a)->has_context ||
	       bytes_equal(command_text(job_command(a), job_command(a)->client_context),
	                   command_text(job_command(b), job_command(b)->client_context));
}

static struct identity identity_of(const struct job *job, size_t index)
{
	return command_identity(job_command(job), index);
}

static bool has_identity(const struct batch *batch, struct identity identity)
{
	for (size_t i = 0; i < batch->n; i++) {
		const struct batch_item *item = &batch->items[i];

		if (identity_equal(identity_of(item->job, item->index), identity))
			return true;
	}
	return false;
}

/* True when a participant before 'index' of the same command is the same one. */
static bool repeats_identity(const struct job *job, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (identity_equal(identity_of(job, i), identity_of(job, index)))
			return true;
	return false;
}

/* True when the whole of 'job' fits behind what is chosen; a job that does not travels alone. */
static bool fits_whole(const struct policy *policy, const struct call *call,
                       const struct batch *batch, const struct job *job)
{
	if (batch->n + job->n_results > policy->batch_max)
		return false;
	for (size_t i = 0; i < job->n_results; i++) {
		if (is_solo(policy, call, job, i) || job->results[i].delivery != DELIVERY_NEW ||
		    has_identity(batch, identity_of(job, i)) || repeats_identity(job, i))
			return false;
	}
	return true;
}

/* Add participants of 'job' for as long as they fit. */
static void take(const struct policy *policy, const struct call *call, struct batch *batch,
                 struct job *job)
{
	size_t before = batch->n;

	for (size_t i = job->first_new; i < job->n_results && !batch->is_closed; i++) {
		bool solo = is_solo(policy, call, job, i);

		if (job->results[i].delivery != DELIVERY_NEW)
			continue;
		if (batch->n == policy->batch_max || (solo && batch->n > 0) ||
		    has_identity(batch, identity_of(job, i))) {
			batch->is_closed = true;
			break;
		}
		batch->items[batch->n++] = (struct batch_item){ .job = job, .index = i };
		batch->is_closed = solo || batch->n == policy->batch_max;
	}
	if (batch->n > before)
		batch->n_jobs++;
}

/* True when every participant of 'job' is in the batch. */
static bool is_whole(const struct batch *batch, const struct job *job)
{
	return batch->n == job->n_results;
}

wall_t batch_expiry(const struct batch *batch)
{
	wall_t first = { INT64_MAX };

	for (size_t i = 0; i < batch->n; i++) {
		const struct command *command = job_command(batch->items[i].job);

		if (command->has_expiry && command->expires_at.us < first.us)
			first = command->expires_at;
	}
	return first;
}

/* Choose 'first' and what may travel with it. */
static void choose_from(const struct policy *policy, const struct call *call, struct job *first,
                        struct batch *ret)
{
	struct job *job;

	*ret = (struct batch){ 0 };
	take(policy, call, ret, first);
	if (!is_whole(ret, first))
		ret->is_closed = true;
	for (job = call_after(call, first); job && !ret->is_closed; job = call_after(call, job)) {
		if (same_context(first, job) && fits_whole(policy, call, ret, job))
			take(policy, call, ret, job);
		else
			ret->is_closed = true;
	}
}

void batch_choose(const struct policy *policy, const struct call *call, struct batch *ret)
{
	choose_from(policy, call, call_first(call), ret);
}

void batch_choose_next(const struct policy *policy, const struct call *call, struct batch *ret)
{
	struct job *job = call_first_new(call);

	if (job && !job_is_started(job))
		choose_from(policy, call, job, ret);
	else
		*ret = (struct batch){ 0 };
}
