/* An allocator that fails once, at a chosen request. Programs that link it allocate through it;
 * shared libraries do not, unless they can be told to. */
#ifndef TESTS_CORE_FAILING_MEMORY_H
#define TESTS_CORE_FAILING_MEMORY_H

#include <stdbool.h>

/* The request with that number fails, counted from 0; a negative number: none does. */
void failing_memory_set(int nth);

/* True when the request that was to fail has come. */
bool failing_memory_failed(void);

#endif
