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
 * while librdkafka waited for us): what was held before is lost then.
 *
 * What a transaction shows of the group is taken in the callback and compared when the offer is
 * accepted: if it changed meanwhile it belongs to a later assignment, and would hide from the
 * broker that this one is stale. */
#include "worker/io/assignment.h"

#include "worker/base/failpoint.h"
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
	int64_t next; /* To read; negative: a logical offset, before the first */
	bool paused;
};

/* How the group knows this member, as librdkafka writes it. */
struct membership {
	void *data; /* Owned, by rd_kafka_mem_free(); NULL: none */
	size_t size;
};

/* What librdkafka told and was not dealt with yet. */
struct rebalance {
	bool is_assign;
	bool lost;
	rd_kafka_topic_partition_list_t *partitions; /* Owned */
	struct membership membership;
	struct rebalance *prev, *next;
};

struct assignment {
	uv_loop_t *loop;             /* Borrowed, as what follows */
	struct kafka_client *client; /* NULL: detached */
	const struct log *log;
	struct metrics *metrics;
	struct assignment_callbacks callbacks;
	char *topic; /* Owned */
	uint32_t history;
	enum assignment_state state;

	struct rebalance *rebalances;              /* Owned: in the order in which they were told */
	rd_kafka_topic_partition_list_t *wanted;   /* Owned: to be looked up, or NULL */
	struct membership membership;              /* At that assignment */
	rd_kafka_consumer_group_metadata_t *group; /* Owned: of what is owned; NULL: stale */
	struct lookup *lookup;                     /* Owned; perhaps cancelled */

	int32_t *ids; /* Owned: offered, owned or to be given back; parallel to 'partitions' */
	struct partition *partitions;
	size_t n_partitions;
	bool lost;      /* They belong to others already */
	bool is_orphan; /* They were given to a client that is gone */

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

static void close_membership(struct membership *membership)
{
	if (membership->data)
		rd_kafka_mem_free(NULL, membership->data);
	*membership = (struct membership){ 0 };
}

/* 'ret' is zero when there is no membership. */
static void write_membership(const rd_kafka_consumer_group_metadata_t *group,
                             struct membership *ret)
{
	rd_kafka_error_t *error;

	*ret = (struct membership){ 0 };
	if (!group)
		return;
	error = rd_kafka_consumer_group_metadata_write(group, &ret->data, &ret->size);
	if (error) {
		rd_kafka_error_destroy(error);
		*ret = (struct membership){ 0 };
	}
}

static bool same_membership(const struct membership *a, const struct membership *b)
{
	return a->data && b->data && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void drop_group(struct assignment *a)
{
	if (a->group)
		rd_kafka_consumer_group_metadata_destroy(a->group);
	a->group = NULL;
}

/* A member that was thrown out has no member id; the broker would take its offsets unseen. */
static bool has_member_id(rd_kafka_t *rk)
{
	char *id = rd_kafka_memberid(rk);
	bool has = id && id[0] != '\0';

	if (id)
		rd_kafka_mem_free(rk, id);
	return has;
}

/* Take what transactions show of the group, if it is that of the assignment which was offered. */
static void take_group(struct assignment *a)
{
	rd_kafka_t *rk = kafka_client_handle(a->client);
	struct membership membership;

	drop_group(a);
	a->group = rd_kafka_consumer_group_metadata(rk);
	write_membership(a->group, &membership);
	if (!same_membership(&membership, &a->membership) || !has_member_id(rk) ||
	    rd_kafka_assignment_lost(rk))
		drop_group(a);
	close_membership(&membership);
}

static void hold_partitions(struct assignment *a, const struct lookup_result *result)
{
	const rd_kafka_topic_partition_list_t *list = result->partitions;
	size_t n = (size_t)list->cnt;

	free(a->ids);
	free(a->partitions);
	a->ids = calloc(n + 1, sizeof(*a->ids));
	a->partitions = calloc(n + 1, sizeof(*a->partitions));
	CHECK(a->ids && a->partitions);
	for (size_t i = 0; i < n; i++) {
		a->ids[i] = list->elems[i].partition;
		a->partitions[i].next = result->first[i];
	}
	a->n_partitions = n;
	a->lost = false;
	a->is_orphan = false;
}

static void offer(struct assignment *a, const struct lookup_result *result)
{
	const rd_kafka_topic_partition_list_t *list = result->partitions;
	struct consumer_offer *offers = calloc((size_t)list->cnt + 1, sizeof(*offers));

	CHECK(offers);
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];

		offers[i] = (struct consumer_offer){ .partition = p->partition,
			                             .offset = p->offset >= 0 ? p->offset : -1,
			                             .metadata = lookup_metadata(p) };
	}
	FAILPOINT(takeover_map_read);
	a->callbacks.assigned(a->callbacks.owner, offers, a->n_partitions,
	                      result->partitions_of_topic);
	free(offers);
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
	struct lookup_question question = { .client = a->client,
		                            .topic = a->topic,
		                            .partitions = a->wanted,
		                            .history = a->history };
	struct err err;

