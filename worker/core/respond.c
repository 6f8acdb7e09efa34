/* Replies and dead letters, and the end of a command: see respond.h. */
#include "worker/core/respond.h"

#include "worker/core/reply.h"

#include <jansson.h>

int16_t respond_add_error(struct engine *e, struct job *job, enum reason reason,
                          const char *message, const char *graph_code, int http_status)
{
	int16_t index;

	buffer_clear(&e->error);
	outcome_write_error(&e->error, reason, message, graph_code, http_status);
	index = job_add_error(job, buffer_bytes(&e->error));
	out_of_memory_if(e, index < 0 || !buffer_ok(&e->error));
	return index;
}

void respond_rest(struct engine *e, struct job *job, enum status status, enum reason reason,
                  const char *message)
{
	int16_t error = respond_add_error(e, job, reason, message, NULL, 0);

	job_decide_rest(job, status, error);
	respond_job(e, job);
}

static void count_reply(struct engine *e, const struct job *job)
{
	static const enum metric metrics[STATUS_COUNT] = {
		[STATUS_PENDING] = METRIC_replies_failed,
		[STATUS_ACCEPTED] = METRIC_replies_accepted,
		[STATUS_RECONCILED] = METRIC_replies_reconciled,
		[STATUS_DUPLICATE] = METRIC_replies_duplicate,
		[STATUS_FAILED] = METRIC_replies_failed,
		[STATUS_REJECTED] = METRIC_replies_rejected,
		[STATUS_EXPIRED] = METRIC_replies_expired,
		[STATUS_CANCELED] = METRIC_replies_canceled,
		[STATUS_UNKNOWN] = METRIC_replies_unknown,
		[STATUS_PARTIAL] = METRIC_replies_partial,
	};

	metrics_add(e->metrics, metrics[job_status(job)], 1);
	metrics_observe(e->metrics, HISTOGRAM_command_time, instant_since(e->now, job->arrived));
}

/* It waits no more: what it waited are the call's figures now less those of its arrival. */
static void leave_call(struct engine *e, struct job *job)
{
	struct call *call = job->call;

	if (!call)
		return;
	call_count_wait(e, call);
	for (size_t i = 0; i < WAIT_COUNT; i++)
		job->waited.ms[i] = call->waited.ms[i] - job->waited.ms[i];
	call_dequeue(call, job);
}

static struct response *response_of(struct engine *e, struct job *job)
{
	struct response *response = job_response(job);

	out_of_memory_if(e, !response);
	return response;
}

static struct effect_write *begin_write(struct engine *e, struct write *write, enum write_kind kind)
{
	struct effect_write *effect = effects_write(&e->effects);

	if (!effect)
		return NULL;
	write->id = slots_put(&e->writes, write);
	out_of_memory_if(e, write->id == SLOTS_NONE);
	effect->write_id = write->id;
	effect->with_id = write_twin(write)->id;
	effect->kind = kind;
	/* The transaction that carries the record must commit the partition's map too. */
	effects_touch(&e->effects, write_job(write)->partition->number);
	return effect;
}

static struct bytes copied_value(const struct copied *copied, struct span span)
{
	return (struct bytes){ copied->values.data + span.start, span.size };
}

static void set_key(const struct job *job, struct effect_write *effect)
{
	const struct copied *copied = job_copied(job);

	effect->has_key = job_command(job)->call_id.size > 0 || (copied && copied->has_key);
	if (job_command(job)->call_id.size > 0)
		effect->key = command_text(job_command(job), job_command(job)->call_id);
	else if (effect->has_key)
		effect->key = copied_value(copied, copied->key);
}

/* Where the command asked for its reply, or the usual one. */
static const char *reply_topic(const struct engine *e, const struct job *job)
{
	return job->extra && job->extra->reply_topic ? job->extra->reply_topic
	                                             : e->policy->reply_topic;
}

static void write_reply(struct engine *e, struct job *job)
{
	struct response *response = response_of(e, job);
	struct effect_write *effect =
	    response ? begin_write(e, &response->reply, WRITE_REPLY) : NULL;
	const struct copied *copied = job_copied(job);
	struct reply_source source = { .topic = buffer_bytes(&e->topic),
		                       .partition = job->partition->number,
		                       .tenant_id =
		                           e->policy->tenants.texts[job_command(job)->tenant],
		                       .now = e->now,
		                       .date = e->wall };

	if (!effect)
		return;
	effect->topic = reply_topic(e, job);
	set_key(job, effect);
	reply_write(&effect->text, job, &source);
	out_of_memory_if(e, !buffer_ok(&effect->text));
	effect->value = buffer_bytes(&effect->text);
	for (size_t i = 0; copied && i < copied->n_headers; i++) {
		const struct copied_header *header = &copied->headers[i];

		effects_header(&e->effects, effect, bytes_of(header->name),
		               copied_value(copied, header->value), false);
	}
}

