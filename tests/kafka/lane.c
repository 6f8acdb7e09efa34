/* Consumer, committer and transaction against a real broker, with a ledger that fits into this
 * file.
 *
 *     kafka-lane BOOTSTRAP COMMANDS REPLIES GROUP INSTANCE [N]
 *     kafka-lane show BOOTSTRAP COMMANDS GROUP
 *     kafka-lane commit BOOTSTRAP COMMANDS GROUP OFFSET HEX
 *
 * The last two read and write what a group that nobody is in has committed for partition 0.
 *
 * Each record is marked, and when that is granted a reply with its value goes out in a transaction.
 * What was started before is not answered again, but reported. Tells on stdout what happens; takes
 * `renew` and `quit` from stdin; with N it ends by itself when so many records have a reply. The
 * value "huge" makes a reply that no broker takes. LANE_DIE names a call of librdkafka's before
 * which the process kills itself. */
#include "worker/io/transaction.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 4096
#define HUGE_SIZE   900000

/* Linked in place of librdkafka's: see CMakeLists.txt. */
rd_kafka_error_t *__real_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);

rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms)
{
	const char *die = getenv("LANE_DIE");

	if (die && strcmp(die, "commit") == 0)
		raise(SIGKILL);
	return __real_rd_kafka_commit_transaction(rk, timeout_ms);
}

struct entry {
	char state; /* n: new, s: started, r: replied; staged ones are 'p' */
	char value[64];
};

struct lane {
	uv_loop_t loop;
	struct log log;
	struct metrics metrics;
	const char *replies;
	struct consumer *consumer;
	struct committer *committer;
	struct transaction *transaction;
	struct entry entries[RECORDS_MAX];
	int64_t frontier;
	int64_t end;
	int64_t wanted; /* -1: until told */
	bool is_owner;
	bool is_ending;
	uv_pipe_t input;
	char line[64];
};

static void end(struct lane *l);

static bool on_map(void *owner, int32_t partition, enum committer_view view, int64_t *ret_offset,
                   struct buffer *text)
{
	struct lane *l = owner;
	int64_t from = l->frontier;

	(void)partition;
	while (from < l->end && (l->entries[from].state == 'r' ||
	                         (view == COMMITTER_STAGED && l->entries[from].state == 'p')))
		from++;
	*ret_offset = from;
	buffer_append_text(text, "m");
	for (int64_t o = from; o < l->end; o++) {
		char state = l->entries[o].state;

		if (state == 'p')
			state = view == COMMITTER_STAGED ? 'r' : 's';
		buffer_append_char(text, state);
	}
	return buffer_ok(text);
}

static void take_map(struct lane *l, const struct consumer_offer *offer)
{
	memset(l->entries, 0, sizeof(l->entries));
	l->frontier = offer->offset < 0 ? 0 : offer->offset;
	l->end = l->frontier;
	printf("assigned %d %d ", (int)offer->partition, (int)offer->offset);
	for (size_t i = 0; i < offer->metadata.size; i++)
		printf("%02x", (unsigned char)offer->metadata.data[i]);
	printf("\n");
	for (size_t i = 1; i < offer->metadata.size; i++)
		l->entries[l->end++].state = offer->metadata.data[i];
}

static void on_assigned(void *owner, const struct consumer_offer *offers, size_t n, int32_t of)
{
	struct lane *l = owner;

	(void)of;
	if (n != 1)
		return;
	committer_reset(l->committer);
	take_map(l, offers);
	committer_touch(l->committer, 0);
	l->is_owner = true;
	consumer_accept(l->consumer);
}

static void on_reset(void *owner)
{
	struct lane *l = owner;

	committer_forget(l->committer, 0);
	consumer_release(l->consumer);
}

static void on_revoked(void *owner, const int32_t *partitions, size_t n, bool lost)
{
	struct lane *l = owner;

	(void)partitions;
	(void)n;
	printf("revoked %d\n", lost);
	l->is_owner = false;
	transaction_reset(l->transaction, on_reset, l);
}

static void end_if_done(struct lane *l)
{
	while (l->frontier < l->end && l->entries[l->frontier].state == 'r')
		l->frontier++;
	if (l->frontier == l->wanted)
		end(l);
}