	if (a->state == ASSIGNMENT_IDLE && a->wanted)
		set_state(a, ASSIGNMENT_LOOKING_UP);
	if (a->state != ASSIGNMENT_LOOKING_UP || a->lookup)
		return;
	a->lookup = lookup_start(a->loop, &question, on_looked_up, a, &err);
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
			hold_partitions(a, result);
			want(a, NULL);
			set_state(a, ASSIGNMENT_OFFERED);
			kafka_client_works(a->client);
			metrics_add(a->metrics, METRIC_rebalances, 1);
			offer(a, result);
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

/* Have the owner give back what it has, if it has anything. The group's membership stays until the
 * release: what is under way may still be committed. What is lost while it is given back is told
 * again: nobody need wait for it any more. */
static void take_back(struct assignment *a, bool lost)
{
	if (a->state == ASSIGNMENT_OFFERED || a->state == ASSIGNMENT_OWNING) {
		set_state(a, ASSIGNMENT_REVOKING);
		FAILPOINT(revoke_begun);
	} else if (a->state != ASSIGNMENT_REVOKING || a->lost || !lost) {
		return;
	}
	a->lost = lost;
	a->callbacks.revoked(a->callbacks.owner, a->ids, a->n_partitions, lost);
}

/* Whatever was held before is not ours any more when a new assignment comes without a revocation.
 */
static void handle_assign(struct assignment *a, struct rebalance *r)
{
	want(a, r->partitions);
	r->partitions = NULL;
	close_membership(&a->membership);
	a->membership = r->membership;
	r->membership = (struct membership){ 0 };
	if (a->state == ASSIGNMENT_LOOKING_UP) {
		cancel_lookup(a);
		set_state(a, ASSIGNMENT_IDLE);
	}
	take_back(a, true);
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
	else
		take_back(a, lost);
}

static void free_rebalance(struct rebalance *r)
{
	if (r->partitions)
		rd_kafka_topic_partition_list_destroy(r->partitions);
	close_membership(&r->membership);
	free(r);
}

static void forget_rebalances(struct assignment *a)
{
	struct rebalance *r, *next;

	DL_FOREACH_SAFE (a->rebalances, r, next) {
		DL_DELETE(a->rebalances, r);
		free_rebalance(r);
	}
}

void assignment_serve(struct assignment *a)
{
	while (a->rebalances && a->state != ASSIGNMENT_CLOSING) {
		struct rebalance *r = a->rebalances;

		DL_DELETE(a->rebalances, r);
		if (r->is_assign) {
			handle_assign(a, r);
		} else {
			handle_revoke(a, r->lost);
		}
		free_rebalance(r);
	}
}

void assignment_note(struct assignment *a, rd_kafka_resp_err_t what,
                     const rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_t *rk = kafka_client_handle(a->client);
	struct rebalance *r = calloc(1, sizeof(*r));
	rd_kafka_consumer_group_metadata_t *group;

	CHECK(r);
	group = rd_kafka_consumer_group_metadata(rk);
	write_membership(group, &r->membership);
	if (group)
		rd_kafka_consumer_group_metadata_destroy(group);
	r->is_assign = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
	r->lost = rd_kafka_assignment_lost(rk) != 0;
	r->partitions = rd_kafka_topic_partition_list_copy(partitions);
	DL_APPEND(a->rebalances, r);
}

void assignment_retry(struct assignment *a)
{
	advance(a);
}

bool assignment_accept(struct assignment *a)
{
	rd_kafka_topic_partition_list_t *list;

	if (a->state != ASSIGNMENT_OFFERED)
		return false;
	list = rd_kafka_topic_partition_list_new((int)a->n_partitions);
	for (size_t i = 0; i < a->n_partitions; i++) {
		rd_kafka_topic_partition_list_add(list, a->topic, a->ids[i])->offset =
		    a->partitions[i].next;
	}
	set_state(a, ASSIGNMENT_OWNING);
	take_group(a);
	assign(a, list);
	rd_kafka_topic_partition_list_destroy(list);
	return true;
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
	for (size_t i = 0; !a->is_orphan && i < a->n_partitions; i++) {
		if (a->partitions[i].paused)
			switch_fetching(a, a->ids[i], rd_kafka_resume_partitions);
	}
	FAILPOINT(revoke_before_unassign);
	if (!a->is_orphan)
		assign(a, NULL);
	drop_group(a);
	a->n_partitions = 0;
	set_state(a, ASSIGNMENT_IDLE);
	advance(a);
}

void assignment_detach(struct assignment *a)
{
	forget_rebalances(a);
	want(a, NULL);
	a->is_orphan = true;
	if (a->state == ASSIGNMENT_LOOKING_UP) {
		cancel_lookup(a);
		set_state(a, ASSIGNMENT_IDLE);
	}
	take_back(a, true);
	a->client = NULL;
}

void assignment_attach(struct assignment *a, struct kafka_client *client)
{
	a->client = client;
}

/* Have librdkafka fetch the partition from where we are. It drops what its queue has of it, and its
 * thread, which may sleep until a second has passed, looks at once what there is to fetch: a
 * partition that is resumed does not wake it. Nothing is waited for, so nothing can fail but what
 * is lost. */
static void seek(struct assignment *a, size_t i)
{
	rd_kafka_topic_partition_list_t *list;

	if (a->partitions[i].next < 0)
		return;
	list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, a->topic, a->ids[i])->offset =
	    a->partitions[i].next;
	rd_kafka_error_destroy(rd_kafka_seek_partitions(kafka_client_handle(a->client), list, 0));
	rd_kafka_topic_partition_list_destroy(list);
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
	if (!paused)
		seek(a, (size_t)(p - a->partitions));
}