/* Texts for the headers of a dead letter, one after another in the effect's buffer. */
static struct span keep_text(struct effect_write *effect, const char *text)
{
	struct span span = { (uint32_t)effect->text.size, (uint32_t)strlen(text) };

	buffer_append_text(&effect->text, text);
	return span;
}

static struct span keep_number(struct effect_write *effect, int64_t number)
{
	struct span span = { .start = (uint32_t)effect->text.size };

	buffer_append_int(&effect->text, number);
	span.size = (uint32_t)effect->text.size - span.start;
	return span;
}

/* Why, and where from. 'message' is for people. */
static void add_dead_letter_headers(struct engine *e, struct effect_write *effect,
                                    const struct job *job, const char *code, const char *message)
{
	struct span partition = keep_number(effect, job->partition->number);
	struct span offset = keep_number(effect, job->entry.offset);
	struct span reason = keep_text(effect, code);
	struct span text = keep_text(effect, message);
	const struct {
		const char *name;
		struct bytes value;
	} headers[] = {
		{ "dead-letter-reason", { effect->text.data + reason.start, reason.size } },
		{ "dead-letter-message", { effect->text.data + text.start, text.size } },
		{ "dead-letter-topic", buffer_bytes(&e->topic) },
		{ "dead-letter-partition",
		  { effect->text.data + partition.start, partition.size } },
		{ "dead-letter-offset", { effect->text.data + offset.start, offset.size } },
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		effects_header(&e->effects, effect, bytes_of(headers[i].name), headers[i].value,
		               false);
	out_of_memory_if(e, !buffer_ok(&effect->text));
}

/* An exact copy of the record. Headers that begin as ours do are ours alone to write: a producer,
 * or a record that comes from a dead letter, must not speak for us. */
static void write_dead_letter(struct engine *e, struct job *job, const struct record *record,
                              const char *code, const char *message)
{
	struct response *response = response_of(e, job);
	struct effect_write *effect =
	    response ? begin_write(e, &response->dead_letter, WRITE_DEAD_LETTER) : NULL;

	if (!effect)
		return;
	effect->topic = e->policy->dead_letter_topic;
	effect->has_key = record->has_key;
	effect->key = record->key;
	effect->value = record->value;
	for (size_t i = 0; i < record->n_headers; i++)
		if (!record_is_dead_letter_header(record->headers[i].name))
			effects_header(&e->effects, effect, record->headers[i].name,
			               record->headers[i].value, record->headers[i].is_null);
	add_dead_letter_headers(e, effect, job, code, message);
	metrics_add(e->metrics, METRIC_dead_letters, 1);
}

void respond_dead_letter(struct engine *e, struct job *job, const struct record *record,
                         const struct fault *fault)
{
	write_dead_letter(e, job, record, reason_code(fault->reason), fault->message);
}

/* A dead letter without its value: the headers say what it stood for and where the original is. */
static void write_short_dead_letter(struct engine *e, struct write *write, const char *code,
                                    const char *message)
{
	struct effect_write *effect = begin_write(e, write, WRITE_DEAD_LETTER);

	if (!effect)
		return;
	effect->topic = e->policy->dead_letter_topic;
	effect->value = (struct bytes){ 0 };
	set_key(write_job(write), effect);
	add_dead_letter_headers(e, effect, write_job(write), code, message);
	metrics_add(e->metrics, METRIC_dead_letters, 1);
}

/* True when it should be put where it can be looked at and sent again. What differs from
 * participant to participant should not: a part of it was sent. */
static bool is_dead(const struct engine *e, const struct job *job)
{
	enum status status = job_status(job);

	return e->policy->dead_letter_failed && !job_command(job)->is_cancel &&
	       (status == STATUS_FAILED || status == STATUS_UNKNOWN);
}

/* The reason is that of the reply. */
static void write_failed_letter(struct engine *e, struct job *job)
{
	json_t *error = json_loads(fragments_text(job_errors(job), job->results[0].error), 0, NULL);
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!code || !message)
		e->effects.out_of_memory = true;
	else if (job->extra && job->extra->record)
		write_dead_letter(e, job, job->extra->record, code, message);
	else
		write_short_dead_letter(e, &job->response->dead_letter, code, message);
	json_decref(error);
}