static void on_record(void *owner, const struct record *record)
{
	struct lane *l = owner;
	struct entry *e = &l->entries[record->offset];

	if (record->offset < l->frontier) {
		printf("history %d\n", (int)record->offset);
		return;
	}
	snprintf(e->value, sizeof(e->value), "%.*s", (int)record->value.size, record->value.data);
	if (e->state == 's')
		printf("in-doubt %d\n", (int)record->offset);
	if (e->state == 'r')
		return;
	if (record->offset >= l->end)
		l->end = record->offset + 1;
	e->state = 's';
	committer_mark(l->committer, 0, (uint64_t)record->offset);
}

static void on_position(void *owner, int32_t partition, int64_t offset)
{
	(void)owner;
	(void)partition;
	(void)offset;
}

static void reply(struct lane *l, uint64_t id)
{
	struct entry *e = &l->entries[id];
	size_t size = strcmp(e->value, "huge") == 0 ? HUGE_SIZE : strlen(e->value);
	char *value = calloc(size + sizeof(e->value), 1);
	struct record_header header = { bytes_of("name"), bytes_of("v"), false };
	struct publisher_write write = { .id = id,
		                         .topic = strcmp(e->value, "lost") == 0 ? "no-such-topic"
		                                                                : l->replies,
		                         .has_key = true,
		                         .key = bytes_of("key"),
		                         .value = { value, size },
		                         .headers = &header,
		                         .n_headers = 1 };

	memcpy(value, e->value, strlen(e->value));
	transaction_write(l->transaction, &write);
	free(value);
}

static void on_marked(void *owner, const uint64_t *ids, size_t n)
{
	struct lane *l = owner;

	if (!committer_may_send(l->committer))
		printf("may-not-send\n");
	for (size_t i = 0; i < n; i++)
		reply(l, ids[i]);
}

static void on_staged(void *owner, const uint64_t *ids, size_t n)
{
	struct lane *l = owner;

	for (size_t i = 0; i < n; i++)
		l->entries[ids[i]].state = 'p';
}

static void on_unstaged(void *owner)
{
	struct lane *l = owner;

	printf("unstaged\n");
	for (int64_t o = l->frontier; o < l->end; o++)
		l->entries[o].state = l->entries[o].state == 'p' ? 's' : l->entries[o].state;
}

/* What is refused gets another reply, as the worker does with a dead letter. */
static void on_written(void *owner, uint64_t id, const char *error)
{
	struct lane *l = owner;

	if (error) {
		printf("refused %d\n", (int)id);
		snprintf(l->entries[id].value, sizeof(l->entries[id].value), "refused-%d", (int)id);
		reply(l, id);
		return;
	}
	l->entries[id].state = 'r';
	end_if_done(l);
}

static void on_committed(void *owner, uint64_t opaque, const char *error)
{
	struct lane *l = owner;

	if (error)
		printf("commit-error %s\n", error);
	committer_committed(l->committer, opaque, error);
}

static void on_broken(void *owner, const char *why)
{
	struct lane *l = owner;

	printf("broken %s\n", why);
	consumer_renew(l->consumer);
}

static void on_fatal(void *owner, const char *message)
{
	printf("fatal %s\n", message);
	end(owner);
}

static void on_consumer_closed(void *owner)
{
	(void)owner;
	printf("closed\n");
}

static void on_committer_closed(void *owner)
{
	struct lane *l = owner;

	consumer_close(l->consumer, duration_ms(5000), on_consumer_closed, l);
}

static void on_transaction_closed(void *owner)
{
	struct lane *l = owner;

	committer_close(l->committer, on_committer_closed, l);
}

static void end(struct lane *l)
{
	if (l->is_ending)
		return;
	l->is_ending = true;
	uv_close((uv_handle_t *)&l->input, NULL);
	transaction_close(l->transaction, duration_ms(5000), on_transaction_closed, l);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct lane *l = handle->data;

	(void)size;
	*buf = uv_buf_init(l->line, sizeof(l->line) - 1);
}

static void on_line(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct lane *l = stream->data;

	if (n > 0 && strncmp(buf->base, "renew", 5) == 0)
		consumer_renew(l->consumer);
	else if (n != 0)
		end(l);
}

