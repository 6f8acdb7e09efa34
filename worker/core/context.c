/* The worker's own clientContext, written and read: see context.h. */
#include "worker/core/context.h"

#include "worker/core/partition.h"

#include <inttypes.h>
#include <stdio.h>

#define FRONT_SIZE 32

/* A short name of the topic: 32 bits of FNV-1a, enough to tell a few topics apart. */
static uint32_t short_name(struct bytes topic)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < topic.size; i++)
		hash = (hash ^ (unsigned char)topic.data[i]) * UINT32_C(16777619);
	return hash;
}

/* What all contexts of a partition begin with. */
static struct bytes write_front(struct bytes topic, int32_t partition, char front[FRONT_SIZE])
{
	int size = snprintf(front, FRONT_SIZE, CONTEXT_PREFIX "%08" PRIx32 ":%" PRId32 ":",
	                    short_name(topic), partition);

	return (struct bytes){ front, (size_t)size };
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
		buffer_printf(out, "+%zu*%zu", items[at].index, run);
	}
}

void context_write(const struct batch *batch, struct bytes topic, struct buffer *out)
{
	const struct job *first = batch->items[0].job;
	char front[FRONT_SIZE];
	size_t n;

	buffer_append_bytes(out, write_front(topic, first->partition->number, front));
	for (size_t at = 0; at < batch->n; at += n) {
		const struct job *job = batch->items[at].job;

		n = count_of_job(batch, at);
		if (at > 0)
			buffer_append_char(out, ',');
		buffer_append_int(out, job->entry.offset);
		if (n < job->n_results)
			write_runs(&batch->items[at], n, out);
	}
	buffer_printf(out, ":%" PRIu32, first->attempts);
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

/* A decimal number without zeros before it, at most 'max'. */
static int64_t take_number(struct reader *r, int64_t max)
{
	int64_t number = 0;
	size_t n = 0;

	for (; n < r->rest.size && r->rest.data[n] >= '0' && r->rest.data[n] <= '9'; n++) {
		int digit = r->rest.data[n] - '0';

		if (digit > max || number > (max - digit) / 10 ||
		    (n == 1 && r->rest.data[0] == '0')) {
			r->failed = true;
			return 0;
		}
		number = number * 10 + digit;
	}
	r->failed = r->failed || n == 0;
	r->rest.data += n;
	r->rest.size -= n;
	return number;
}

/* One command: true when it is the one at 'offset' and the participant is among those carried. */
static bool take_command(struct reader *r, int64_t offset, size_t index)
{
	bool is_it = take_number(r, INT64_MAX) == offset;
	bool is_whole = true;
	bool is_carried = false;

	while (take_char(r, '+')) {
		size_t first = (size_t)take_number(r, COMMAND_PARTICIPANTS_MAX - 1);
		size_t count = 0;

		if (take_char(r, '*'))
			count = (size_t)take_number(r, COMMAND_PARTICIPANTS_MAX - (int64_t)first);
		r->failed = r->failed || count == 0;
		is_whole = false;
		is_carried = is_carried || (index >= first && index - first < count);
	}
	return is_it && (is_whole || is_carried);
}

bool context_covers(struct bytes context, struct bytes topic, int32_t partition, int64_t offset,
                    size_t index)
{
	char text[FRONT_SIZE];
	struct bytes front = write_front(topic, partition, text);
	struct reader r = { .rest = context };
	bool covers = false;

	if (context.size < front.size || memcmp(context.data, front.data, front.size) != 0)
		return false;
	r.rest.data += front.size;
	r.rest.size -= front.size;
	do
		covers = take_command(&r, offset, index) || covers;
	while (take_char(&r, ','));
	if (!take_char(&r, ':'))
		return false;
	take_number(&r, UINT32_MAX);
	return covers && !r.failed && r.rest.size == 0;
}
