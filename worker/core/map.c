/* A ledger as text: see map.h.
 *
 * The data are digits of 6 bits. A number is written 5 bits a digit, the lowest first, with bit 5
 * set in all digits but the last. Both encodings begin with the number of offsets from the base to
 * the end.
 *
 * dense: 3 offsets a digit, the first in the lowest bits, the rest of the last digit 0; then the
 *        progress of each command that is partly sent.
 * sparse: for each open offset the number 4 * (offsets left out since the one before) + state, and
 *         its progress if it is partly sent.
 * progress: the numbers 'settled' and 'in_flight', then 6 bits of 'accepted' a digit, for
 *           the settled participants only. */
#include "worker/core/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DIGIT_BITS       6
#define STATES_PER_DIGIT 3
#define CHECKSUM_SIZE    8
#define FIRST_CAPACITY   16

/* More offsets than any partition leaves open, so few that no arithmetic overflows. */
#define SPAN_MAX (INT64_C(1) << 40)

/* The longest "1:<base>:<checksum>:" and its NUL. */
#define FRONT_MAX 32

_Static_assert(MAP_NEW == 0 && MAP_STARTED == 1 && MAP_REPLIED == 2 && MAP_PARTLY == 3,
               "the states are numbers of the format");

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* An encoding that is being written, for as long as it stays within 'limit'. */
struct writer {
	char text[MAP_TEXT_MAX];
	size_t size;
	size_t limit;
	bool is_full;
};

/* Digits that are being read. Once something is wrong, all that is read is 0. */
struct reader {
	const char *p, *end;
	bool failed;
};

void map_init(struct map *m, int64_t base)
{
	*m = (struct map){ .base = base, .end = base };
}

void map_close(struct map *m)
{
	free(m->entries);
	*m = (struct map){ 0 };
}

bool map_add(struct map *m, const struct map_entry *entry)
{
	CHECK(entry->offset >= m->base && entry->offset < INT64_MAX);
	CHECK(m->count == 0 || entry->offset > m->entries[m->count - 1].offset);
	CHECK(entry->state != MAP_REPLIED);
	if (m->count == m->capacity) {
		size_t capacity = m->capacity ? m->capacity * 2 : FIRST_CAPACITY;
		struct map_entry *entries = realloc(m->entries, capacity * sizeof(*entries));

		if (!entries)
			return false;
		m->entries = entries;
		m->capacity = capacity;
	}
	m->entries[m->count++] = *entry;
	if (entry->offset >= m->end)
		m->end = entry->offset + 1;
	return true;
}

static void put_char(struct writer *w, char c)
{
	if (w->size == w->limit)
		w->is_full = true;
	else
		w->text[w->size++] = c;
}

static void put_digit(struct writer *w, unsigned digit)
{
	put_char(w, alphabet[digit]);
}

static void put_number(struct writer *w, uint64_t number)
{
	for (; number >= 32; number >>= 5)
		put_digit(w, 32 | (number & 31));
	put_digit(w, (unsigned)number);
}

static bool is_accepted(const struct map_progress *progress, unsigned index)
{
	return progress->accepted[index / 8] >> (index % 8) & 1;
}

static void put_progress(struct writer *w, const struct map_progress *progress)
{
	CHECK(progress->settled + progress->in_flight <= COMMAND_PARTICIPANTS_MAX);
	put_number(w, progress->settled);
	put_number(w, progress->in_flight);
	for (unsigned at = 0; at < progress->settled; at += DIGIT_BITS) {
		unsigned digit = 0;

		for (unsigned i = 0; i < DIGIT_BITS && at + i < progress->settled; i++)
			digit |= (unsigned)is_accepted(progress, at + i) << i;
		put_digit(w, digit);
	}
}

/* What of a map is written: without the new entries at its end. */
struct part {
	const struct map *map;
	size_t count;
	int64_t span;
};

static struct part written_part(const struct map *m)
{
	struct part part = { .map = m, .count = m->count, .span = m->end - m->base };

	while (part.count > 0) {
		const struct map_entry *last = &m->entries[part.count - 1];

		if (last->state != MAP_NEW || last->offset - m->base != part.span - 1)
			break;
		part.span--;
		part.count--;
	}
	return part;
}

static void put_dense(struct writer *w, const struct part *part)
{
	const struct map_entry *entries = part->map->entries;
	size_t next = 0;

	put_char(w, 'd');
	put_number(w, (uint64_t)part->span);
	for (int64_t at = 0; at < part->span && !w->is_full; at += STATES_PER_DIGIT) {
		unsigned digit = 0;

		for (unsigned i = 0; i < STATES_PER_DIGIT && at + i < part->span; i++) {
			unsigned state = MAP_REPLIED;

			if (next < part->count && entries[next].offset - part->map->base == at + i)
				state = entries[next++].state;
			digit |= state << (2 * i);
		}
		put_digit(w, digit);
	}
	for (size_t i = 0; i < part->count && !w->is_full; i++)
		if (entries[i].state == MAP_PARTLY)
			put_progress(w, &entries[i].progress);
}

