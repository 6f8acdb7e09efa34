/* The engine alone, driven by events that are made up: what an event costs, and what a call and a
 * command that wait take of the memory. */
#ifndef BENCH_MICRO_ENGINE_H
#define BENCH_MICRO_ENGINE_H

#include <stddef.h>
#include <stdint.h>

struct micro_cost {
	double ns_per_event; /* Time of the processor, the least of a few rounds */
	double taken_per_command;
};

/* Commands for calls drawn at random of 'calls', all of which the engine remembers: read, marked,
 * answered, written. */
struct micro_cost micro_engine_cost(uint32_t calls, uint32_t commands);

struct micro_room {
	double record; /* Key and value of the records, on the average */
	double bytes; /* Of the heap, for each command that waits, its share of its call included */
};

/* So many commands for each of 'calls', on the average, all waiting for their turn. */
struct micro_room micro_engine_room(uint32_t calls, uint32_t each);

#endif
