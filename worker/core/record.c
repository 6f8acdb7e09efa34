/* Copies of records: see record.h. */
#include "worker/core/record.h"

#include <stdlib.h>
#include <string.h>

bool record_is_dead_letter_header(struct bytes name)
{
	static const char prefix[] = RECORD_DEAD_LETTER;

	return name.size >= sizeof(prefix) - 1 &&
	       memcmp(name.data, prefix, sizeof(prefix) - 1) == 0;
}

size_t record_size(const struct record *record)
{
	size_t size = record->topic.size + record->key.size + record->value.size;

	for (size_t i = 0; i < record->n_headers; i++)
		size += record->headers[i].name.size + record->headers[i].value.size;
	return size;
}

/* Move a piece to the memory at '*at'. */
static void take(struct bytes *piece, char **at)
{
	if (piece->size > 0)
		memcpy(*at, piece->data, piece->size);
	piece->data = *at;
	*at += piece->size;
}

struct record *record_copy(const struct record *record)
{
	size_t list = record->n_headers * sizeof(record->headers[0]);
	struct record *copy = malloc(sizeof(*copy) + list + record_size(record));
	struct record_header *headers;
	char *at;

	if (!copy)
		return NULL;
	headers = (struct record_header *)(copy + 1);
	at = (char *)headers + list;
	*copy = *record;
	copy->headers = headers;
	take(&copy->topic, &at);
	take(&copy->key, &at);
	take(&copy->value, &at);
	for (size_t i = 0; i < record->n_headers; i++) {
		headers[i] = record->headers[i];
		take(&headers[i].name, &at);
		take(&headers[i].value, &at);
	}
	return copy;
}
