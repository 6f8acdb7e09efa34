/* What the group's commits say of each partition: see positions.h. */
#include "worker/io/positions.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct position *find(struct positions *ps, int32_t number)
{
	struct position *p;

	DL_FOREACH (ps->list, p) {
		if (p->number == number && !p->is_forgotten)
			return p;
	}
	return NULL;
}

static void free_position(struct positions *ps, struct position *p)
{
	DL_DELETE(ps->list, p);
	buffer_close(&p->sent.text);
	buffer_close(&p->committed.text);
	free(p);
}

void positions_close(struct positions *ps)
{
	struct position *p, *next;

	DL_FOREACH_SAFE (ps->list, p, next)
		free_position(ps, p);
	free(ps->under_way);
	*ps = (struct positions){ 0 };
}

struct position *positions_know(struct positions *ps, int32_t number)
{
	struct position *p = find(ps, number);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	CHECK(p);
	p->number = number;
	p->sent.offset = -1;
	p->committed.offset = -1;
	buffer_init(&p->sent.text, CONSUMER_METADATA_MAX);
	buffer_init(&p->committed.text, CONSUMER_METADATA_MAX);
	DL_APPEND(ps->list, p);
	return p;
}

void positions_begin(struct positions *ps)
{
	const struct position *p;
	size_t n;

	DL_COUNT(ps->list, p, n);
	free(ps->under_way);
	ps->under_way = calloc(n + 1, sizeof(*ps->under_way));
	CHECK(ps->under_way);
	ps->n_under_way = 0;
}

void positions_put(struct positions *ps, struct position *p)
{
	p->in_commit = true;
	ps->under_way[ps->n_under_way++] =
	    (struct consumer_position){ p->number, p->sent.offset, buffer_bytes(&p->sent.text) };
}

void positions_end(struct positions *ps, bool acknowledged)
{
	struct position *p, *next;

	DL_FOREACH_SAFE (ps->list, p, next) {
		if (acknowledged && p->in_commit) {
			struct statement old = p->committed;

			p->committed = p->sent;
			p->sent = old;
		}
		p->in_commit = false;
		if (p->is_forgotten)
			free_position(ps, p);
	}
	free(ps->under_way);
	ps->under_way = NULL;
	ps->n_under_way = 0;
}

void positions_forget(struct positions *ps, int32_t number)
{
	struct position *p = find(ps, number);

	if (p && p->in_commit)
		p->is_forgotten = true;
	else if (p)
		free_position(ps, p);
}

bool position_is_news(const struct position *p)
{
	return p->sent.offset != p->committed.offset ||
	       !bytes_equal(buffer_bytes(&p->sent.text), buffer_bytes(&p->committed.text));
}

void positions_copy_close(struct positions_copy *copy)
{
	for (size_t i = 0; i < copy->n; i++) {
		union {
			const char *borrowed;
			char *owned;
		} text = { copy->list[i].metadata.data };

		free(text.owned);
	}
	free(copy->list);
	*copy = (struct positions_copy){ 0 };
}

void positions_copy_init(struct positions_copy *copy, const struct consumer_position *list,
                         size_t n)
{
	positions_copy_close(copy);
	copy->list = calloc(n + 1, sizeof(*copy->list));
	CHECK(copy->list);
	for (size_t i = 0; i < n; i++) {
		struct bytes metadata = list[i].metadata;
		char *text = malloc(metadata.size + 1);

		CHECK(text);
		if (metadata.size > 0)
			memcpy(text, metadata.data, metadata.size);
		copy->list[i] = list[i];
		copy->list[i].metadata.data = text;
	}
	copy->n = n;
}

bool positions_copy_is(const struct positions_copy *copy, const struct consumer_offer *found,
                       size_t n)
{
	for (size_t i = 0; i < n && n == copy->n; i++) {
		const struct consumer_position *p = &copy->list[i];

		if (found[i].partition != p->partition || found[i].offset != p->offset ||
		    !bytes_equal(found[i].metadata, p->metadata))
			return false;
	}
	return n == copy->n;
}
