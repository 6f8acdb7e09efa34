/* Events in, effects out: see driver.h.
 *
 *   RUNNING --stop--> DRAINING --quiet or out of time--> FLUSHING --committed--> CLOSING --> gone
 *
 * A rebalance goes the same way for its partitions alone: no new sends, wait until they are quiet,
 * commit, give them back. Polling goes on all the while, so the group does not lose patience. */
#include "worker/io/driver.h"

#include "worker/base/failpoint.h"
#include "worker/core/engine.h"
#include "worker/io/alarms.h"
#include "worker/io/clock.h"
#include "worker/io/owned.h"
#include "worker/io/report.h"

#include <inttypes.h>
#include <stdlib.h>

enum driver_state {
	DRIVER_RUNNING,
	DRIVER_DRAINING, /* No new sends; waits for what was begun */
	DRIVER_FLUSHING, /* The last commit is on its way */
	DRIVER_FAILING,  /* Closes in the next turn of the loop: a part may be calling right now */
	DRIVER_CLOSING
};

struct driver {
	uv_loop_t *loop;
	struct driver_options options;
	const struct log *log;
	struct metrics *metrics;
	driver_stopped_cb stopped;
	void *owner;
	enum driver_state state;
	enum driver_end end;
	bool is_stepping;
	struct engine *engine;
	struct alarms *alarms;
	struct http *http;
	struct tokens *tokens;
	struct graph *graph;
	struct polls *polls; /* NULL: not wanted */
	struct delivery *delivery;
	struct owned owned;
	uv_timer_t deadline; /* Of a drain or a revocation */
	bool is_releasing;   /* The last commit before a revocation is on its way */
	unsigned open_parts; /* Parts that are still closing */
};

static void check_quiet(struct driver *d);
static void on_drain_settled(void *owner);
static void on_deadline(uv_timer_t *timer);

static bool is_over(const struct driver *d)
{
	return d->state == DRIVER_FAILING || d->state == DRIVER_CLOSING;
}

/* Nothing is lost by this: what has no stored reply is read again. */
static void abort_driver(struct driver *d, const char *id, const char *message)
{
	char quoted[LOG_QUOTE_SIZE];

	if (is_over(d))
		return;
	log_error(d->log, id, "error=%s", log_quote(bytes_of(message), quoted));
	d->state = DRIVER_FAILING;
	d->end = DRIVER_FAILED;
	uv_timer_start(&d->deadline, on_deadline, 0, 0);
}

static void perform_post(struct driver *d, const struct effect_post *post)
{
	graph_invite(d->graph, &(struct graph_invite){
	                           .id = post->invite_id,
	                           .tenant = post->tenant,
	                           .call_id = post->call_id,
	                           .body = buffer_bytes(&post->body),
	                           .client_request_id = bytes_of(post->client_request_id),
	                           .expires_at = post->expires_at,
	                       });
}

static void perform_write(struct driver *d, const struct effect_write *write)
{
	delivery_write(d->delivery, &(struct publisher_write){
	                                .id = write->write_id,
	                                .with_id = write->with_id,
	                                .topic = write->topic,
	                                .has_key = write->has_key,
	                                .key = write->key,
	                                .value = write->value,
	                                .headers = write->headers,
	                                .n_headers = write->n_headers,
	                            });
}

static void perform_alarms(struct driver *d, const struct effects *f, instant_t now)
{
	for (size_t i = 0; i < f->n_alarms; i++)
		if (!alarms_set(d->alarms, f->alarms[i].id, f->alarms[i].at, now))
			abort_driver(d, "driver.out-of-memory", "no memory for a timer");
}

static void perform_fetches(struct driver *d, const struct effects *f)
{
	for (size_t i = 0; i < f->n_fetches; i++) {
		if (f->fetches[i].paused)
			delivery_pause(d->delivery, f->fetches[i].partition);
		else
			delivery_resume(d->delivery, f->fetches[i].partition);
	}
}