void respond_job(struct engine *e, struct job *job)
{
	CHECK(job_is_decided(job));
	partition_activate(job);
	leave_call(e, job);
	job->state = JOB_REPLYING;
	count_reply(e, job);
	trace(e, "p%d@%lld: reply %s", job->partition->number, (long long)job->entry.offset,
	      status_text(job_status(job)));
	write_reply(e, job);
	if (!e->effects.out_of_memory && is_dead(e, job))
		write_failed_letter(e, job);
}

/* True when something of the job was withdrawn. */
static bool has_canceled(const struct job *job)
{
	for (size_t i = 0; i < job->n_results; i++)
		if (job->results[i].status == STATUS_CANCELED)
			return true;
	return false;
}

/* The command that a cancel names is replied to: say whether something of it was withdrawn. */
static void answer_cancel(struct engine *e, struct job *job, const struct job *target)
{
	if (!has_canceled(target)) {
		respond_rest(e, job, STATUS_FAILED, REASON_TOO_LATE,
		             reason_meaning(REASON_TOO_LATE));
		return;
	}
	job_decide_rest(job, STATUS_CANCELED, -1);
	respond_job(e, job);
}

/* Those that waited for the first reply follow it, in the order in which they came. */
static void follow(struct engine *e, struct job *first)
{
	struct job *reversed = NULL;

	while (first->extra && first->extra->followers) {
		struct job *job = first->extra->followers;

		first->extra->followers = job->extra->next_follower;
		job->extra->next_follower = reversed;
		reversed = job;
	}
	while (reversed) {
		struct job *job = reversed;

		reversed = job->extra->next_follower;
		if (job_duplicate_of(job) >= 0)
			respond_duplicate(e, job);
		else
			answer_cancel(e, job, first);
	}
}

static void finish(struct engine *e, struct job *job)
{
	struct partition *p = job->partition;
	int64_t before = ledger_frontier(&p->ledger);

	CHECK(job->entry.offset < p->begun_end);
	follow(e, job);
	ledger_settle(&p->ledger, &job->entry);
	partition_deactivate(job);
	job_free(job);
	metrics_add(e->metrics, METRIC_jobs_open, -1);
	if (ledger_frontier(&p->ledger) != before)
		trace(e, "p%d: stored up to %lld", p->number,
		      (long long)ledger_frontier(&p->ledger));
	effects_touch(&e->effects, p->number);
	partition_balance(e, p);
	partition_check_quiet(e, p);
}

/* True when all of it is written that can be, and the command may be forgotten. What nobody takes
 * holds its offset; but not a letter whose reply counts by itself. */
static bool is_finished(const struct job *job)
{
	return job->state != JOB_HELD || partition_is_replied(job, false);
}

/* Its offset is held, and nothing of it goes on any more. */
static void hold(struct engine *e, struct job *job)
{
	struct partition *p = job->partition;

	effects_touch(&e->effects, p->number);
	partition_deactivate(job);
	partition_check_quiet(e, p);
}

/* The broker will never take this record. A reply that may not go where its command asked goes to
 * the default topic; what still cannot be written is named by a dead letter without a value; when
 * even that fails, nothing more can be done. */
static void write_refused(struct engine *e, struct write *write, const char *error)
{
	struct job *job = write_job(write);

	metrics_add(e->metrics, METRIC_write_failures, 1);
	trace(e, "p%d@%lld: write refused: %s", job->partition->number,
	      (long long)job->entry.offset, error);
	write->tries++;
	if (!write->is_dead_letter && write->tries == 1 &&
	    strcmp(reply_topic(e, job), e->policy->reply_topic) != 0) {
		job->extra->reply_topic = NULL;
		write_reply(e, job);
	} else if (!write->is_dead_letter && write->tries <= 2) {
		write->tries = 3;
		write_short_dead_letter(e, write, status_text(job_status(job)), error);
	} else if (write->is_dead_letter && write->tries == 1) {
		write_short_dead_letter(e, write, status_text(job_status(job)), error);
	} else {
		job->state = JOB_HELD;
	}
}

void respond_written(struct engine *e, struct write *write, const char *error)
{
	struct job *job = write_job(write);

	slots_remove(&e->writes, write->id);
	write->id = SLOTS_NONE;
	write->is_staged = false;
	write->is_stored = !error;
	if (error)
		write_refused(e, write, error);
	if (write_twin(write)->id != SLOTS_NONE || write->id != SLOTS_NONE)
		effects_touch(&e->effects, job->partition->number);
	else if (is_finished(job))
		finish(e, job);
	else
		hold(e, job);
}

void respond_duplicate(struct engine *e, struct job *job)
{
	job_decide_rest(job, STATUS_DUPLICATE, -1);
	respond_job(e, job);
}
