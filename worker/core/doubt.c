/* Evidence and its consequences: see doubt.h. */
#include "worker/core/doubt.h"

#include "worker/core/cancel.h"
#include "worker/core/evidence.h"
#include "worker/core/respond.h"
#include "worker/core/retry.h"

#include <stdio.h>

/* So often is Graph asked again when it does not answer the question. */
#define LOOKS_MAX 5

#define MESSAGE_SIZE 1024

/* One question, and what it is asked for. */
struct look {
	struct engine *e;
	struct call *call;
	struct evidence *evidence; /* NULL: nothing can be read */
	bool is_roster;
	bool has_one_request; /* The job that is looked at went in a single request */
};

/* The error of a participant of which nothing more is known than that it may have been sent; its
 * index. */
static int16_t add_error(struct engine *e, struct job *job, size_t index)
{
	static const char what[] =
	    "a worker before had begun to send it, and did not record what became of it";
	const struct command *command = job_command(job);
	char message[MESSAGE_SIZE];

	if (command->has_context) {
		struct bytes context = command_text(command, command->client_context);

		snprintf(message, sizeof(message), "%s; look for clientContext \"%.*s\"", what,
		         (int)context.size, context.data);
	} else {
		snprintf(
		    message, sizeof(message),
		    "%s; look for a clientContext that begins with \"iw:\" and names partition "
		    "%d and offset %lld, participant %zu",
		    what, job->partition->number, (long long)job->entry.offset, index);
	}
	return respond_add_error(e, job, REASON_UNKNOWN, message, NULL, 0);
}

static void inherit_settled(struct engine *e, struct job *job, size_t index, bool accepted)
{
	int16_t error;

	if (accepted) {
		job->results[index].delivery = DELIVERY_DOUBT;
		job->results[index].was_accepted = true;
		return;
	}
	error = respond_add_error(e, job, REASON_REFUSED,
	                          "Graph refused it when another worker had it", NULL, 0);
	job_decide(job, index, STATUS_FAILED, -1, error);
}

void doubt_inherit(struct engine *e, struct job *job, const struct map_entry *entry)
{
	const struct map_progress *progress = &entry->progress;
	size_t n = job->n_results;
	size_t settled = entry->state == MAP_PARTLY ? progress->settled : 0;
	size_t doubtful = entry->state == MAP_PARTLY ? settled + progress->in_flight : n;

	for (size_t i = 0; i < settled && i < n; i++)
		inherit_settled(e, job, i, progress->accepted[i / 8] >> (i % 8) & 1);
	for (size_t i = settled; i < doubtful && i < n; i++) {
		job->results[i].delivery = DELIVERY_DOUBT;
		job->results[i].unknown_error = add_error(e, job, i);
	}
	job->was_split = entry->state == MAP_PARTLY && settled < n;
	if (job_is_started(job))
		partition_activate(job);
}

static void note_evidence(struct job *job, enum job_evidence evidence)
{
	if (evidence > job->evidence)
		job->evidence = evidence;
}

/* The requests of a split command share its context, which then does not say which of them an
 * operation is. */
static bool went_at_once(const struct engine *e, const struct job *job)
{
	if (job->was_split)
		return false;
	for (size_t i = 0; i < job->n_results; i++) {
		const struct result *result = &job->results[i];

		if (result->delivery != DELIVERY_DOUBT ||
		    (job->n_results > 1 &&
		     command_participant(job_command(job), i)->kind != PARTICIPANT_PLAIN) ||
		    result->was_accepted != job->results[0].was_accepted)
			return false;
	}
	return job->n_results <= e->policy->batch_max;
}

/* Also when it is to be sent once more because nobody knows. */
static bool may_have_been_sent(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++)
		if (job->results[i].delivery != DELIVERY_NEW || job->results[i].unknown_error >= 0)
			return true;
	return false;
}

/* True when another command may have brought about what it asks for as well. */
static bool may_be_another(const struct job *job, const struct invited_entry *entry)
{
	const struct job *other;

	if (entry->offset == job->entry.offset)
		return false;
	other = (const struct job *)ledger_find(&job->partition->ledger, entry->offset);
	return !other || other->state != JOB_QUEUED || may_have_been_sent(other);
}

/* True when all commands are known that may have brought about the same. */
static bool are_others_known(const struct job *job)
{
	const struct partition *p = job->partition;

	return invited_is_complete(&p->invited, ledger_frontier(&p->ledger));
}

/* A caller's context proves something when one request alone had it. */
static bool is_context_unique(const struct look *l, const struct job *job)
{
	const struct invited *invited = &job->partition->invited;
	const struct invited_entry *entry;
	size_t at = 0;

	if (!l->has_one_request || !are_others_known(job))
		return false;
	while ((entry = invited_context(invited, job_command(job), &at)) != NULL)
		if (may_be_another(job, entry))
			return false;
	return true;
}