static void note_quiet(struct driver *d, const struct effects *f)
{
	for (size_t i = 0; i < f->n_quiet; i++) {
		struct owned_partition *p = owned_find(&d->owned, f->quiet[i]);

		if (p)
			p->is_quiet = true;
	}
}

static void perform(struct driver *d, const struct effects *f, instant_t now)
{
	for (size_t i = 0; i < f->n_marks; i++)
		delivery_mark(d->delivery, f->marks[i].partition, f->marks[i].invite_id);
	for (size_t i = 0; i < f->n_posts; i++)
		perform_post(d, f->posts[i]);
	for (size_t i = 0; i < f->n_writes; i++)
		perform_write(d, f->writes[i]);
	for (size_t i = 0; i < f->n_looks; i++)
		graph_look(d->graph, &f->looks[i]);
	for (size_t i = 0; d->polls && i < f->n_follows; i++)
		polls_follow(d->polls, d->graph, &f->follows[i]);
	for (size_t i = 0; i < f->n_touches; i++)
		delivery_touch(d->delivery, f->touches[i]);
	perform_alarms(d, f, now);
	perform_fetches(d, f);
	note_quiet(d, f);
	report_effects(d->log, &d->options.policy, f);
}

static void feed(struct driver *d, struct event *event)
{
	const struct effects *effects;

	CHECK(!d->is_stepping);
	if (is_over(d))
		return;
	event->now = clock_now();
	event->wall = clock_wall();
	d->is_stepping = true;
	effects = engine_step(d->engine, event);
	d->is_stepping = false;
	if (effects->out_of_memory) {
		abort_driver(d, "driver.out-of-memory", "no memory: restart the worker");
		return;
	}
	perform(d, effects, event->now);
	if (effects->n_quiet > 0)
		check_quiet(d);
}

/* What happened, as events. */

static void on_record(void *owner, const struct record *record)
{
	feed(owner, &(struct event){ .type = EVENT_RECORD, .record = record });
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	feed(owner, &(struct event){ .type = EVENT_POSITION,
	                             .position = { .partition = partition, .offset = offset } });
}

static void on_marked(void *owner, const uint64_t *invite_ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		feed(owner, &(struct event){ .type = EVENT_MARKED, .invite_id = invite_ids[i] });
}

static void on_answer(void *owner, uint64_t invite_id, const struct answer *answer)
{
	feed(owner, &(struct event){ .type = EVENT_ANSWER,
	                             .answer = { .invite_id = invite_id, .answer = answer } });
}

static void on_evidence(void *owner, uint64_t look_id, const struct answer *answer)
{
	feed(owner, &(struct event){ .type = EVENT_EVIDENCE,
	                             .evidence = { .look_id = look_id, .answer = answer } });
}

static void on_polled(void *owner, uint64_t look_id, const struct answer *answer)
{
	struct driver *d = owner;

	polls_answered(d->polls, look_id, answer);
}

/* Graph is closed behind the Kafka side, which knows nothing of a lease any more then. */
static bool on_may_send(void *owner)
{
	struct driver *d = owner;

	return !is_over(d) && delivery_may_send(d->delivery);
}

static bool on_map(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
                   struct buffer *text)
{
	struct driver *d = owner;

	return engine_map(d->engine, partition, view == COMMITTER_STAGED, ret_offset, text);
}

static void on_staged(void *owner, const uint64_t *write_ids, size_t n)
{
	feed(owner,
	     &(struct event){ .type = EVENT_STAGED, .staged = { .write_ids = write_ids, .n = n } });
}

static void on_unstaged(void *owner)
{
	feed(owner, &(struct event){ .type = EVENT_UNSTAGED });
}

static void on_written(void *owner, uint64_t id, const char *error)
{
	struct driver *d = owner;
	char quoted[LOG_QUOTE_SIZE];

	if (error)
		log_error(d->log, "publisher.refused", "error=%s",
		          log_quote(bytes_of(error), quoted));
	feed(d, &(struct event){ .type = EVENT_WRITTEN,
	                         .written = { .write_id = id, .error = error } });
}

