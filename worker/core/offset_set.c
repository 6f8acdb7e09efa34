/* Sets of offsets: see offset_set.h. */
#include "worker/core/offset_set.h"

#include <stdlib.h>
#include <string.h>

#define VERSION "1:"

/* Offsets are far below this; no sum of two can overflow. */
#define OFFSET_MAX (INT64_MAX / 2)

void offset_set_init(struct offset_set *s)
{
	*s = (struct offset_set){ 0 };
}

void offset_set_close(struct offset_set *s)
{
	free(s->ranges);
	offset_set_init(s);
}

bool offset_set_has(const struct offset_set *s, int64_t offset)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle].to <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n && s->ranges[low].from <= offset;
}

bool offset_set_add(struct offset_set *s, int64_t from, int64_t to)
{
	struct offset_range *last = s->n > 0 ? &s->ranges[s->n - 1] : NULL;

	CHECK(last ? from >= last->from : from == 0);
	if (last && (from >= to || to <= last->to))
		return true;
	if (last && from <= last->to) {
		last->to = to;
		return true;
	}
	if (s->n == s->capacity) {
		size_t capacity = s->capacity ? 2 * s->capacity : 16;
		struct offset_range *grown = realloc(s->ranges, capacity * sizeof(*grown));

		if (!grown)
			return false;
		s->ranges = grown;
		s->capacity = capacity;
	}
	s->ranges[s->n++] = (struct offset_range){ from, to };
	return true;
}

bool offset_set_encode(const struct offset_set *s, struct buffer *text)
{
	size_t before = text->size;

	buffer_append_text(text, VERSION);
	for (size_t i = 1; i < s->n; i++) {
		const struct offset_range *r = &s->ranges[i];

		if (i > 1)
			buffer_append_char(text, ',');
		buffer_append_int(text, r->from - s->ranges[i - 1].to);
		buffer_append_char(text, '+');
		buffer_append_int(text, r->to - r->from);
	}
	return buffer_ok(text) && text->size - before <= OFFSET_SET_TEXT_MAX;
}

static size_t count_digits(int64_t number)
{
	size_t n = 1;

	for (; number >= 10; number /= 10)
		n++;
	return n;
}

/* How long a range is written, with the comma before it. */
static size_t text_size(const struct offset_range *r)
{
	return count_digits(r->from - r[-1].to) + count_digits(r->to - r->from) + strlen(",+");
}

int64_t offset_set_coarsen(struct offset_set *s)
{
	size_t room = OFFSET_SET_TEXT_MAX - strlen(VERSION) + strlen(",");
	size_t first = s->n - 1;
	int64_t gaps = 0;

	CHECK(s->n > 0);
	for (; first > 0 && text_size(&s->ranges[first]) <= room; first--)
		room -= text_size(&s->ranges[first]);
	for (size_t i = 1; i <= first; i++)
		gaps += s->ranges[i].from - s->ranges[i - 1].to;
	s->ranges[first].from = s->ranges[0].from;
	s->n -= first;
	memmove(s->ranges, s->ranges + first, s->n * sizeof(*s->ranges));
	return gaps;
}

/* A number above 0, which ends at 'end' or at the text's. */
static bool take_number(struct bytes *text, char end, int64_t *ret)
{
	int64_t number = 0;
	size_t i = 0;

	for (; i < text->size && text->data[i] != end; i++) {
		if (text->data[i] < '0' || text->data[i] > '9' || number > OFFSET_MAX / 10)
			return false;
		number = number * 10 + (text->data[i] - '0');
	}
	if (number == 0 || number > OFFSET_MAX)
		return false;
	i += i < text->size;
	*text = (struct bytes){ text->data + i, text->size - i };
	*ret = number;
	return true;
}

static bool take_range(struct bytes *text, struct offset_set *set)
{
	int64_t gap, length, from;

	if (!take_number(text, '+', &gap) || !take_number(text, ',', &length))
		return false;
	from = set->ranges[set->n - 1].to;
	if (from > OFFSET_MAX - gap || from + gap > OFFSET_MAX - length)
		return false;
	return offset_set_add(set, from + gap, from + gap + length);
}

bool offset_set_decode(struct bytes text, int64_t base, struct offset_set *ret)
{
	size_t version = strlen(VERSION);

	if (text.size < version || memcmp(text.data, VERSION, version) != 0 || base < 0 ||
	    base > OFFSET_MAX || text.data[text.size - 1] == ',')
		return false;
	text = (struct bytes){ text.data + version, text.size - version };
	if (!offset_set_add(ret, 0, base))
		return false;
	while (text.size > 0)
		if (!take_range(&text, ret))
			return false;
	return true;
}
