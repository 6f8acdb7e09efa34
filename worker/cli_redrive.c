/* The redrive's command: see cli_redrive.h.
 *
 * The dead-letter topic is read once, partition by partition as it comes. What is wanted goes back
 * in transactions of CHUNK letters, each of which also commits how far every partition is: a run
 * that is killed, or started again, puts nothing back a second time. Workers read nothing behind an
 * open transaction, and brokers abort one that lasts: it is committed in time, whether CHUNK
 * letters were found or not. */
#include "worker/cli_redrive.h"

#include "worker/cli_refusal.h"
#include "worker/io/clock.h"
#include "worker/io/letters.h"
#include "worker/io/reposter.h"
#include "worker/letter_place.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

/* Letters, and bytes of them, in one transaction. */
#define CHUNK       500
#define CHUNK_BYTES (8 * 1024 * 1024)

/* How long one is open while letters are read. */
#define CHUNK_TIME duration_ms(1000)

/* So many letters are read between two lines of progress. */
#define PROGRESS 10000

#define SUFFIX "-redrive"

struct counts {
	int64_t read;
	int64_t put; /* Or, in a dry run, shown */
	int64_t before;
	int64_t left[LETTER_VERDICTS];
	int64_t forgotten;
};

/* One run of the command. */
struct session {
	const struct cli_redrive_arguments *arguments; /* Borrowed */
	const struct config *config;                   /* Borrowed */
	struct letter_filter filter;
	char *name; /* Owned: of the group, and of the transactions */
	struct letters *letters;
	struct reposter *reposter;   /* NULL in a dry run */
	struct letter_place *places; /* Owned; by partition */
	int32_t n_places;
	int32_t n_open;            /* Places that are not over */
	int32_t target_partitions; /* Of the command topic */
	int64_t chunk, chunk_bytes;
	instant_t chunk_ends; /* When it is to be committed; never while nothing is put */
	struct counts counts;
};

static int reposter_code(enum reposter_result result, const struct err *err)
{
	if (result == REPOSTER_OK)
		return EX_OK;
	return cli_refuse(result == REPOSTER_REFUSED ? EX_NOPERM : EX_UNAVAILABLE, "%s", err->msg);
}

static int letters_code(enum letters_result result, const struct err *err)
{
	if (result != LETTERS_UNREACHABLE && result != LETTERS_REFUSED)
		return EX_OK;
	return cli_refuse(result == LETTERS_REFUSED ? EX_NOPERM : EX_UNAVAILABLE, "%s", err->msg);
}

/* How many partitions the command topic has. */
static int count_target(struct session *s)
{
	const struct config *c = s->config;
	struct err err = { .msg = "" };
	struct offsets *offsets = offsets_new(&c->kafka, s->name, c->topics.commands, &err);
	int code;

	if (!offsets)
		return cli_refuse(EX_UNAVAILABLE, "%s", err.msg);
	code = cli_offsets_code(offsets_partitions(offsets, &s->target_partitions, &err), &err);
	offsets_free(offsets);
	return code;
}

/* From here on a run that is still going on elsewhere cannot commit any more. */
static int open_reposter(struct session *s)
{
	const struct config *c = s->config;
	const struct reposter_options options = {
		.kafka = &c->kafka,
		.transactional_id = s->name,
		.group = s->name,
		.source = c->topics.dead_letters,
		.target = c->topics.commands,
	};
	struct err err = { .msg = "" };

	if (s->arguments->dry_run)
		return EX_OK;
	s->reposter = reposter_new(&options, &err);
	if (!s->reposter)
		return cli_refuse(EX_UNAVAILABLE, "%s", err.msg);
	return reposter_code(reposter_begin(s->reposter, &err), &err);
}

static int open_place(struct session *s, const struct offsets_position *at)
{
	struct letter_place *place = &s->places[s->n_places++];

	switch (letter_place_init(place, at, s->arguments->from_beginning)) {
	case LETTER_PLACE_OK:
		break;
	case LETTER_PLACE_BEHIND_END:
		return cli_refuse(EX_NOPERM,
		                  "partition %" PRId32 ": offset %" PRId64
		                  " was reached before, and the topic ends at %" PRId64
		                  ": was it made anew? --from-beginning reads all of it",
		                  at->partition, at->committed, at->high);
	case LETTER_PLACE_MALFORMED:
		return cli_refuse(EX_NOPERM,
		                  "partition %" PRId32 ": what group %s has committed is not of a "
		                  "redrive; --from-beginning reads all of it",
		                  at->partition, s->name);
	}
	s->n_open += !place->is_over;
	return EX_OK;
}