static bool search_operation(const struct look *l, const struct job *job, size_t index)
{
	struct engine *e = l->e;
	const struct command *command = job_command(job);
	struct bytes call_id = bytes_of(l->call->id);

	buffer_clear(&e->operation);
	if (command->has_context)
		return is_context_unique(l, job) &&
		       evidence_find_context(l->evidence,
		                             command_text(command, command->client_context),
		                             e->policy->graph_url, call_id, &e->operation);
	return evidence_find_own(l->evidence, buffer_bytes(&e->topic), job->partition->number,
	                         job->entry.offset, index, e->policy->graph_url, call_id,
	                         &e->operation);
}

/* True when an operation is found; it is in e->operation then. */
static bool find_operation(const struct look *l, const struct job *job, size_t index)
{
	bool is_found = search_operation(l, job, index);

	out_of_memory_if(l->e, !buffer_ok(&l->e->operation));
	return is_found;
}

/* The operation's place among the job's; participants of one request share it. */
static int16_t keep_operation(struct engine *e, struct job *job)
{
	const struct fragments *known = job_operations(job);
	int16_t last = (int16_t)(fragments_count(known) - 1);
	int16_t index;

	if (last >= 0 && bytes_equal_text(buffer_bytes(&e->operation), fragments_text(known, last)))
		return last;
	index = job_add_operation(job, buffer_bytes(&e->operation));
	if (index < 0)
		e->effects.out_of_memory = true;
	return index;
}

/* True when the participant stands more than once in its command. */
static bool is_repeated(const struct job *job, size_t index)
{
	const struct command *command = job_command(job);
	struct identity identity = command_identity(command, index);

	for (size_t i = 0; i < job->n_results; i++)
		if (i != index && identity_equal(identity, command_identity(command, i)))
			return true;
	return false;
}

static bool is_on_roster(const struct look *l, const struct job *job, size_t index)
{
	const struct command *command = job_command(job);
	const struct participant *p = command_participant(command, index);
	const struct invited *invited = &job->partition->invited;
	const struct invited_entry *entry;
	size_t at = 0;

	if (p->kind == PARTICIPANT_REPLACE || p->kind == PARTICIPANT_MOVE ||
	    is_repeated(job, index) || !are_others_known(job) ||
	    !evidence_has_identity(l->evidence, command_identity(command, index)))
		return false;
	while ((entry = invited_identity(invited, command, index, &at)) != NULL)
		if (may_be_another(job, entry))
			return false;
	return true;
}

static void look_up(const struct look *l, struct job *job, size_t index)
{
	if (!l->is_roster && find_operation(l, job, index)) {
		note_evidence(job, EVIDENCE_OPERATION);
		job_decide(job, index,
		           job->results[index].was_accepted ? STATUS_ACCEPTED : STATUS_RECONCILED,
		           keep_operation(l->e, job), -1);
	} else if (l->is_roster && is_on_roster(l, job, index)) {
		note_evidence(job, EVIDENCE_ROSTER);
		job_decide(job, index,
		           job->results[index].was_accepted ? STATUS_ACCEPTED : STATUS_RECONCILED,
		           -1, -1);
	}
}

/* Nothing was found, and nothing more can be asked. */
static void give_up(struct job *job, size_t index)
{
	struct result *result = &job->results[index];

	if (result->was_accepted) {
		job_decide(job, index, STATUS_ACCEPTED, -1, -1);
	} else if (job_command(job)->resend_unknown && !result->was_resent) {
		result->was_resent = true;
		result->delivery = DELIVERY_NEW;
	} else {
		job_decide(job, index, STATUS_UNKNOWN, -1, result->unknown_error);
	}
}

/* Go through all participants in doubt; 'is_last': there is no other place to look. */
static void judge_job(struct look *l, struct job *job, bool is_last)
{
	l->has_one_request = went_at_once(l->e, job);
	for (size_t i = 0; i < job->n_results; i++) {
		if (job->results[i].delivery != DELIVERY_DOUBT)
			continue;
		if (l->evidence)
			look_up(l, job, i);
		if (is_last && job->results[i].delivery == DELIVERY_DOUBT)
			give_up(job, i);
	}
}

/* Reply to what is decided now; what may be sent again stays in the queue. */
static void settle_job(const struct look *l, struct job *job)
{
	job->is_asked = false;
	job->was_looked = job_has_doubt(job);
	if (job->was_looked) {
		partition_leave(job);
		return;
	}
	l->call->doubts--;
	cancel_rest(l->e, job);
	call_note_expiry(l->call, job);
	if (job_is_decided(job)) {
		respond_job(l->e, job);
	} else if (!job_is_started(job)) {
		effects_touch(&l->e->effects, job->partition->number);
		partition_deactivate(job);
		partition_leave(job);
	}
}

/* Who joined after the look had begun waits for one of its own: what became of its request may not
 * have been there to be seen. */
static void judge_all(struct look *l, bool is_last)
{
	struct job *job, *next;

	for (job = call_first(l->call); job; job = next) {
		next = call_after(l->call, job);
		if (!job->is_asked)
			continue;
		judge_job(l, job, is_last);
		settle_job(l, job);
	}
}

