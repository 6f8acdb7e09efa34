/* The commands of a benchmark: see commands.h. */
#include "bench/commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What the documentation shows of a participant, so that whoever wants to can send it as it is. */
#define PARTICIPANT                                                                                \
	"{\"@odata.type\":\"#microsoft.graph.invitationParticipantInfo\","                         \
	"\"identity\":{\"@odata.type\":\"#microsoft.graph.identitySet\","                          \
	"\"user\":{\"@odata.type\":\"#microsoft.graph.identity\","                                 \
	"\"id\":\"%08x-b7fd-4c1f-9d3e-%012llx\",\"displayName\":\"Participant %llu\"}}}"

/* xorshift64*; what is drawn need only be spread well, and the same each time. */
static uint64_t draw(struct commands *c)
{
	c->state ^= c->state >> 12;
	c->state ^= c->state << 25;
	c->state ^= c->state >> 27;
	return c->state * UINT64_C(2685821657736338717);
}

static bool fill_sums(struct commands *c)
{
	double sum = 0;

	c->sums = malloc(c->options.calls * sizeof(*c->sums));
	if (!c->sums)
		return false;
	for (uint32_t i = 0; i < c->options.calls; i++) {
		sum += pow(i + 1, -c->options.zipf);
		c->sums[i] = sum;
	}
	return true;
}

bool commands_init(struct commands *c, const struct commands_options *options)
{
	*c = (struct commands){ .options = *options };
	c->state = options->seed * 2 + 1;
	return options->zipf <= 0 || fill_sums(c);
}

void commands_close(struct commands *c)
{
	free(c->sums);
	c->sums = NULL;
}

/* The first call up to which the weights reach what was drawn. */
static uint32_t weighted_call(const struct commands *c, double drawn)
{
	uint32_t low = 0, high = c->options.calls - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (c->sums[middle] < drawn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t choose_call(struct commands *c)
{
	uint64_t drawn = draw(c) >> 11;

	if (!c->sums)
		return (uint32_t)(drawn % c->options.calls);
	return weighted_call(c, (double)drawn * 0x1p-53 * c->sums[c->options.calls - 1]);
}

void commands_next(struct commands *c, uint64_t number, struct command_text *ret)
{
	unsigned long long n = number;
	char context[64] = "";
	int size;

	ret->call = choose_call(c);
	snprintf(ret->key, sizeof(ret->key), "%08x-7c2b-4f6a-8e51-%012x", ret->call * 2654435761u,
	         ret->call);
	if (c->options.has_context)
		snprintf(context, sizeof(context),
		         "\"clientContext\":\"%08x-3ad9-4b07-a6c4-%012llx\",",
		         (unsigned)number * 2246822519u, n);
	size = snprintf(ret->value, sizeof(ret->value),
	                "{\"commandId\":\"%08x-91e0-4d55-b0f7-%012llx\",\"callId\":\"%s\",%s"
	                "\"participants\":[" PARTICIPANT "]}",
	                (unsigned)number * 3266489917u, n, ret->key, context,
	                (unsigned)number * 668265263u, n, n);
	ret->value_size = (size_t)size;
}