static void put_sparse(struct writer *w, const struct part *part)
{
	int64_t next = part->map->base;

	put_char(w, 's');
	put_number(w, (uint64_t)part->span);
	for (size_t i = 0; i < part->count && !w->is_full; i++) {
		const struct map_entry *entry = &part->map->entries[i];

		put_number(w, (uint64_t)(entry->offset - next) * 4 + entry->state);
		if (entry->state == MAP_PARTLY)
			put_progress(w, &entry->progress);
		next = entry->offset + 1;
	}
}

static uint32_t checksum(struct bytes base, struct bytes data)
{
	uLong crc = crc32(0, (const Bytef *)base.data, (uInt)base.size);

	return (uint32_t)crc32(crc, (const Bytef *)data.data, (uInt)data.size);
}

static void append_text(const struct map *m, const struct writer *w, struct buffer *text)
{
	struct bytes data = { w->text, w->size };
	char whole[MAP_TEXT_MAX + 1];
	char base[FRONT_MAX];
	int size;

	snprintf(base, sizeof(base), "%" PRId64 ":", m->base);
	size = snprintf(whole, sizeof(whole), "1:%s%08" PRIx32 ":", base,
	                checksum(bytes_of(base), data));
	memcpy(whole + size, w->text, w->size);
	buffer_append(text, whole, (size_t)size + w->size);
}

/* Bytes of the longest data that fit behind a front with this base. */
static size_t data_limit(int64_t base)
{
	return MAP_TEXT_MAX - (size_t)snprintf(NULL, 0, "1:%" PRId64 "::", base) - CHECKSUM_SIZE;
}

bool map_encode(const struct map *m, struct buffer *text)
{
	struct part part = written_part(m);
	struct writer sparse = { .limit = data_limit(m->base) };
	struct writer dense = { .limit = sparse.limit };

	CHECK(m->base >= 0 && m->end >= m->base);
	if (part.span > SPAN_MAX)
		return false;
	put_sparse(&sparse, &part);
	if (!sparse.is_full)
		dense.limit = sparse.size;
	put_dense(&dense, &part);
	if (sparse.is_full && dense.is_full)
		return false;
	append_text(m, dense.is_full ? &sparse : &dense, text);
	return buffer_ok(text);
}

static unsigned fail(struct reader *r)
{
	r->failed = true;
	return 0;
}

static unsigned take_digit(struct reader *r)
{
	const char *found;

	if (r->failed || r->p == r->end || *r->p == '\0')
		return fail(r);
	found = strchr(alphabet, *r->p++);
	return found ? (unsigned)(found - alphabet) : fail(r);
}

/* A number that is at most 'max', written with as few digits as it takes. */
static uint64_t take_number(struct reader *r, uint64_t max)
{
	uint64_t number = 0;

	for (unsigned shift = 0; shift <= 50; shift += 5) {
		unsigned digit = take_digit(r);

		number |= (uint64_t)(digit & 31) << shift;
		if (digit & 32)
			continue;
		if (number > max || (shift > 0 && digit == 0))
			break;
		return number;
	}
	return fail(r);
}

static void take_progress(struct reader *r, struct map_progress *ret)
{
	*ret =
	    (struct map_progress){ .settled = (uint8_t)take_number(r, COMMAND_PARTICIPANTS_MAX) };
	ret->in_flight = (uint8_t)take_number(r, COMMAND_PARTICIPANTS_MAX - ret->settled);
	for (unsigned at = 0; at < ret->settled; at += DIGIT_BITS) {
		unsigned digit = take_digit(r);

		for (unsigned i = 0; i < DIGIT_BITS; i++) {
			if (!(digit >> i & 1))
				continue;
			if (at + i >= ret->settled)
				fail(r);
			else
				ret->accepted[(at + i) / 8] |= (uint8_t)(1 << (at + i) % 8);
		}
	}
}

/* The states of one digit; 'left' offsets are still to come, this digit's included. */
static enum map_problem take_states(struct reader *r, int64_t offset, int64_t left, struct map *m)
{
	unsigned digit = take_digit(r);

	for (unsigned i = 0; i < STATES_PER_DIGIT; i++) {
		struct map_entry entry = { .offset = offset + i,
			                   .state = (enum map_state)(digit >> (2 * i) & 3) };

		if (i >= left && entry.state != MAP_NEW)
			fail(r);
		if (r->failed)
			return MAP_MALFORMED;
		if (i < left && entry.state != MAP_REPLIED && !map_add(m, &entry))
			return MAP_NO_MEMORY;
	}
	return MAP_OK;
}

static enum map_problem take_dense(struct reader *r, int64_t span, struct map *m)
{
	for (int64_t at = 0; at < span; at += STATES_PER_DIGIT) {
		enum map_problem problem = take_states(r, m->base + at, span - at, m);

		if (problem != MAP_OK)
			return problem;
	}
	for (size_t i = 0; i < m->count && !r->failed; i++)
		if (m->entries[i].state == MAP_PARTLY)
			take_progress(r, &m->entries[i].progress);
	return MAP_OK;
}

