/* See member.h. */
#include "member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_record(void *owner, const struct record *record)
{
	struct member *m = owner;
	char text[16];

	assert_in_range(record->partition, 0, PARTITIONS_MAX - 1);
	snprintf(text, sizeof(text), "%d", (int)record->offset);
	assert_true(bytes_equal_text(record->value, text));
	assert_true(record->has_key && bytes_equal_text(record->key, "key"));
	assert_int_equal(record->n_headers, 1);
	assert_true(bytes_equal_text(record->headers[0].name, "name"));
	assert_true(bytes_equal_text(record->headers[0].value, "v"));
	assert_true(record->timestamp.us > 0);
	if (m->next[record->partition] < 0)
		m->first[record->partition] = record->offset;
	else if (record->offset != m->next[record->partition])
		m->n_jumps++;
	m->next[record->partition] = record->offset + 1;
	m->n_records++;
	if (++m->in_turn > m->most_in_turn)
		m->most_in_turn = m->in_turn;
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	struct member *m = owner;

	m->end[partition] = offset;
}

static void on_assigned(void *owner, const struct consumer_offer *offers, size_t n,
                        int32_t of_topic)
{
	struct member *m = owner;

	m->n_assigned++;
	m->is_revoked = false;
	m->n_partitions = n;
	m->offered = n > 0 ? offers[0].offset : -1;
	if (n > 0)
		snprintf(m->metadata, sizeof(m->metadata), "%.*s", (int)offers[0].metadata.size,
		         offers[0].metadata.data);
	m->partitions_of_topic = of_topic;
	if (!m->holds_offers)
		consumer_accept(m->consumer);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t n, bool lost)
{
	struct member *m = owner;

	(void)partitions;
	assert_int_equal(n, m->n_partitions);
	assert_true(!m->is_revoked || (lost && !m->lost));
	m->is_revoked = true;
	m->n_revoked++;
	m->lost = lost;
	m->next[0] = -1;
	if (!m->holds_revokes)
		consumer_release(m->consumer);
}

static void on_committed(void *owner, uint64_t opaque, const char *error)
{
	struct member *m = owner;

	m->answered = opaque;
	snprintf(m->error, sizeof(m->error), "%s", error ? error : "");
}

static void on_fatal(void *owner, const char *message)
{
	struct member *m = owner;

	assert_true(strlen(message) > 0);
	assert_false(m->is_fatal);
	m->is_fatal = true;
}

static void on_closed(void *owner)
{
	struct member *m = owner;

	m->closed = true;
}

/* The end of the poll phase, in which all records of a turn are delivered. */
static void on_check(uv_check_t *check)
{
	struct member *m = check->data;

	m->in_turn = 0;
}

struct member *member_new(struct world *w, const struct member_options *how)
{
	struct member *m = calloc(1, sizeof(*m));
	struct kafka_property list[] = { w->cluster.bootstrap,
		                         { "reconnect.backoff.max.ms", "200" },
		                         { "heartbeat.interval.ms", "200" },
		                         { "compression.codec", "lz4" } };
	struct kafka_properties properties = { list, 4 };
	struct consumer_options options = {
		.kafka = &properties,
		.topic = TOPIC,
		.group = GROUP,
		.instance_id = how ? how->instance_id : NULL,
		.batch = how && how->batch ? how->batch : 1000,
		.history = how ? how->history : 0,
		.session_timeout = duration_ms(how && how->session_ms ? how->session_ms : 6000),
	};
	struct consumer_callbacks callbacks = {
		.owner = m,
		.record = on_record,
		.position = on_position,
		.assigned = on_assigned,
		.revoked = on_revoked,
		.committed = on_committed,
		.fatal = on_fatal,
	};
	struct err err;

	m->world = w;
	for (int i = 0; i < PARTITIONS_MAX; i++) {
		m->next[i] = -1;
		m->first[i] = -1;
		m->end[i] = -1;
	}
	m->consumer = consumer_new(&w->loop, &options, &callbacks, &w->log, &w->metrics, &err);
	assert_non_null(m->consumer);
	assert_false(consumer_is_member(m->consumer));
	uv_check_init(&w->loop, &m->check);
	m->check.data = m;
	uv_check_start(&m->check, on_check);
	assert_int_equal(consumer_start(m->consumer, &err), 0);
	return m;
}

static bool is_closed(void *arg)
{
	struct member *m = arg;

	return m->closed;
}

void member_close(struct member *m, int64_t deadline_ms)
{
	struct world *w = m->world;

	uv_close((uv_handle_t *)&m->check, NULL);
	consumer_close(m->consumer, duration_ms(deadline_ms), on_closed, m);
	loop_until(&w->loop, is_closed, m);
	free(m);
}

static bool has_records(void *arg)
{
	struct member *m = arg;

	return m->n_records >= m->wanted;
}

void member_wait_records(struct member *m, size_t n)
{
	m->wanted = n;
	loop_until(&m->world->loop, has_records, m);
}

static bool is_assigned(void *arg)
{
	struct member *m = arg;

	return m->n_assigned >= m->wanted;
}

void member_wait_assigned(struct member *m, size_t n)
{
	m->wanted = n;
	loop_until(&m->world->loop, is_assigned, m);
}

bool member_is_revoked(void *arg)
{
	struct member *m = arg;

	return m->n_revoked >= m->wanted;
}

bool member_is_answered(void *arg)
{
	struct member *m = arg;

	return m->answered == m->wanted;
}

bool member_is_fatal(void *arg)
{
	struct member *m = arg;

	return m->is_fatal;
}

bool member_is_at_end(void *arg)
{
	struct member *m = arg;

	return m->end[0] >= (int64_t)m->wanted;
}

int world_setup(void **state)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	uv_loop_init(&w.loop);
	log_init(&w.log, open_memstream(&w.log_text, &w.log_size), LOG_DEBUG);
	cluster_init(&w.cluster, TOPIC, 1);
	*state = &w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	loop_end(&w->loop);
	cluster_close(&w->cluster);
	fclose(w->log.file);
	assert_null(strstr(w->log_text, "CONFWARN"));
	free(w->log_text);
	return 0;
}

void member_commit(struct member *m, int64_t offset, uint64_t opaque)
{
	struct consumer_position position = { 0, offset, bytes_of("a map") };
	struct err err;

	assert_int_equal(consumer_commit(m->consumer, &position, 1, opaque, &err), 0);
	m->wanted = opaque;
	loop_until(&m->world->loop, member_is_answered, m);
}
