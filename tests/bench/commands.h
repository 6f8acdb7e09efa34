/* The commands of a benchmark: which call each belongs to, and what it says.
 *
 * The same numbers give the same commands. A command's partition is that of its call, so that its
 * place among the commands of its partition is its offset in a new topic. */
#ifndef BENCH_COMMANDS_H
#define BENCH_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_KEY_SIZE  40
#define COMMAND_TEXT_SIZE 1024

struct commands_options {
	uint32_t calls;
	double zipf; /* Exponent of the distribution over the calls; 0: uniform */
	bool has_context;
	uint64_t seed;
};

struct commands {
	struct commands_options options;
	uint64_t state;
	double *sums; /* Owned: what the calls up to each weigh; NULL when uniform */
};

struct command_text {
	uint32_t call;
	char key[COMMAND_KEY_SIZE];
	char value[COMMAND_TEXT_SIZE];
	size_t value_size;
};

/* False when memory ran out. */
bool commands_init(struct commands *commands, const struct commands_options *options);

void commands_close(struct commands *commands);

/* The command with this number; numbers are to be asked for in their order. */
void commands_next(struct commands *commands, uint64_t number, struct command_text *ret);

#endif
