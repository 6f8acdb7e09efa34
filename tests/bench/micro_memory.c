/* Counting what is taken from the heap: see micro_memory.h. */
#include "bench/micro_memory.h"

#include <malloc.h>
#include <stdlib.h>

#define HEADER 8 /* What glibc keeps in front of each piece */

static struct micro_memory memory;

/* Names that the linker's --wrap gives. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *piece);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *piece);

struct micro_memory micro_memory(void)
{
	return memory;
}

static size_t size_of(void *piece)
{
	return piece ? malloc_usable_size(piece) + HEADER : 0;
}

static void *count(void *piece)
{
	memory.taken++;
	memory.bytes += size_of(piece);
	return piece;
}

void *__wrap_malloc(size_t size)
{
	return count(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return count(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	memory.bytes -= size_of(old);
	return count(__real_realloc(old, size));
}

void __wrap_free(void *piece)
{
	memory.bytes -= size_of(piece);
	__real_free(piece);
}
