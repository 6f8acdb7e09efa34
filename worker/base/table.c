/* Sets of objects: see table.h.
 *
 * What is removed leaves a mark in its slot that searches must pass, and the library never empties
 * such a slot: under steady coming and going, a search in vain would end up comparing a dozen
 * objects. Its ways out keep the size (ck_hs_rebuild) or the marks (ck_hs_gc). So when more were
 * removed than are in, those that are in go into a new set of their own size. Each of them stands
 * for at least one removal, and so do eight slots of the old set: what that costs a removal does
 * not depend on how many there are, and what a crowd took is given back when it has gone. */
#include "worker/base/table.h"

#include <ck_hs.h>
#include <stdlib.h>

/* A table of few objects is not made anew for each of them. */
#define FEW 32

struct table_set {
	struct ck_hs hs; /* Objects are equal when they are the same; table_find() knows better */
	struct ck_malloc memory;
};

static void give_back(void *memory, size_t size, bool defer)
{
	(void)size;
	(void)defer;
	free(memory);
}

/* Filled by half at most when 'count' objects are in. */
static struct table_set *set_new(const struct table_kind *kind, size_t count)
{
	struct table_set *set = malloc(sizeof(*set));

	if (!set)
		return NULL;
	set->memory = (struct ck_malloc){ .malloc = malloc, .free = give_back };
	if (!ck_hs_init(&set->hs, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, kind->hash, NULL,
	                &set->memory, 2 * (count > FEW ? count : FEW), 0)) {
		free(set);
		return NULL;
	}
	return set;
}

static void set_free(struct table_set *set)
{
	if (set)
		ck_hs_destroy(&set->hs);
	free(set);
}

static void *set_next(struct table_set *set, size_t *at)
{
	struct ck_hs_iterator iterator = CK_HS_ITERATOR_INITIALIZER;
	void *object;

	iterator.offset = *at;
	if (!ck_hs_next(&set->hs, &iterator, &object))
		return NULL;
	*at = iterator.offset;
	return object;
}

/* It fails only without memory: nothing is compared. */
static bool set_add(struct table_set *set, const struct table_kind *kind, const void *object)
{
	return ck_hs_put_unique(&set->hs, kind->hash(object, 0), object);
}

void table_init(struct table *t, const struct table_kind *kind)
{
	*t = (struct table){ .kind = kind };
}

void table_close(struct table *t)
{
	set_free(t->set);
	t->set = NULL;
	t->removed = 0;
}

size_t table_count(const struct table *t)
{
	return t->set ? ck_hs_count(&t->set->hs) : 0;
}

void *table_find(const struct table *t, unsigned long hash, const void *key)
{
	struct ck_hs by_key;

	if (!t->set)
		return NULL;
	by_key = t->set->hs;
	by_key.compare = t->kind->equal;
	return ck_hs_get(&by_key, hash, key);
}

static bool is_worn(const struct table *t)
{
	return t->removed > table_count(t) + FEW;
}

/* Without memory for it, the old set goes on: it has room, and is only slower. */
static void renew(struct table *t)
{
	struct table_set *fresh = set_new(t->kind, table_count(t));
	size_t at = 0;

	if (!fresh)
		return;
	for (void *object = set_next(t->set, &at); object; object = set_next(t->set, &at)) {
		if (!set_add(fresh, t->kind, object)) {
			set_free(fresh);
			return;
		}
	}
	set_free(t->set);
	t->set = fresh;
	t->removed = 0;
}

bool table_add(struct table *t, void *object)
{
	CHECK(object);
	if (!t->set)
		t->set = set_new(t->kind, 0);
	else if (is_worn(t))
		renew(t);
	return t->set && set_add(t->set, t->kind, object);
}

void table_remove(struct table *t, void *object)
{
	CHECK(t->set && ck_hs_remove(&t->set->hs, t->kind->hash(object, 0), object));
	t->removed++;
	/* Not made anew: somebody may be walking. */
	if (table_count(t) == 0 && is_worn(t))
		table_close(t);
}

void *table_next(const struct table *t, size_t *at)
{
	return t->set ? set_next(t->set, at) : NULL;
}