static int open_places(struct session *s)
{
	const struct config *c = s->config;
	struct err err = { .msg = "" };
	struct offsets *offsets = offsets_new(&c->kafka, s->name, c->topics.dead_letters, &err);
	struct offsets_list list = { 0 };
	int32_t n = 0;
	int code;

	if (!offsets)
		return cli_refuse(EX_UNAVAILABLE, "%s", err.msg);
	code = cli_offsets_code(offsets_partitions(offsets, &n, &err), &err);
	if (code == EX_OK)
		code = cli_offsets_code(offsets_read(offsets, 0, n, &list, &err), &err);
	s->places = calloc((size_t)n + 1, sizeof(*s->places));
	CHECK(s->places);
	for (size_t i = 0; code == EX_OK && i < list.count; i++)
		code = open_place(s, &list.positions[i]);
	offsets_list_close(&list);
	offsets_free(offsets);
	return code;
}

static int open_letters(struct session *s)
{
	int64_t *starts = calloc((size_t)s->n_places + 1, sizeof(*starts));
	struct err err = { .msg = "" };
	int code;

	CHECK(starts);
	for (int32_t i = 0; i < s->n_places; i++)
		starts[i] = s->places[i].is_over ? -1 : s->places[i].start;
	s->letters = letters_new(&s->config->kafka, s->name, s->config->topics.dead_letters, &err);
	code = s->letters ? letters_code(letters_begin(s->letters, starts, s->n_places, &err), &err)
	                  : cli_refuse(EX_UNAVAILABLE, "%s", err.msg);
	free(starts);
	return code;
}

static int open_session(struct session *s)
{
	int code;

	CHECK(asprintf(&s->name, "%s" SUFFIX, s->config->consumer.group) >= 0);
	s->filter = s->arguments->filter;
	s->filter.topic = s->config->topics.commands;
	code = count_target(s);
	if (code == EX_OK)
		code = open_reposter(s);
	if (code == EX_OK)
		code = open_places(s);
	if (code == EX_OK)
		code = open_letters(s);
	return code;
}

static void close_session(struct session *s)
{
	letters_free(s->letters);
	reposter_free(s->reposter);
	for (int32_t i = 0; i < s->n_places; i++)
		letter_place_close(&s->places[i]);
	free(s->places);
	free(s->name);
}

static void show_progress(const struct session *s)
{
	fprintf(stderr, "invite-worker: %" PRId64 " read, %" PRId64 " %s\n", s->counts.read,
	        s->counts.put, s->arguments->dry_run ? "would be put back" : "put back");
}

/* Texts of all places in one buffer: where each begins is kept until it does not move any more. */
static void write_places(struct session *s, struct reposter_position *positions,
                         struct buffer *texts)
{
	for (int32_t i = 0; i < s->n_places; i++) {
		size_t begin = texts->size;

		s->counts.forgotten +=
		    letter_place_write(&s->places[i], &positions[i].offset, texts);
		positions[i].partition = i;
		positions[i].metadata.size = texts->size - begin;
	}
	CHECK(buffer_ok(texts));
	for (int32_t i = 0, begin = 0; i < s->n_places; i++) {
		positions[i].metadata.data = buffer_bytes(texts).data + begin;
		begin += (int32_t)positions[i].metadata.size;
	}
}

static int commit_chunk(struct session *s)
{
	struct reposter_position *positions;
	struct err err = { .msg = "" };
	struct buffer texts;
	int code;

	if (s->chunk == 0 || !s->reposter)
		return EX_OK;
	positions = calloc((size_t)s->n_places, sizeof(*positions));
	CHECK(positions);
	buffer_init(&texts, ((size_t)s->n_places + 1) * OFFSET_SET_TEXT_MAX);
	s->counts.forgotten = 0;
	write_places(s, positions, &texts);
	code =
	    reposter_code(reposter_commit(s->reposter, positions, (size_t)s->n_places, &err), &err);
	buffer_close(&texts);
	free(positions);
	s->chunk = s->chunk_bytes = 0;
	s->chunk_ends = INSTANT_NEVER;
	show_progress(s);
	return code;
}

static void show(const struct session *s, const struct letter *letter)
{
	const struct record *record = letter->record;
	char date[WALL_TEXT_SIZE];

	wall_format(record->timestamp, date);
	if (s->counts.put == 0)
		printf("%9s  %10s  %-24s  %-15s  %7s  %s\n", "PARTITION", "OFFSET", "WRITTEN",
		       "REASON", "BYTES", "CALL");
	printf("%9" PRId32 "  %10" PRId64 "  %-24s  %-15s  %7zu  %s\n", record->partition,
	       record->offset, date, letter_reason(letter), record->value.size, letter->call);
}

/* The record as it was, and a header that says where it comes from. */
static int put(struct session *s, const struct letter *letter)
{
	const struct record *from = letter->record;
	struct record_header *headers = calloc(from->n_headers + 1, sizeof(*headers));
	struct record to = *from;
	struct err err = { .msg = "" };
	char place[320];
	int code;

	CHECK(headers);
	s->chunk_ends = instant_min(s->chunk_ends, instant_add(clock_now(), CHUNK_TIME));
	to.n_headers = 0;
	for (size_t i = 0; i < from->n_headers; i++) {
		struct bytes name = from->headers[i].name;

		if (!record_is_dead_letter_header(name) && !bytes_equal_text(name, RECORD_REDRIVE))
			headers[to.n_headers++] = from->headers[i];
	}
	snprintf(place, sizeof(place), "%s-%" PRId32 "-%" PRId64, s->config->topics.dead_letters,
	         from->partition, from->offset);
	headers[to.n_headers++] =
	    (struct record_header){ .name = bytes_of(RECORD_REDRIVE), .value = bytes_of(place) };
	to.headers = headers;
	/* Where it stood before; where its key belongs, if there is no such partition any more. */
	to.partition = letter->partition < s->target_partitions ? letter->partition : -1;
	code = reposter_code(reposter_put(s->reposter, &to, &err), &err);
	free(headers);
	return code;
}

