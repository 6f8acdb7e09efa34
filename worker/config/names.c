/* Owned texts, and the distance between two words: see names.h. */
#include "worker/config/names.h"
#include "worker/io/secret.h"

#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

void *names_allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	CHECK(memory);
	return memory;
}

char *names_copy(const char *text, size_t size)
{
	char *copy = names_allocate(size + 1, 1);

	memcpy(copy, text, size);
	return copy;
}

void names_push(struct config_names *names, char *text)
{
	char **list = reallocarray(names->list, names->count + 1, sizeof(*list));

	CHECK(list);
	list[names->count++] = text;
	names->list = list;
}

void names_clear(struct config_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		secret_wipe(names->list[i]);
	free(names->list);
	*names = (struct config_names){ 0 };
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, with one row of his matrix at a time. */
size_t names_distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t row[WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t above = row[j];

			row[j] =
			    least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[m];
}

size_t names_tolerance(const char *word)
{
	size_t third = strlen(word) / 3;

	return third < 1 ? 1 : least(third, 4);
}
