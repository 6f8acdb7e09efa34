/* Places in the dead-letter topic: see letter_place.h. */
#include "worker/letter_place.h"

static void add(struct offset_set *set, int64_t from, int64_t to)
{
	CHECK(offset_set_add(set, from, to));
}

/* What a text that cannot be read says is only that all before the offset is done. */
static enum letter_place_problem read_committed(struct letter_place *p,
                                                const struct offsets_position *at)
{
	struct bytes text = { at->metadata, at->size };
	bool is_read;

	if (at->committed > at->high) {
		add(&p->before, 0, 0);
		return LETTER_PLACE_BEHIND_END;
	}
	is_read = at->committed < 0 || offset_set_decode(text, at->committed, &p->before);
	if (!is_read)
		offset_set_close(&p->before);
	if (p->before.n == 0)
		add(&p->before, 0, at->committed < 0 ? 0 : at->committed);
	return is_read ? LETTER_PLACE_OK : LETTER_PLACE_MALFORMED;
}

enum letter_place_problem letter_place_init(struct letter_place *ret,
                                            const struct offsets_position *at, bool from_beginning)
{
	enum letter_place_problem problem;

	*ret = (struct letter_place){ .high = at->high, .was_done = true };
	offset_set_init(&ret->before);
	offset_set_init(&ret->done);
	problem = read_committed(ret, at);
	ret->start = from_beginning ? 0 : ret->before.ranges[0].to;
	if (ret->start < at->low)
		ret->start = at->low;
	ret->next = ret->start;
	ret->is_over = ret->start >= at->high;
	add(&ret->done, 0, ret->start);
	return from_beginning ? LETTER_PLACE_OK : problem;
}

void letter_place_close(struct letter_place *p)
{
	offset_set_close(&p->before);
	offset_set_close(&p->done);
}

bool letter_place_was_done(const struct letter_place *p, int64_t offset)
{
	return offset_set_has(&p->before, offset);
}

/* What lies between two letters that are done, such as the marks of transactions, is done too. */
void letter_place_note(struct letter_place *p, int64_t offset, bool is_done)
{
	const struct offset_range *last = &p->done.ranges[p->done.n - 1];

	if (is_done)
		add(&p->done, p->was_done ? last->to : offset, offset + 1);
	p->was_done = is_done;
	p->next = offset + 1;
}

void letter_place_end(struct letter_place *p, int64_t offset)
{
	if (offset > p->next)
		p->next = offset;
	p->is_over = true;
}

int64_t letter_place_write(struct letter_place *p, int64_t *ret_offset, struct buffer *text)
{
	struct offset_set all;
	int64_t forgotten;

	p->forgotten += offset_set_coarsen(&p->done);
	offset_set_init(&all);
	for (size_t i = 0; i < p->done.n; i++)
		add(&all, p->done.ranges[i].from, p->done.ranges[i].to);
	if (p->was_done)
		add(&all, all.ranges[all.n - 1].to, p->next);
	for (size_t i = 0; i < p->before.n; i++) {
		const struct offset_range *r = &p->before.ranges[i];

		if (r->to > p->next)
			add(&all, r->from > p->next ? r->from : p->next, r->to);
	}
	forgotten = p->forgotten + offset_set_coarsen(&all);
	CHECK(offset_set_encode(&all, text));
	*ret_offset = all.ranges[0].to;
	offset_set_close(&all);
	return forgotten;
}