static void on_alarm(void *owner, uint64_t id)
{
	feed(owner, &(struct event){ .type = EVENT_ALARM, .alarm_id = id });
}

static void on_fatal(void *owner, const char *message)
{
	abort_driver(owner, "delivery.fatal", message);
}

static void on_token_recovered(void *owner, uint32_t tenant)
{
	feed(owner, &(struct event){ .type = EVENT_SIGNED_IN, .tenant = tenant });
}

/* Partitions come and go. */

static bool own_all(struct driver *d, const struct consumer_offer *offers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!owned_add(&d->owned, offers[i].partition))
			return false;
	return true;
}

static void on_assigned(void *owner, const struct consumer_offer *offers, size_t n,
                        int32_t partitions_of_topic)
{
	struct driver *d = owner;
	struct event_offer *copies;

	if (d->state != DRIVER_RUNNING)
		return;
	copies = calloc(n + 1, sizeof(*copies));
	if (!copies || !own_all(d, offers, n)) {
		free(copies);
		abort_driver(d, "driver.out-of-memory", "no memory for a partition");
		return;
	}
	for (size_t i = 0; i < n; i++)
		copies[i] = (struct event_offer){ .partition = offers[i].partition,
			                          .offset = offers[i].offset,
			                          .map = offers[i].metadata };
	log_info(d->log, "driver.assigned", "partitions=%zu of=%" PRId32, n, partitions_of_topic);
	/* First, so that what the engine does not want to read of them can be paused. */
	delivery_accept(d->delivery);
	feed(d, &(struct event){ .type = EVENT_ASSIGN,
	                         .assign = { .offers = copies,
	                                     .n = n,
	                                     .owned = (uint32_t)d->owned.count,
	                                     .total = (uint32_t)partitions_of_topic } });
	free(copies);
}

/* Drop what the group has taken. */
static void forget_revoked(struct driver *d)
{
	int32_t number;

	while (owned_take_revoked(&d->owned, &number)) {
		delivery_forget(d->delivery, number);
		feed(d, &(struct event){ .type = EVENT_FORGET, .partition = number });
	}
}

static void on_revoke_settled(void *owner)
{
	struct driver *d = owner;

	d->is_releasing = false;
	log_info(d->log, "driver.revoked", "reason=rebalance");
	forget_revoked(d);
	delivery_release(d->delivery);
	if (d->state == DRIVER_DRAINING)
		check_quiet(d);
	else if (d->state == DRIVER_FLUSHING)
		delivery_settle(d->delivery, false, on_drain_settled, d);
}

/* With 'lost', the partitions belong to others already. */
static void settle_revoked(struct driver *d, bool lost)
{
	if (d->is_releasing)
		return;
	d->is_releasing = true;
	delivery_settle(d->delivery, lost, on_revoke_settled, d);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t n, bool lost)
{
	struct driver *d = owner;

	if (d->state != DRIVER_RUNNING && d->state != DRIVER_DRAINING)
		return;
	for (size_t i = 0; i < n; i++) {
		struct owned_partition *p = owned_find(&d->owned, partitions[i]);

		if (p)
			p->is_revoking = true;
	}
	if (lost || !owned_is_revoking(&d->owned)) {
		log_info(d->log, lost ? "driver.lost" : "driver.revoked", "partitions=%zu", n);
		forget_revoked(d);
		settle_revoked(d, true);
		return;
	}
	if (d->state == DRIVER_RUNNING)
		uv_timer_start(&d->deadline, on_deadline,
		               (uint64_t)duration_to_ms(d->options.drain_timeout), 0);
	for (size_t i = 0; i < n; i++)
		feed(d, &(struct event){ .type = EVENT_REVOKE, .partition = partitions[i] });
	check_quiet(d);
}

/* The end. */