static int take_wanted(struct session *s, struct letter_place *place, const struct letter *letter)
{
	const struct record *record = letter->record;
	int code = EX_OK;

	if (s->arguments->dry_run)
		show(s, letter);
	else
		code = put(s, letter);
	if (code != EX_OK)
		return code;
	letter_place_note(place, record->offset, true);
	s->counts.put++;
	s->chunk++;
	s->chunk_bytes += (int64_t)record_size(record);
	if (s->chunk >= CHUNK || s->chunk_bytes >= CHUNK_BYTES)
		return commit_chunk(s);
	return EX_OK;
}

static void report_short(const struct letter *letter)
{
	const struct record *record = letter->record;

	cli_refuse(EX_OK,
	           "partition %" PRId32 " offset %" PRId64
	           " has no value: the record stood at %.*s, "
	           "partition %" PRId32 ", offset %" PRId64,
	           record->partition, record->offset, (int)letter->topic.size, letter->topic.data,
	           letter->partition, letter->offset);
}

static int take_letter(struct session *s, const struct record *record)
{
	struct letter_place *place = &s->places[record->partition];
	bool was_done = letter_place_was_done(place, record->offset);
	enum letter_verdict verdict;
	struct letter letter;

	if (++s->counts.read % PROGRESS == 0)
		show_progress(s);
	if (was_done && !s->arguments->from_beginning) {
		s->counts.before++;
		letter_place_note(place, record->offset, true);
		return EX_OK;
	}
	letter_read(record, &letter);
	verdict = letter_judge(&s->filter, &letter);
	if (verdict == LETTER_WANTED)
		return take_wanted(s, place, &letter);
	if (verdict == LETTER_SHORT)
		report_short(&letter);
	s->counts.left[verdict]++;
	letter_place_note(place, record->offset, was_done);
	return EX_OK;
}

/* What comes behind the end that was there at the beginning is for the next run. */
static void end_place(struct session *s, int32_t partition, int64_t offset)
{
	struct letter_place *place = &s->places[partition];

	if (place->is_over)
		return;
	letter_place_end(place, offset < place->high ? offset : place->high);
	s->n_open--;
	letters_leave(s->letters, partition);
}

static bool is_limited(const struct session *s)
{
	return s->arguments->limit >= 0 && s->counts.put >= s->arguments->limit;
}

static int read_all(struct session *s)
{
	int code = EX_OK;

	while (code == EX_OK && s->n_open > 0 && !is_limited(s)) {
		struct err err = { .msg = "" };
		enum letters_result result;
		struct record record;

		if (!instant_before(clock_now(), s->chunk_ends)) {
			code = commit_chunk(s);
			continue;
		}
		result = letters_next(s->letters, s->chunk_ends, &record, &err);
		code = letters_code(result, &err);
		if (code != EX_OK)
			break;
		if (result == LETTERS_DUE)
			continue;
		if (result == LETTERS_END || record.offset >= s->places[record.partition].high)
			end_place(s, record.partition, record.offset);
		else if (!s->places[record.partition].is_over)
			code = take_letter(s, &record);
	}
	return code;
}

static void print_summary(const struct session *s)
{
	const struct counts *c = &s->counts;

	printf("%" PRId64 " read, %" PRId64 " %s, %" PRId64 " were before\n", c->read, c->put,
	       s->arguments->dry_run ? "would be put back" : "put back", c->before);
	printf("left out: %" PRId64 " others than asked for, %" PRId64 " unknown, %" PRId64
	       " cut short, %" PRId64 " of other topics\n",
	       c->left[LETTER_FILTERED], c->left[LETTER_UNKNOWN], c->left[LETTER_SHORT],
	       c->left[LETTER_FOREIGN]);
	if (c->forgotten > 0)
		cli_refuse(EX_OK,
		           "%" PRId64 " offsets that were left out cannot be remembered: only "
		           "--from-beginning reads them again",
		           c->forgotten);
}

int cli_redrive(const struct cli_arguments *arguments, const struct config *config)
{
	struct session s = { .arguments = &arguments->redrive,
		             .config = config,
		             .chunk_ends = INSTANT_NEVER };
	int code = open_session(&s);

	if (code == EX_OK)
		code = read_all(&s);
	if (code == EX_OK)
		code = commit_chunk(&s);
	if (code == EX_OK)
		print_summary(&s);
	if (fflush(stdout) != 0)
		code = EX_IOERR;
	close_session(&s);
	return code;
}