/* Asking does no harm: a connection that broke or a server's error is no answer. */
static bool is_no_answer(const struct answer *answer)
{
	return answer->progress == ANSWER_BROKEN || answer->http_status >= 500 ||
	       answer->http_status == 408;
}

/* Graph did not say anything about the question: ask again after a while. */
static bool ask_again(struct engine *e, struct call *call, const struct answer *answer)
{
	struct doubt *doubt = call->doubt;
	struct outcome outcome;
	duration_t pause;

	outcome_judge(answer, e->policy->graph_url, bytes_of(call->id), e->wall, &e->operation,
	              &outcome);
	out_of_memory_if(e, !buffer_ok(&e->operation));
	if (outcome.class != OUTCOME_THROTTLED && outcome.class != OUTCOME_NOT_SENT &&
	    outcome.class != OUTCOME_UNAUTHORIZED && !is_no_answer(answer))
		return false;
	/* Without a token nothing was asked, which is no reason to give up. */
	if (answer->progress != ANSWER_NO_TOKEN || doubt->looks + 1 < LOOKS_MAX)
		doubt->looks++;
	if (doubt->looks > LOOKS_MAX)
		return false;
	pause = outcome.has_retry_after ? outcome.retry_after
	                                : retry_backoff(e->policy->retry_base, e->policy->retry_cap,
	                                                doubt->looks, &e->random);
	if (pause.us > e->policy->max_hold.us)
		return false;
	doubt->until = instant_max(doubt->until, instant_add(e->now, pause));
	return true;
}

/* What follows from what is known now; 'is_last': there is no other place to look. */
static void conclude(struct look *l, bool is_last)
{
	struct call *call = l->call;

	judge_all(l, is_last);
	call->doubt->looks = 0;
	if (call->doubts == 0)
		call_clear_hold(call);
}

/* That Graph answers at all is what a look can tell: what it looks at is not always there. */
static void note_health(struct engine *e, const struct call *call, const struct answer *answer)
{
	struct breaker_answer heard = { .sent = call->doubt->looked_at,
		                        .now = e->now,
		                        .health = HEALTH_WELL,
		                        .call = call->alarm_id };

	if (answer->progress == ANSWER_NO_TOKEN || answer->is_withheld)
		heard.health = HEALTH_NONE;
	else if (answer->progress != ANSWER_COMPLETE)
		heard.health = HEALTH_ILL;
	application_looked(e, application_of(e, call), &heard);
}

void doubt_judge(struct engine *e, struct call *call, const struct answer *answer)
{
	struct partition *partition = call->partition;
	struct look l = { .e = e, .call = call, .is_roster = call->doubt->look_at_roster };

	slots_remove(&e->looks, call->doubt->look_id);
	call->doubt->look_id = SLOTS_NONE;
	call->state = CALL_IDLE;
	note_health(e, call, answer);
	application_end(e, application_of(e, call));
	if (!ask_again(e, call, answer)) {
		if (evidence_read(answer, &l.evidence))
			conclude(&l, l.is_roster || !e->policy->look_at_roster);
		else
			e->effects.out_of_memory = true;
		evidence_free(l.evidence);
	}
	partition_leave_call(call);
	call_update(e, call);
	partition_check_quiet(e, partition);
}

/* The look is about all that are in doubt now. True when the operations were read for each of them
 * before. */
static bool ask_for_all(struct call *call)
{
	bool were_looked = true;

	for (struct job *job = call_first(call); job; job = call_after(call, job)) {
		job->is_asked = job_has_doubt(job);
		were_looked = were_looked && (job->was_looked || !job->is_asked);
	}
	return were_looked;
}

void doubt_give_up(struct engine *e, struct call *call)
{
	struct partition *partition = call->partition;
	struct look l = { .e = e, .call = call };

	ask_for_all(call);
	conclude(&l, true);
	call_update(e, call);
	partition_check_quiet(e, partition);
}

void doubt_look(struct engine *e, struct call *call)
{
	struct effect_look look = { .tenant = call->tenant, .call_id = bytes_of(call->id) };
	struct doubt *doubt = call->doubt;

	if (!e->policy->look_at_operations && !e->policy->look_at_roster) {
		doubt_give_up(e, call);
		return;
	}
	doubt->look_id = slots_put(&e->looks, call);
	if (doubt->look_id == SLOTS_NONE) {
		e->effects.out_of_memory = true;
		return;
	}
	doubt->look_at_roster = ask_for_all(call) || !e->policy->look_at_operations;
	look.look_id = doubt->look_id;
	look.kind = doubt->look_at_roster ? LOOK_ROSTER : LOOK_OPERATIONS;
	call->state = CALL_BUSY;
	doubt->looked_at = e->now;
	application_begin(e, application_of(e, call));
	application_send(e, application_of(e, call));
	call_wait_for(e, call, WAIT_HOLD);
	trace(e, "%s: looks for evidence in %s", call->id,
	      doubt->look_at_roster ? "the roster" : "the operations");
	effects_look(&e->effects, &look);
}
