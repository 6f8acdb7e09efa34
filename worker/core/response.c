/* What a command is answered with: see response.h. */
#include "worker/core/response.h"

#include <stddef.h>
#include <stdlib.h>

struct response *response_new(struct job *job)
{
	struct response *response = calloc(1, sizeof(*response));

	if (!response)
		return NULL;
	response->job = job;
	response->dead_letter.is_dead_letter = true;
	return response;
}

void response_free(struct response *response)
{
	if (!response)
		return;
	free(response->operations);
	free(response->errors);
	free(response);
}

const char *fragments_text(const struct fragments *f, int16_t index)
{
	const char *text;

	CHECK(index >= 0 && index < fragments_count(f));
	text = f->texts;
	while (index-- > 0)
		text += strlen(text) + 1;
	return text;
}

int16_t fragments_add(struct fragments **list, struct bytes json)
{
	uint32_t size = *list ? (*list)->size : 0;
	int16_t count = fragments_count(*list);
	struct fragments *f;

	CHECK(count < INT16_MAX && json.size < UINT32_MAX - size);
	f = realloc(*list, sizeof(*f) + size + json.size + 1);
	if (!f)
		return -1;
	memcpy(f->texts + size, json.data, json.size);
	f->texts[size + json.size] = '\0';
	f->size = size + (uint32_t)json.size + 1;
	f->count = (int16_t)(count + 1);
	*list = f;
	return count;
}

static struct response *response_of(struct write *write)
{
	size_t place = write->is_dead_letter ? offsetof(struct response, dead_letter)
	                                     : offsetof(struct response, reply);

	return (struct response *)((char *)write - place);
}

struct job *write_job(struct write *write)
{
	return response_of(write)->job;
}

struct write *write_twin(struct write *write)
{
	struct response *response = response_of(write);

	return write->is_dead_letter ? &response->reply : &response->dead_letter;
}