static void open_all(struct lane *l, char **argv)
{
	struct kafka_property list[] = { { "bootstrap.servers", argv[1] },
		                         { "heartbeat.interval.ms", "300" },
		                         { "message.max.bytes", "1500000" } };
	struct kafka_properties kafka = { list, 3 };
	struct consumer_options consumer = { .kafka = &kafka,
		                             .topic = argv[2],
		                             .group = argv[4],
		                             .instance_id = argv[5],
		                             .batch = 100,
		                             .history = 5,
		                             .session_timeout = duration_ms(6000) };
	struct consumer_callbacks hears = { .owner = l,
		                            .record = on_record,
		                            .position = on_position,
		                            .assigned = on_assigned,
		                            .revoked = on_revoked,
		                            .committed = on_committed,
		                            .fatal = on_fatal };
	struct committer_options lane = { .marks_are_commits = true,
		                          .deadline = duration_ms(3000),
		                          .lease = duration_ms(4000) };
	struct committer_callbacks asks = {
		.owner = l, .marked = on_marked, .map = on_map, .broken = on_broken
	};
	struct transaction_options options = { .kafka = &kafka,
		                               .transactional_id = argv[5],
		                               .timeout = duration_ms(5000),
		                               .gap = duration_ms(3),
		                               .max_writes = 500 };
	struct transaction_callbacks tells = { .owner = l,
		                               .staged = on_staged,
		                               .written = on_written,
		                               .unstaged = on_unstaged,
		                               .fatal = on_fatal };
	struct err err;

	l->consumer = consumer_new(&l->loop, &consumer, &hears, &l->log, &l->metrics, &err);
	CHECK(l->consumer);
	l->committer =
	    committer_new(&l->loop, l->consumer, &lane, &asks, &l->log, &l->metrics, &err);
	CHECK(l->committer);
	l->transaction =
	    transaction_new(&l->loop, l->consumer, l->committer, &options, &tells, &l->log, &err);
	CHECK(l->transaction);
	CHECK(consumer_start(l->consumer, &err) == 0);
}

static size_t from_hex(const char *hex, char *bytes, size_t size)
{
	size_t n = 0;
	unsigned byte;

	while (n < size && sscanf(hex + 2 * n, "%2x", &byte) == 1)
		bytes[n++] = (char)byte;
	return n;
}

static void print_committed(const rd_kafka_topic_partition_t *p)
{
	const unsigned char *metadata = p->metadata;

	printf("%d ", (int)p->offset);
	for (size_t i = 0; i < p->metadata_size; i++)
		printf("%02x", metadata[i]);
	printf("\n");
}

/* The two small commands. The exit status. */
static int look(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, argv[3], 0);
	rd_kafka_resp_err_t error;
	char why[200];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", argv[2], why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", argv[4], why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	CHECK(rk);
	if (argc == 7) {
		p->offset = strtol(argv[5], NULL, 10);
		p->metadata = malloc(100);
		p->metadata_size = from_hex(argv[6], p->metadata, 100);
		error = rd_kafka_commit(rk, list, 0);
	} else {
		error = rd_kafka_committed(rk, list, 10000);
		print_committed(p);
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
	return error ? 1 : 0;
}

static int run(int argc, char **argv)
{
	struct lane *l = calloc(1, sizeof(*l));
	int left;

	if (!l || argc < 6)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	uv_loop_init(&l->loop);
	log_init(&l->log, stderr, LOG_DEBUG);
	l->replies = argv[3];
	l->wanted = argc > 6 ? strtol(argv[6], NULL, 10) : -1;
	uv_pipe_init(&l->loop, &l->input, 0);
	l->input.data = l;
	CHECK(uv_pipe_open(&l->input, 0) == 0);
	uv_read_start((uv_stream_t *)&l->input, on_alloc, on_line);
	open_all(l, argv);
	uv_run(&l->loop, UV_RUN_DEFAULT);
	left = uv_loop_close(&l->loop);
	free(l);
	return left == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 4 && (strcmp(argv[1], "show") == 0 || strcmp(argv[1], "commit") == 0))
		return look(argc, argv);
	return run(argc, argv);
}