static enum map_problem take_sparse(struct reader *r, int64_t span, struct map *m)
{
	int64_t at = 0;

	while (r->p < r->end && !r->failed) {
		uint64_t number = take_number(r, (uint64_t)SPAN_MAX * 4 - 1);
		struct map_entry entry = { .state = (enum map_state)(number & 3) };

		at += (int64_t)(number >> 2);
		if (at >= span || entry.state == MAP_REPLIED)
			fail(r);
		if (entry.state == MAP_PARTLY)
			take_progress(r, &entry.progress);
		if (r->failed)
			return MAP_MALFORMED;
		entry.offset = m->base + at++;
		if (!map_add(m, &entry))
			return MAP_NO_MEMORY;
	}
	return MAP_OK;
}

static enum map_problem take_map(struct reader *r, struct map *m)
{
	char encoding = r->p < r->end ? *r->p++ : '\0';
	int64_t span = (int64_t)take_number(r, (uint64_t)SPAN_MAX);
	enum map_problem problem = MAP_MALFORMED;

	if (r->failed || span > INT64_MAX - m->base)
		return MAP_MALFORMED;
	if (encoding == 'd')
		problem = take_dense(r, span, m);
	else if (encoding == 's')
		problem = take_sparse(r, span, m);
	if (problem == MAP_OK && (r->failed || r->p != r->end))
		problem = MAP_MALFORMED;
	m->end = m->base + span;
	return problem;
}

/* Decimal digits at the front of 'text', which is moved behind them and the ':' that ends them.
 * Empty when there is no such thing. */
static struct bytes take_decimal(struct bytes *text)
{
	struct bytes found = { .data = text->data };
	size_t n = 0;

	while (n < text->size && text->data[n] >= '0' && text->data[n] <= '9')
		n++;
	if (n == 0 || n == text->size || text->data[n] != ':')
		return found;
	found.size = n;
	*text = (struct bytes){ text->data + n + 1, text->size - n - 1 };
	return found;
}

static bool parse_base(struct bytes digits, int64_t *ret)
{
	uint64_t value = 0;

	if (digits.size == 0 || digits.size > 19 || (digits.size > 1 && digits.data[0] == '0'))
		return false;
	for (size_t i = 0; i < digits.size; i++)
		value = value * 10 + (uint64_t)(digits.data[i] - '0');
	*ret = (int64_t)value;
	return value <= INT64_MAX;
}

/* Check all that stands before the data. */
static enum map_problem open_text(struct bytes text, int64_t *ret_base, struct bytes *ret_data)
{
	size_t size = text.size;
	struct bytes version, base;
	char expected[CHECKSUM_SIZE + 2];

	if (size == 0)
		return MAP_EMPTY;
	version = take_decimal(&text);
	if (version.size > 0 && !bytes_equal_text(version, "1"))
		return MAP_VERSION;
	base = take_decimal(&text);
	if (version.size == 0 || !parse_base(base, ret_base) || size > MAP_TEXT_MAX ||
	    text.size <= CHECKSUM_SIZE || text.data[CHECKSUM_SIZE] != ':')
		return MAP_MALFORMED;
	*ret_data = (struct bytes){ text.data + CHECKSUM_SIZE + 1, text.size - CHECKSUM_SIZE - 1 };
	base.size++;
	snprintf(expected, sizeof(expected), "%08" PRIx32 ":", checksum(base, *ret_data));
	return memcmp(text.data, expected, CHECKSUM_SIZE + 1) == 0 ? MAP_OK : MAP_CHECKSUM;
}

enum map_problem map_decode(struct bytes text, int64_t offset, struct map *ret)
{
	struct bytes data = { 0 };
	int64_t base = -1;
	enum map_problem problem = open_text(text, &base, &data);

	map_init(ret, offset);
	if (problem == MAP_OK && base != offset)
		problem = MAP_BASE;
	if (problem == MAP_OK) {
		struct reader r = { .p = data.data, .end = data.data + data.size };

		problem = take_map(&r, ret);
	}
	if (problem != MAP_OK) {
		map_close(ret);
		map_init(ret, offset);
	}
	return problem;
}

const struct map_entry *map_find(const struct map *m, int64_t offset)
{
	size_t first = 0, end = m->count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (m->entries[middle].offset == offset)
			return &m->entries[middle];
		if (m->entries[middle].offset < offset)
			first = middle + 1;
		else
			end = middle;
	}
	return NULL;
}

enum map_state map_state(const struct map *m, int64_t offset)
{
	const struct map_entry *entry = map_find(m, offset);

	if (entry)
		return entry->state;
	return offset < m->end ? MAP_REPLIED : MAP_NEW;
}

const char *map_problem_text(enum map_problem problem)
{
	static const char *const texts[] = {
		[MAP_OK] = "ok",
		[MAP_EMPTY] = "empty",
		[MAP_VERSION] = "version",
		[MAP_BASE] = "base",
		[MAP_CHECKSUM] = "checksum",
		[MAP_MALFORMED] = "malformed",
		[MAP_NO_MEMORY] = "no-memory",
	};

	return texts[problem];
}