void assignment_refetch(struct assignment *a)
{
	if (a->state != ASSIGNMENT_OWNING)
		return;
	for (size_t i = 0; i < a->n_partitions; i++) {
		if (!a->partitions[i].paused)
			seek(a, i);
	}
}

bool assignment_pass(struct assignment *a, int32_t partition, int64_t next)
{
	struct partition *p = a->state == ASSIGNMENT_OWNING ? find_partition(a, partition) : NULL;

	if (p)
		p->next = next;
	return p;
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

const rd_kafka_consumer_group_metadata_t *assignment_group(const struct assignment *a)
{
	bool ours = a->state == ASSIGNMENT_OWNING || a->state == ASSIGNMENT_REVOKING;

	return ours && !a->lost ? a->group : NULL;
}

struct assignment *assignment_new(uv_loop_t *loop, const struct assignment_options *options)
{
	struct assignment *a = calloc(1, sizeof(*a));

	CHECK(a);
	a->loop = loop;
	a->client = options->client;
	a->log = options->log;
	a->metrics = options->metrics;
	a->history = options->history;
	a->callbacks = options->callbacks;
	a->topic = strdup(options->topic);
	CHECK(a->topic);
	return a;
}

static void finish_close(struct assignment *a)
{
	void (*closed)(void *) = a->closed;
	void *closed_owner = a->closed_owner;

	forget_rebalances(a);
	want(a, NULL);
	close_membership(&a->membership);
	drop_group(a);
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
