/* The life of an assignment: see assignment.h.
 *
 * librdkafka tells of a rebalance by a callback and then waits for rd_kafka_assign(), which need
 * not come from inside the callback: it goes on sending heartbeats and fetches nothing meanwhile.
 * So the callback only notes what happened, and the answer is given when the owner is ready.
 *
 *            assign             looked up            accept
 *     IDLE ----------> LOOKING_UP --------> OFFERED --------> OWNING
 *      ^ ^                 |                   |                |
 *      | '-----------------'                   | revoke, or     | revoke, or
 *      |   revoke, assign                      | assign         | assign
 *      |                  release              v                |
 *      '----------------------------------- REVOKING <----------'
 *
 * An assignment can be followed by another one without a revocation between (the group moved on
 * while librdkafka waited for us): what was held before is lost then. */
#include "worker/io/assignment.h"

#include "worker/io/lookup.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum assignment_state {
	ASSIGNMENT_IDLE,
	ASSIGNMENT_LOOKING_UP,
	ASSIGNMENT_OFFERED,
	ASSIGNMENT_OWNING,
	ASSIGNMENT_REVOKING,
	ASSIGNMENT_CLOSING,
	ASSIGNMENT_STATES
};

static const char *const state_names[ASSIGNMENT_STATES] = { "idle",   "looking-up", "offered",
	                                                    "owning", "revoking",   "closing" };

/* Which states may follow; closing may follow all. */
static const bool may_follow[ASSIGNMENT_STATES][ASSIGNMENT_STATES] = {
	[ASSIGNMENT_IDLE][ASSIGNMENT_LOOKING_UP] = true,
	[ASSIGNMENT_LOOKING_UP][ASSIGNMENT_OFFERED] = true,
	[ASSIGNMENT_LOOKING_UP][ASSIGNMENT_IDLE] = true,
	[ASSIGNMENT_OFFERED][ASSIGNMENT_OWNING] = true,
	[ASSIGNMENT_OFFERED][ASSIGNMENT_REVOKING] = true,
	[ASSIGNMENT_OWNING][ASSIGNMENT_REVOKING] = true,
	[ASSIGNMENT_REVOKING][ASSIGNMENT_IDLE] = true,
};

struct partition {
	int64_t committed; /* Negative: none */
	bool paused;
};

/* What librdkafka told and was not dealt with yet. */
struct rebalance {
	bool is_assign;
	bool lost;
	rd_kafka_topic_partition_list_t *partitions; /* Owned */
	struct rebalance *prev, *next;
};

struct assignment {
	uv_loop_t *loop; /* Borrowed, as what follows */
	struct kafka_client *client;
	const struct log *log;
	struct metrics *metrics;
	struct assignment_callbacks callbacks;
	char *topic; /* Owned */
	enum assignment_state state;

	struct rebalance *rebalances;            /* Owned: in the order in which they were told */
	rd_kafka_topic_partition_list_t *wanted; /* Owned: to be looked up, or NULL */
	struct lookup *lookup;                   /* Owned; perhaps cancelled */

	int32_t *ids; /* Owned: offered, owned or to be given back; parallel to 'partitions' */
	struct partition *partitions;
	size_t n_partitions;
	bool lost; /* They belong to others already */

	void (*closed)(void *owner);
	void *closed_owner;
};

static void set_state(struct assignment *a, enum assignment_state state)
{
	CHECK(may_follow[a->state][state] || state == ASSIGNMENT_CLOSING);
	log_debug(a->log, "assignment.state", "from=%s to=%s", state_names[a->state],
	          state_names[state]);
	a->state = state;
}

static struct partition *find_partition(const struct assignment *a, int32_t id)
{
	for (size_t i = 0; i < a->n_partitions; i++) {
		if (a->ids[i] == id)
			return &a->partitions[i];
	}
	return NULL;
}

static void hold_partitions(struct assignment *a, const rd_kafka_topic_partition_list_t *list)
{
	size_t n = (size_t)list->cnt;

	free(a->ids);
	free(a->partitions);
	a->ids = calloc(n + 1, sizeof(*a->ids));
	a->partitions = calloc(n + 1, sizeof(*a->partitions));
	CHECK(a->ids && a->partitions);
	for (size_t i = 0; i < n; i++) {
		a->ids[i] = list->elems[i].partition;
		a->partitions[i].committed = list->elems[i].offset;
	}
	a->n_partitions = n;
	a->lost = false;
}