static void on_part_closed(void *owner)
{
	struct driver *d = owner;

	if (--d->open_parts > 0)
		return;
	d->stopped(d->owner, d->end);
	engine_free(d->engine);
	owned_close(&d->owned);
	free(d);
}

static void on_handle_closed(uv_handle_t *handle)
{
	on_part_closed(handle->data);
}

/* Nothing comes from Kafka any more: close what it fed, in the order in which they lean on each
 * other. */
static void close_rest(struct driver *d)
{
	if (d->graph)
		graph_close(d->graph);
	if (d->polls) {
		d->open_parts++;
		polls_close(d->polls, on_part_closed, d);
	}
	if (d->tokens) {
		d->open_parts++;
		tokens_close(d->tokens, on_part_closed, d);
	}
	if (d->http) {
		d->open_parts++;
		http_close(d->http, on_part_closed, d);
	}
	if (d->alarms) {
		d->open_parts++;
		alarms_close(d->alarms, on_part_closed, d);
	}
	d->open_parts++;
	uv_close((uv_handle_t *)&d->deadline, on_handle_closed);
}

static void on_delivery_closed(void *owner)
{
	close_rest(owner);
	on_part_closed(owner);
}

/* open_parts starts at one, which stands for the Kafka side. */
static void close_parts(struct driver *d)
{
	d->state = DRIVER_CLOSING;
	d->open_parts = 1;
	uv_timer_stop(&d->deadline);
	if (d->delivery)
		delivery_close(d->delivery, on_delivery_closed, d);
	else
		on_delivery_closed(d);
}

static void on_drain_settled(void *owner)
{
	struct driver *d = owner;

	if (d->state == DRIVER_FLUSHING)
		close_parts(d);
}

/* A commit that the broker does not answer must not hold up the end. One thing is settled at a
 * time: what is just being given back comes first. */
static void settle_and_close(struct driver *d)
{
	d->state = DRIVER_FLUSHING;
	uv_timer_start(&d->deadline, on_deadline,
	               (uint64_t)duration_to_ms(d->options.delivery.leave_deadline), 0);
	if (!d->is_releasing)
		delivery_settle(d->delivery, false, on_drain_settled, d);
}

/* Go on when everything that was to become quiet is. */
static void check_quiet(struct driver *d)
{
	if (d->state == DRIVER_DRAINING && owned_is_quiet(&d->owned, true) && !d->is_releasing)
		settle_and_close(d);
	else if (d->state == DRIVER_RUNNING && owned_is_revoking(&d->owned) &&
	         owned_is_quiet(&d->owned, false))
		settle_revoked(d, false);
}

static void on_deadline(uv_timer_t *timer)
{
	struct driver *d = timer->data;

	if (d->state == DRIVER_FAILING) {
		close_parts(d);
	} else if (d->state == DRIVER_FLUSHING) {
		log_warn(d->log, "driver.commit-timeout", "timeout_ms=%" PRId64,
		         duration_to_ms(d->options.delivery.leave_deadline));
		d->end = DRIVER_OUT_OF_TIME;
		close_parts(d);
	} else if (d->state == DRIVER_DRAINING) {
		log_warn(d->log, "driver.drain-timeout", "timeout_ms=%" PRId64,
		         duration_to_ms(d->options.drain_timeout));
		d->end = DRIVER_OUT_OF_TIME;
		settle_and_close(d);
	} else if (d->state == DRIVER_RUNNING && owned_is_revoking(&d->owned)) {
		log_warn(d->log, "driver.revoke-timeout", "timeout_ms=%" PRId64,
		         duration_to_ms(d->options.drain_timeout));
		settle_revoked(d, false);
	}
}

void driver_stop(struct driver *d)
{
	if (d->state != DRIVER_RUNNING)
		return;
	log_info(d->log, "driver.draining", "partitions=%zu", d->owned.count);
	d->state = DRIVER_DRAINING;
	uv_timer_start(&d->deadline, on_deadline,
	               (uint64_t)duration_to_ms(d->options.drain_timeout), 0);
	feed(d, &(struct event){ .type = EVENT_DRAIN });
	check_quiet(d);
}

