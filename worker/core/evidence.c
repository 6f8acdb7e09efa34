/* What Graph knows of a call, read to find out what became of an invite: see evidence.h. */
#include "worker/core/evidence.h"

#include "worker/core/context.h"
#include "worker/core/operation.h"

#include <stdlib.h>
#include <string.h>

struct evidence {
	struct document document;
	const struct value *values; /* Its array */
	struct answer source; /* What it came in: its status, ids and body, which lie in 'text' */
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
	struct evidence *e =
	    calloc(1, sizeof(*e) + kept_size(answer->request_id) +
	                  kept_size(answer->client_request_id) + answer->body.size);
	char *text;

	if (!e)
		return NULL;
	text = e->text;
	e->source.progress = ANSWER_COMPLETE;
	e->source.http_status = answer->http_status;
	e->source.request_id = keep(answer->request_id, &text);
	e->source.client_request_id = keep(answer->client_request_id, &text);
	memcpy(text, answer->body.data, answer->body.size);
	e->source.body = (struct bytes){ text, answer->body.size };
	return e;
}

bool evidence_read(const struct answer *answer, struct evidence **ret)
{
	struct evidence *e;
	bool has_memory;

	*ret = NULL;
	if (answer->progress != ANSWER_COMPLETE || answer->http_status < 200 ||
	    answer->http_status > 299 || answer->body.size == 0)
		return true;
	e = evidence_new(answer);
	if (!e)
		return false;
	e->values =
	    value_member(document_read(&e->document, e->source.body, ANSWER_DEPTH_MAX), "value");
	has_memory = e->document.problem != DOCUMENT_NO_MEMORY;
	if (value_is(e->values, VALUE_ARRAY))
		*ret = e;
	else
		evidence_free(e);
	return has_memory;
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	document_close(&e->document);
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
	const struct value *value;

	VALUE_EACH (e->values, value) {
		const struct value *context = value_member(value, "clientContext");

		if (value_is(context, VALUE_STRING) && fits(s, context->text) &&
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

/* True when a member of the identity set is 'identity'; members without an id are passed over. */
static bool set_has(const struct value *set, struct identity identity)
{
	const struct value *kind;

	if (!value_is(set, VALUE_OBJECT))
		return false;
	VALUE_EACH (set, kind) {
		struct bytes id = value_text(value_member(value_of(kind), "id"));

		if (id.size > 0 && identity_equal(identity, (struct identity){ kind->text, id }))
			return true;
	}
	return false;
}

bool evidence_has_identity(const struct evidence *e, struct identity identity)
{
	const struct value *one;

	VALUE_EACH (e->values, one) {
		const struct value *info = value_member(one, "info");

		if (set_has(value_member(info, "identity"), identity))
			return true;
	}
	return false;
}