static void want(struct assignment *a, rd_kafka_topic_partition_list_t *list)
{
	if (a->wanted)
		rd_kafka_topic_partition_list_destroy(a->wanted);
	a->wanted = list;
}

/* Answer librdkafka: 'list' is what is fetched from now on, NULL for nothing. */
static void assign(struct assignment *a, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_resp_err_t error = rd_kafka_assign(kafka_client_handle(a->client), list);

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_client_report(a->client, error, rd_kafka_err2str(error));
}

static void on_looked_up(void *owner, const struct lookup_result *result);

/* Begin to look up what is wanted, when nothing stands in the way. */
static void advance(struct assignment *a)
{
	struct err err;

	if (a->state == ASSIGNMENT_IDLE && a->wanted)
		set_state(a, ASSIGNMENT_LOOKING_UP);
	if (a->state != ASSIGNMENT_LOOKING_UP || a->lookup)
		return;
	a->lookup = lookup_start(a->loop, a->client, a->topic, a->wanted, on_looked_up, a, &err);
	if (!a->lookup)
		log_error(a->log, "assignment.lookup-failed", "error=\"%s\"", err.msg);
}

static void finish_close(struct assignment *a);

static void on_looked_up(void *owner, const struct lookup_result *result)
{
	struct assignment *a = owner;

	a->lookup = NULL;
	if (a->state == ASSIGNMENT_LOOKING_UP && result) {
		if (result->error == RD_KAFKA_RESP_ERR_NO_ERROR) {
			hold_partitions(a, result->partitions);
			want(a, NULL);
			set_state(a, ASSIGNMENT_OFFERED);
			kafka_client_works(a->client);
			metrics_add(a->metrics, METRIC_rebalances, 1);
			a->callbacks.assigned(a->callbacks.owner, a->ids, a->n_partitions,
			                      result->partitions_of_topic);
		} else {
			kafka_client_report(a->client, result->error,
			                    rd_kafka_err2str(result->error));
		}
	} else if (a->state == ASSIGNMENT_CLOSING) {
		finish_close(a);
	} else {
		advance(a);
	}
}

static void cancel_lookup(struct assignment *a)
{
	if (a->lookup)
		lookup_cancel(a->lookup);
}

static void take_back(struct assignment *a, bool lost)
{
	set_state(a, ASSIGNMENT_REVOKING);
	a->lost = lost;
	a->callbacks.revoked(a->callbacks.owner, a->ids, a->n_partitions, lost);
}

/* Whatever was held before is not ours any more when a new assignment comes without a revocation.
 */
static void handle_assign(struct assignment *a, rd_kafka_topic_partition_list_t *list)
{
	want(a, list);
	if (a->state == ASSIGNMENT_LOOKING_UP) {
		cancel_lookup(a);
		set_state(a, ASSIGNMENT_IDLE);
	} else if (a->state == ASSIGNMENT_OFFERED || a->state == ASSIGNMENT_OWNING) {
		take_back(a, true);
	} else if (a->state == ASSIGNMENT_REVOKING) {
		a->lost = true;
	}
	advance(a);
}

static void handle_revoke(struct assignment *a, bool lost)
{
	want(a, NULL);
	if (a->state == ASSIGNMENT_LOOKING_UP) {
		cancel_lookup(a);
		set_state(a, ASSIGNMENT_IDLE);
	}
	if (a->state == ASSIGNMENT_IDLE)
		assign(a, NULL);
	else if (a->state == ASSIGNMENT_OFFERED || a->state == ASSIGNMENT_OWNING)
		take_back(a, lost);
}

static void free_rebalance(struct rebalance *r)
{
	if (r->partitions)
		rd_kafka_topic_partition_list_destroy(r->partitions);
	free(r);
}

void assignment_serve(struct assignment *a)
{
	while (a->rebalances && a->state != ASSIGNMENT_CLOSING) {
		struct rebalance *r = a->rebalances;

		DL_DELETE(a->rebalances, r);
		if (r->is_assign) {
			handle_assign(a, r->partitions);
			r->partitions = NULL;
		} else {
			handle_revoke(a, r->lost);
		}
		free_rebalance(r);
	}
}

