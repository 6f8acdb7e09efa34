/* Offset metadata say anything: what is believed of them can be written and read again.
 *
 * Input: one byte; if it is even, the rest is the text as it stands, else the base and the data, to
 * which the right checksum is added. */
#include "fuzz/fuzz.h"
#include "worker/core/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define OFFSET 42

static void check_map(const struct map *m)
{
	int64_t before = m->base - 1;

	CHECK(m->base == OFFSET && m->end >= m->base);
	for (size_t i = 0; i < m->count; i++) {
		const struct map_entry *entry = &m->entries[i];

		CHECK(entry->offset > before && entry->offset < m->end);
		CHECK(entry->state != MAP_REPLIED && map_find(m, entry->offset) == entry);
		CHECK(entry->progress.settled + entry->progress.in_flight <=
		      COMMAND_PARTICIPANTS_MAX);
		before = entry->offset;
	}
}

static void check_again(const struct map *m)
{
	struct buffer text;
	struct map again;

	buffer_init(&text, MAP_TEXT_MAX);
	CHECK(map_encode(m, &text));
	CHECK(map_decode(buffer_bytes(&text), OFFSET, &again) == MAP_OK);
	CHECK(again.end <= m->end && again.count <= m->count);
	for (size_t i = 0; i < again.count; i++)
		CHECK(memcmp(&again.entries[i].progress, &m->entries[i].progress,
		             sizeof(struct map_progress)) == 0 &&
		      again.entries[i].offset == m->entries[i].offset &&
		      again.entries[i].state == m->entries[i].state);
	for (size_t i = again.count; i < m->count; i++)
		CHECK(m->entries[i].state == MAP_NEW && m->entries[i].offset >= again.end);
	map_close(&again);
	buffer_close(&text);
}

/* The text that has these data at OFFSET, as map_encode() would frame them. */
static struct bytes frame(struct bytes data, char *text, size_t size)
{
	char base[24];
	uLong crc;
	int front;

	snprintf(base, sizeof(base), "%d:", OFFSET);
	crc = crc32(0, (const Bytef *)base, (uInt)strlen(base));
	crc = crc32(crc, (const Bytef *)data.data, (uInt)data.size);
	front = snprintf(text, size, "1:%s%08" PRIx32 ":", base, (uint32_t)crc);
	if (data.size > size - (size_t)front)
		data.size = size - (size_t)front;
	if (data.size > 0)
		memcpy(text + front, data.data, data.size);
	return (struct bytes){ text, (size_t)front + data.size };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = input_of(data, size);
	bool is_framed = input_byte(&in) % 2 == 0;
	struct bytes text = input_rest(&in);
	char framed[MAP_TEXT_MAX + 8];
	enum map_problem problem;
	struct map m;

	if (!is_framed)
		text = frame(text, framed, sizeof(framed));
	problem = map_decode(text, OFFSET, &m);
	CHECK(*map_problem_text(problem));
	check_map(&m);
	if (problem == MAP_OK)
		check_again(&m);
	else
		CHECK(m.count == 0 && m.end == OFFSET);
	map_close(&m);
	return 0;
}