/* The beginning. */

static bool make_graph(struct driver *d, struct err *err)
{
	const struct driver_options *o = &d->options;
	const struct graph_callbacks callbacks = { .owner = d,
		                                   .answered = on_answer,
		                                   .evidence = on_evidence,
		                                   .polled = on_polled,
		                                   .may_send = on_may_send };
	struct tokens_base base = { .loop = d->loop,
		                    .log = d->log,
		                    .metrics = d->metrics,
		                    .credential = &o->credential,
		                    .recovered = on_token_recovered,
		                    .owner = d };

	d->http = http_new(d->loop, &o->http, err);
	if (!d->http)
		return false;
	base.http = d->http;
	d->tokens = tokens_new(&base, &o->token, &o->policy.tenants, err);
	if (!d->tokens)
		return false;
	d->graph = graph_new(d->http, d->tokens, d->loop, &o->graph, &callbacks, err);
	return d->graph;
}

static bool make_polls(struct driver *d, struct err *err)
{
	const struct polls_callbacks callbacks = { .owner = d, .fatal = on_fatal };

	if (!d->options.polls.is_wanted)
		return true;
	d->polls = polls_new(d->loop, &d->options.polls, &callbacks, d->log, d->metrics, err);
	return d->polls;
}

static bool make_delivery(struct driver *d, struct err *err)
{
	const struct delivery_callbacks callbacks = {
		.owner = d,
		.record = on_record,
		.position = on_position,
		.assigned = on_assigned,
		.revoked = on_revoked,
		.marked = on_marked,
		.map = on_map,
		.staged = on_staged,
		.unstaged = on_unstaged,
		.written = on_written,
		.fatal = on_fatal,
	};

	d->delivery =
	    delivery_new(d->loop, &d->options.delivery, &callbacks, d->log, d->metrics, err);
	return d->delivery;
}

static bool make_parts(struct driver *d, struct err *err)
{
	d->engine = engine_new(&d->options.policy, d->metrics, clock_now());
	d->alarms = alarms_new(d->loop, on_alarm, d);
	if (!d->engine || !d->alarms) {
		err_set(err, "no memory");
		return false;
	}
	return make_graph(d, err) && make_polls(d, err) && make_delivery(d, err);
}

struct driver *driver_new(uv_loop_t *loop, const struct driver_options *options,
                          const struct log *log, struct metrics *metrics, driver_stopped_cb stopped,
                          void *owner, struct err *err)
{
	struct driver *d = calloc(1, sizeof(*d));

	if (!d) {
		err_set(err, "no memory");
		return NULL;
	}
	d->loop = loop;
	d->options = *options;
	d->log = log;
	d->metrics = metrics;
	d->stopped = stopped;
	d->owner = owner;
	uv_timer_init(loop, &d->deadline);
	d->deadline.data = d;
	if (make_parts(d, err))
		return d;
	d->end = DRIVER_FAILED;
	close_parts(d);
	return NULL;
}

int driver_start(struct driver *d, struct err *err)
{
	/* So that readiness does not wait for the first command. */
	tokens_start(d->tokens);
	return delivery_start(d->delivery, err);
}

enum driver_health driver_health(const struct driver *d, struct buffer *why)
{
	bool is_running = d->state == DRIVER_RUNNING;

	if (!is_running || !delivery_is_member(d->delivery)) {
		buffer_append_text(why, is_running ? "not (yet) a member of the consumer group"
		                                   : "the worker is stopping");
		return DRIVER_UNREADY;
	}
	if (!tokens_are_well(d->tokens, why))
		return tokens_were_granted(d->tokens) ? DRIVER_DEGRADED : DRIVER_UNREADY;
	return engine_is_refused(d->engine, why) ? DRIVER_DEGRADED : DRIVER_READY;
}
