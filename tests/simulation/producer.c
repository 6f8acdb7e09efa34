/* Commands from the plan's figures: see producer.h. */
#include "simulation/producer.h"

#include "simulation/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 8192

void producer_call_id(unsigned call, char text[static PRODUCER_CALL_SIZE])
{
	snprintf(text, PRODUCER_CALL_SIZE, "c%u", call);
}

unsigned producer_call(struct bytes id)
{
	CHECK(id.size == 2 && id.data[0] == 'c');
	return (unsigned)(id.data[1] - '0');
}

static bool percent(struct world *w, unsigned chance)
{
	return world_below(w, 100) < chance;
}

/* A command before it that has an id of its own, or -1. */
static int choose_twin(struct world *w)
{
	struct chronicle *c = &w->chronicle;
	size_t i;

	if (c->n_commands == 0 || !percent(w, w->plan.duplicates))
		return -1;
	i = (size_t)world_below(w, c->n_commands);
	return c->commands[i].twin < 0 && c->commands[i].n > 0 ? (int)i : -1;
}

static void write_participants(const struct told_command *command, struct buffer *out)
{
	for (unsigned i = 0; i < command->n; i++)
		buffer_printf(out, "%s{\"identity\":{\"user\":{\"id\":\"u%u\"}}}", i ? "," : "",
		              command->first_identity + i);
}

static void write_options(struct world *w, struct told_command *command, struct buffer *out)
{
	char date[WALL_TEXT_SIZE];

	command->resends = percent(w, w->plan.resends);
	command->expires = percent(w, w->plan.expiries);
	if (command->resends)
		buffer_append_text(out, ",\"onUnknown\":\"resend\"");
	if (command->expires) {
		wall_format((wall_t){ world_wall(w).us + world_between(w, 0, 20000000) }, date);
		buffer_printf(out, ",\"expiresAt\":\"%s\"", date);
	}
	command->is_high = percent(w, 10);
	if (command->is_high)
		buffer_append_text(out, ",\"priority\":\"high\"");
}

static void write_new(struct world *w, struct told_command *command, size_t index)
{
	struct buffer out;
	bool is_split = percent(w, w->plan.splits);

	command->n = is_split ? 2 + (unsigned)world_below(w, 6) : 1;
	if (w->plan.is_small)
		command->n = index == 0 ? 2 : 1;
	if (percent(w, w->plan.rejects))
		command->n = 0;
	buffer_init(&out, TEXT_BYTES);
	buffer_printf(&out, "{\"callId\":\"c%u\",\"commandId\":\"k%zu\"", command->call, index);
	if (percent(w, 20))
		buffer_printf(&out, ",\"clientContext\":\"x%zu\"", index);
	write_options(w, command, &out);
	buffer_append_text(&out, ",\"participants\":[");
	write_participants(command, &out);
	buffer_append_text(&out, "]}");
	command->text = out.data;
}

static void write_twin(struct world *w, struct told_command *command,
                       const struct told_command *twin)
{
	command->call = twin->call;
	command->first_identity = twin->first_identity;
	command->n = twin->n;
	command->resends = twin->resends;
	command->expires = twin->expires;
	command->is_high = twin->is_high;
	command->is_altered = percent(w, 20);
	if (asprintf(&command->text, "%s%s", twin->text, command->is_altered ? " " : "") < 0)
		CHECK(false);
}

/* A command before it that is to be withdrawn, or -1. */
static int choose_target(struct world *w)
{
	struct chronicle *c = &w->chronicle;
	size_t i;

	if (c->n_commands == 0 || !percent(w, w->plan.cancels))
		return -1;
	/* The last ones wait most likely. */
	i = c->n_commands - 1 - (size_t)world_below(w, c->n_commands < 4 ? c->n_commands : 4);
	return c->commands[i].twin < 0 && c->commands[i].n > 0 ? (int)i : -1;
}

static void write_cancel(struct world *w, struct told_command *command, size_t index)
{
	struct told_command *target = &w->chronicle.commands[command->cancels];
	bool has_id = percent(w, 50);
	struct buffer out;

	command->call = target->call;
	buffer_init(&out, TEXT_BYTES);
	buffer_printf(&out, "{\"callId\":\"c%u\",\"cancel\":\"k%d\"", command->call,
	              command->cancels);
	if (has_id)
		buffer_printf(&out, ",\"commandId\":\"k%zu\"", index);
	buffer_append_text(&out, "}");
	command->text = out.data;
}

static void produce(struct world *w, const struct task *task)
{
	struct chronicle *c = &w->chronicle;
	size_t index = c->n_commands;
	int twin = choose_twin(w);
	int cancels = twin < 0 ? choose_target(w) : -1;
	struct told_command *command = chronicle_command(c);
	unsigned gaps = percent(w, w->plan.gaps) ? 1 + (unsigned)world_below(w, 3) : 0;

	(void)task;
	command->twin = twin;
	command->cancels = cancels;
	command->at_us = w->now_us;
	command->call = (unsigned)world_below(w, w->plan.calls);
	command->first_identity = (unsigned)index * 8;
	if (twin >= 0)
		write_twin(w, command, &c->commands[twin]);
	else if (cancels >= 0)
		write_cancel(w, command, index);
	else
		write_new(w, command, index);
	command->partition = (int32_t)(command->call % w->plan.partitions);
	command->offset = broker_append(w, command->partition, (int)index, gaps);
	world_tell(w, NULL, "command p%d@%lld: %s", command->partition, (long long)command->offset,
	           command->text);
	for (unsigned i = 0; i < w->plan.workers; i++)
		member_fetch(w->shells[i], command->partition);
}

void producer_schedule(struct world *w)
{
	for (unsigned i = 0; i < w->plan.commands; i++)
		world_after(w, world_between(w, 0, w->plan.produce_us),
		            (struct task){ .run = produce });
}
