/* The mutants: see mutant.h. */
#include "simulation/mutant.h"

#include "worker/core/map.h"

#include <string.h>

static const char *const texts[MUTANT_COUNT] = {
#define MUTANT(name, text, meaning) text,
	MUTANT_TABLE(MUTANT)
#undef MUTANT
};

static const char *const meanings[MUTANT_COUNT] = {
#define MUTANT(name, text, meaning) meaning,
	MUTANT_TABLE(MUTANT)
#undef MUTANT
};

const char *mutant_text(enum mutant mutant)
{
	return texts[mutant];
}

const char *mutant_meaning(enum mutant mutant)
{
	return meanings[mutant];
}

enum mutant mutant_find(const char *text)
{
	enum mutant mutant = MUTANT_NONE;

	while (mutant < MUTANT_COUNT && strcmp(texts[mutant], text) != 0)
		mutant++;
	return mutant;
}

/* Only what was read again, and what is replied behind it counts as new. */
static void strip(struct map *m, int64_t read)
{
	while (m->count > 0 && m->entries[m->count - 1].offset >= read)
		m->count--;
	if (m->end > read)
		m->end = read > m->base ? read : m->base;
}

static void forget_progress(struct map *m)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->entries[i].state != MAP_PARTLY)
			continue;
		m->entries[i].state = MAP_NEW;
		m->entries[i].progress = (struct map_progress){ 0 };
	}
}

/* The first open offset is taken for replied. */
static void pass_frontier(struct map *m)
{
	if (m->count == 0)
		return;
	m->count--;
	memmove(m->entries, m->entries + 1, m->count * sizeof(*m->entries));
	m->base = m->count > 0 ? m->entries[0].offset : m->end;
}

void mutant_map(enum mutant mutant, int64_t read, int64_t *offset, struct buffer *text)
{
	struct map m;

	if (mutant != MUTANT_STRIPPED_MAP && mutant != MUTANT_LOST_PROGRESS &&
	    mutant != MUTANT_PAST_FRONTIER)
		return;
	if (map_decode(buffer_bytes(text), *offset, &m) == MAP_OK) {
		if (mutant == MUTANT_STRIPPED_MAP)
			strip(&m, read);
		else if (mutant == MUTANT_LOST_PROGRESS)
			forget_progress(&m);
		else
			pass_frontier(&m);
		*offset = m.base;
		buffer_clear(text);
		CHECK(map_encode(&m, text));
	}
	map_close(&m);
}
