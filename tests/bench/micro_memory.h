/* What a program takes from the heap: counted in front of libc's allocator, for what is linked
 * statically. */
#ifndef BENCH_MICRO_MEMORY_H
#define BENCH_MICRO_MEMORY_H

#include <stddef.h>

struct micro_memory {
	size_t taken; /* Pieces, so far; a piece that grows is another one */
	size_t bytes; /* Held now, with what the allocator adds to each piece */
};

struct micro_memory micro_memory(void);

#endif