void assignment_note(struct assignment *a, rd_kafka_resp_err_t what,
                     const rd_kafka_topic_partition_list_t *partitions)
{
	struct rebalance *r = calloc(1, sizeof(*r));

	CHECK(r);
	r->is_assign = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	r->lost = rd_kafka_assignment_lost(kafka_client_handle(a->client)) != 0;
	r->partitions = rd_kafka_topic_partition_list_copy(partitions);
	DL_APPEND(a->rebalances, r);
}

void assignment_retry(struct assignment *a)
{
	advance(a);
}

void assignment_accept(struct assignment *a)
{
	rd_kafka_topic_partition_list_t *list;

	if (a->state != ASSIGNMENT_OFFERED)
		return;
	list = rd_kafka_topic_partition_list_new((int)a->n_partitions);
	for (size_t i = 0; i < a->n_partitions; i++) {
		int64_t committed = a->partitions[i].committed;
		rd_kafka_topic_partition_t *p =
		    rd_kafka_topic_partition_list_add(list, a->topic, a->ids[i]);

		p->offset = committed >= 0 ? committed : RD_KAFKA_OFFSET_BEGINNING;
	}
	set_state(a, ASSIGNMENT_OWNING);
	assign(a, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka's call for one partition that changes between fetching and paused. */
static void switch_fetching(struct assignment *a, int32_t id,
                            rd_kafka_resp_err_t (*change)(rd_kafka_t *,
                                                          rd_kafka_topic_partition_list_t *))
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t error;

	rd_kafka_topic_partition_list_add(list, a->topic, id);
	error = change(kafka_client_handle(a->client), list);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		kafka_client_report(a->client, error, rd_kafka_err2str(error));
	rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka keeps a partition paused across assignments: undo that first. The arrays stay: the
 * owner may be reading them. */
void assignment_release(struct assignment *a)
{
	if (a->state != ASSIGNMENT_REVOKING)
		return;
	for (size_t i = 0; i < a->n_partitions; i++) {
		if (a->partitions[i].paused)
			switch_fetching(a, a->ids[i], rd_kafka_resume_partitions);
	}
	assign(a, NULL);
	a->n_partitions = 0;
	set_state(a, ASSIGNMENT_IDLE);
	advance(a);
}

/* librdkafka rewinds a partition that is resumed without having been paused: so the state is kept
 * here. */
void assignment_set_paused(struct assignment *a, int32_t partition, bool paused)
{
	struct partition *p = find_partition(a, partition);

	if (a->state != ASSIGNMENT_OWNING || !p || p->paused == paused)
		return;
	p->paused = paused;
	switch_fetching(a, partition,
	                paused ? rd_kafka_pause_partitions : rd_kafka_resume_partitions);
}

bool assignment_is_reading(const struct assignment *a, int32_t partition)
{
	return a->state == ASSIGNMENT_OWNING && find_partition(a, partition);
}

bool assignment_may_commit(const struct assignment *a, int32_t partition)
{
	return (a->state == ASSIGNMENT_OWNING || a->state == ASSIGNMENT_REVOKING) && !a->lost &&
	       find_partition(a, partition);
}

bool assignment_is_member(const struct assignment *a)
{
	return a->state == ASSIGNMENT_OFFERED || a->state == ASSIGNMENT_OWNING;
}

struct assignment *assignment_new(uv_loop_t *loop, const struct assignment_options *options)
{
	struct assignment *a = calloc(1, sizeof(*a));

	CHECK(a);
	a->loop = loop;
	a->client = options->client;
	a->log = options->log;
	a->metrics = options->metrics;
	a->callbacks = options->callbacks;
	a->topic = strdup(options->topic);
	CHECK(a->topic);
	return a;
}

static void finish_close(struct assignment *a)
{
	void (*closed)(void *) = a->closed;
	void *closed_owner = a->closed_owner;
	struct rebalance *r, *next;

	DL_FOREACH_SAFE (a->rebalances, r, next) {
		DL_DELETE(a->rebalances, r);
		free_rebalance(r);
	}
	want(a, NULL);
	free(a->ids);
	free(a->partitions);
	free(a->topic);
	free(a);
	closed(closed_owner);
}

void assignment_close(struct assignment *a, void (*closed)(void *owner), void *owner)
{
	set_state(a, ASSIGNMENT_CLOSING);
	a->closed = closed;
	a->closed_owner = owner;
	if (a->lookup)
		cancel_lookup(a);
	else
		finish_close(a);
}
