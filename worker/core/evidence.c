/* What Graph knows of a call, read to find out what became of an invite: see evidence.h. */
#include "worker/core/evidence.h"

#include "worker/core/context.h"
#include "worker/core/operation.h"

#include <stdlib.h>
#include <string.h>

struct evidence {
	json_t *root;         /* Owned */
	const json_t *values; /* Its array */
	struct answer source; /* What it came in: its status and ids, which lie in 'text' */
	char text[];
};

/* Copy a header, or NULL, to 'text', which is moved behind it. */
static const char *keep(const char *header, char **text)
{
	char *kept = *text;
	size_t size;

	if (!header)
		return NULL;
	size = strlen(header) + 1;
	memcpy(kept, header, size);
	*text += size;
	return kept;
}

static size_t kept_size(const char *header)
{
	return header ? strlen(header) + 1 : 0;
}

static struct evidence *evidence_new(const struct answer *answer)
{
	struct evidence *e = calloc(1, sizeof(*e) + kept_size(answer->request_id) +
	                                   kept_size(answer->client_request_id));
	char *text;

	if (!e)
		return NULL;
	text = e->text;
	e->source.progress = ANSWER_COMPLETE;
	e->source.http_status = answer->http_status;
	e->source.request_id = keep(answer->request_id, &text);
	e->source.client_request_id = keep(answer->client_request_id, &text);
	return e;
}

struct evidence *evidence_read(const struct answer *answer)
{
	struct evidence *e;

	if (answer->progress != ANSWER_COMPLETE || answer->http_status < 200 ||
	    answer->http_status > 299 || answer->body.size == 0)
		return NULL;
	e = evidence_new(answer);
	if (!e)
		return NULL;
	e->root = json_loadb(answer->body.data, answer->body.size, 0, NULL);
	e->values = json_object_get(e->root, "value");
	if (!json_is_array(e->values)) {
		evidence_free(e);
		return NULL;
	}
	return e;
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	json_decref(e->root);
	free(e);
}

/* What is looked for among the operations: an exact context, or one of the worker's own. */
struct search {
	bool is_own;
	struct bytes context;
	struct bytes topic;
	int32_t partition;
	int64_t offset;
	size_t index;
};

static bool fits(const struct search *s, struct bytes context)
{
	if (s->is_own)
		return context_covers(context, s->topic, s->partition, s->offset, s->index);
	return bytes_equal(context, s->context);
}

static bool find(const struct evidence *e, const struct search *s, const char *graph_url,
                 struct bytes call_id, struct buffer *operation)
{
	for (size_t i = 0; i < json_array_size(e->values); i++) {
		const json_t *value = json_array_get(e->values, i);
		const json_t *context = json_object_get(value, "clientContext");
		struct bytes text = { json_string_value(context), json_string_length(context) };

		if (json_is_string(context) && fits(s, text) &&
		    operation_write(value, &e->source, graph_url, call_id, operation))
			return true;
	}
	return false;
}

bool evidence_find_context(const struct evidence *e, struct bytes context, const char *graph_url,
                           struct bytes call_id, struct buffer *operation)
{
	struct search search = { .context = context };

	return find(e, &search, graph_url, call_id, operation);
}

bool evidence_find_own(const struct evidence *e, struct bytes topic, int32_t partition,
                       int64_t offset, size_t index, const char *graph_url, struct bytes call_id,
                       struct buffer *operation)
{
	struct search search = { .is_own = true,
		                 .topic = topic,
		                 .partition = partition,
		                 .offset = offset,
		                 .index = index };

	return find(e, &search, graph_url, call_id, operation);
}

/* True when 'identity' reads "<kind>:<id>" with the id in lower case. */
static bool is_same(struct bytes identity, const char *kind, struct bytes id)
{
	size_t kind_size = strlen(kind);
	const char *own;

	if (id.size == 0 || identity.size != kind_size + 1 + id.size ||
	    memcmp(identity.data, kind, kind_size) != 0 || identity.data[kind_size] != ':')
		return false;
	own = identity.data + kind_size + 1;
	for (size_t i = 0; i < id.size; i++) {
		char c = id.data[i];

		if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != own[i])
			return false;
	}
	return true;
}

/* True when a member of the identity set is 'identity'; members without an id are passed over. */
static bool set_has(const json_t *set, struct bytes identity)
{
	/* json_object_foreach() asks for a mutable object but does not change it. */
	json_t *members = (json_t *)(uintptr_t)set;
	const char *kind;
	json_t *member;

	json_object_foreach(members, kind, member)
	{
		const json_t *id = json_object_get(member, "id");

		if (json_is_string(id) &&
		    is_same(identity, kind,
		            (struct bytes){ json_string_value(id), json_string_length(id) }))
			return true;
	}
	return false;
}

bool evidence_has_identity(const struct evidence *e, struct bytes identity)
{
	for (size_t i = 0; i < json_array_size(e->values); i++) {
		const json_t *info = json_object_get(json_array_get(e->values, i), "info");

		if (set_has(json_object_get(info, "identity"), identity))
			return true;
	}
	return false;
}
