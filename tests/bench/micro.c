/* bench-micro: what the core costs by itself, in time and in memory.
 *
 *   bench-micro           1,000 and 1,000,000 calls; takes a gigabyte and a minute
 *   bench-micro --quick   up to 100,000 calls; fails when what holds on every machine does not */
#include "bench/micro_engine.h"
#include "bench/micro_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* Pieces of the heap that a command takes in the steady state: the job with its command, what it is
 * answered with, and the operation that Graph names. The rest is for tables that grow. */
#define TAKEN_MAX 3.05

/* Bytes that a command may take beyond half more than its record has. */
#define ROOM_MAX 256

/* How much more an event may cost with very many calls. */
#define GROWTH_MAX 5.0

static bool expect(bool holds, const char *what)
{
	if (!holds)
		printf("too much: %s\n", what);
	return holds;
}

static bool show_cost(uint32_t many)
{
	struct micro_cost few = micro_engine_cost(1000, 20000);
	struct micro_cost most = micro_engine_cost(many, 200000);

	printf("%-34s %10s %12s\n", "engine, an event (four a command)", "ns", "allocations");
	printf("%9u calls %18s %10.0f %12.2f a command\n", 1000u, "", few.ns_per_event,
	       few.taken_per_command);
	printf("%9u calls %18s %10.0f %12.2f a command\n", many, "", most.ns_per_event,
	       most.taken_per_command);
	return expect(most.ns_per_event <= GROWTH_MAX * few.ns_per_event,
	              "the cost of an event with many calls") &&
	       expect(most.taken_per_command <= TAKEN_MAX, "allocations for a command");
}

static bool show_room(uint32_t calls, uint32_t each, bool is_bounded)
{
	struct micro_room room = micro_engine_room(calls, each);
	double bound = 1.5 * room.record + ROOM_MAX;

	printf("%9u calls, %2u commands each %9.0f bytes a command; its record has %.0f\n", calls,
	       each, room.bytes, room.record);
	return !is_bounded || expect(room.bytes <= bound, "memory of a command that waits");
}

static void show_text(void)
{
	struct micro_pair pairs[MICRO_PAIRS];

	micro_text(pairs);
	printf("%-34s %10s %12s\n", "texts", "ns", "by jansson");
	for (int i = 0; i < MICRO_PAIRS; i++)
		printf("  %-32s %10.0f %12.0f\n", pairs[i].what, pairs[i].ours, pairs[i].jansson);
}

int main(int argc, char **argv)
{
	bool is_quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
	uint32_t many = is_quick ? 100000 : 1000000;
	bool ok;

	if (argc > 1 && !is_quick) {
		fprintf(stderr, "usage: bench-micro [--quick]\n");
		return EX_USAGE;
	}
	ok = show_cost(many);
	printf("waiting\n");
	ok = show_room(many / 10, 10, true) && ok;
	ok = show_room(many / 10, 1, false) && ok;
	show_text();
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
