/* The worker's own clientContext, written and read: see context.h. */
#include "worker/core/context.h"

#include "worker/core/partition.h"

/* A short name of the topic: 32 bits of FNV-1a, enough to tell a few topics apart. */
static uint32_t short_name(struct bytes topic)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < topic.size; i++)
		hash = (hash ^ (unsigned char)topic.data[i]) * UINT32_C(16777619);
	return hash;
}

/* What all contexts of a partition begin with. */
static void write_front(struct bytes topic, int32_t partition, struct buffer *out)
{
	uint32_t name = short_name(topic);

	buffer_append_text(out, CONTEXT_PREFIX);
	for (int shift = 28; shift >= 0; shift -= 4)
		buffer_append_char(out, "0123456789abcdef"[name >> shift & 0xF]);
	buffer_append_char(out, ':');
	buffer_append_int(out, partition);
	buffer_append_char(out, ':');
}

/* Items from 'at' on that belong to one command. */
static size_t count_of_job(const struct batch *batch, size_t at)
{
	size_t n = 1;

	while (at + n < batch->n && batch->items[at + n].job == batch->items[at].job)
		n++;
	return n;
}

/* The first 'n' items are of one command, in the order of its participants. */
static void write_runs(const struct batch_item *items, size_t n, struct buffer *out)
{
	size_t run;

	for (size_t at = 0; at < n; at += run) {
		for (run = 1; at + run < n && items[at + run].index == items[at].index + run;)
			run++;
		buffer_append_char(out, '+');
		buffer_append_int(out, (int64_t)items[at].index);
		buffer_append_char(out, '*');
		buffer_append_int(out, (int64_t)run);
	}
}

void context_write(const struct batch *batch, struct bytes topic, struct buffer *out)
{
	const struct job *first = batch->items[0].job;
	size_t n;

	write_front(topic, first->partition->number, out);
	for (size_t at = 0; at < batch->n; at += n) {
		const struct job *job = batch->items[at].job;

		n = count_of_job(batch, at);
		if (at > 0)
			buffer_append_char(out, ',');
		buffer_append_int(out, job->entry.offset);
		if (n < job->n_results)
			write_runs(&batch->items[at], n, out);
	}
	buffer_append_char(out, ':');
	buffer_append_int(out, first->attempts);
}

/* A context that is being read from its front. */
struct reader {
	struct bytes rest;
	bool failed;
};

static bool take_char(struct reader *r, char c)
{
	if (r->failed || r->rest.size == 0 || r->rest.data[0] != c)
		return false;
	r->rest.data++;
	r->rest.size--;
	return true;
}

static void need_char(struct reader *r, char c)
{
	r->failed = !take_char(r, c);
}

/* A decimal number without zeros before it, at most 'max'. */
static int64_t take_number(struct reader *r, int64_t max)
{
	int64_t number = 0;
	size_t n = 0;

	if (r->failed)
		return 0;
	for (; n < r->rest.size && r->rest.data[n] >= '0' && r->rest.data[n] <= '9'; n++) {
		int digit = r->rest.data[n] - '0';

		if (digit > max || number > (max - digit) / 10 ||
		    (n == 1 && r->rest.data[0] == '0')) {
			r->failed = true;
			return 0;
		}
		number = number * 10 + digit;
	}
	r->failed = n == 0;
	r->rest.data += n;
	r->rest.size -= n;
	return number;
}

static uint32_t take_short_name(struct reader *r)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t name = 0;

	for (int i = 0; i < 8; i++) {
		const char *digit = !r->failed && r->rest.size > 0
		                        ? memchr(digits, *r->rest.data, sizeof(digits) - 1)
		                        : NULL;

		if (!digit) {
			r->failed = true;
			return 0;
		}
		need_char(r, *digit);
		name = name << 4 | (uint32_t)(digit - digits);
	}
	return name;
}

static void add_part(struct reader *r, struct context *c, const struct context_part *part)
{
	if (c->n == BATCH_MAX)
		r->failed = true;
	else
		c->parts[c->n++] = *part;
}

/* One command: its offset, and what of it was carried. */
static void take_command(struct reader *r, struct context *c)
{
	struct context_part part = { .offset = take_number(r, INT64_MAX) };

	if (r->failed || !take_char(r, '+')) {
		add_part(r, c, &part);
		return;
	}
	do {
		part.first = (size_t)take_number(r, COMMAND_PARTICIPANTS_MAX - 1);
		need_char(r, '*');
		part.count = (size_t)take_number(r, COMMAND_PARTICIPANTS_MAX - (int64_t)part.first);
		r->failed = r->failed || part.count == 0;
		add_part(r, c, &part);
	} while (take_char(r, '+'));
}

bool context_read(struct bytes text, struct context *ret)
{
	struct reader r = { .rest = text };

	*ret = (struct context){ 0 };
	for (const char *c = CONTEXT_PREFIX; *c; c++)
		need_char(&r, *c);
	ret->topic = take_short_name(&r);
	need_char(&r, ':');
	ret->partition = (int32_t)take_number(&r, INT32_MAX);
	need_char(&r, ':');
	do
		take_command(&r, ret);
	while (take_char(&r, ','));
	need_char(&r, ':');
	ret->attempt = (uint32_t)take_number(&r, UINT32_MAX);
	return !r.failed && r.rest.size == 0;
}

bool context_is_of(const struct context *context, struct bytes topic)
{
	return context->topic == short_name(topic);
}

bool context_covers(struct bytes text, struct bytes topic, int32_t partition, int64_t offset,
                    size_t index)
{
	struct context context;

	if (!context_read(text, &context) || !context_is_of(&context, topic) ||
	    context.partition != partition)
		return false;
	for (size_t i = 0; i < context.n; i++) {
		const struct context_part *part = &context.parts[i];

		if (part->offset == offset &&
		    (part->count == 0 ||
		     (index >= part->first && index - part->first < part->count)))
			return true;
	}
	return false;
}
