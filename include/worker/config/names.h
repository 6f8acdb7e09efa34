/* Owned texts, lists of them, and the word that was probably meant.
 *
 * The configuration is read once, at the start, and its size is limited: when there is no memory
 * for it, nothing can be done, so these functions never return NULL but end the program. */
#ifndef WORKER_CONFIG_NAMES_H
#define WORKER_CONFIG_NAMES_H

#include "worker/config.h"

/* Zeroed memory for 'count' objects of 'size' bytes. */
void *names_allocate(size_t count, size_t size);

/* A copy of the first 'size' bytes of 'text', NUL-terminated. */
char *names_copy(const char *text, size_t size);

/* Append a text, which the list owns from now on. */
void names_push(struct config_names *names, char *text);

/* Wipe and free all; the list is empty then. */
void names_clear(struct config_names *names);

/* How many characters must be changed to make one text of the other; texts over 64 characters are
 * far from all. */
size_t names_distance(const char *a, const char *b);

/* Largest distance at which two texts may be the same word, mistyped. */
size_t names_tolerance(const char *word);

#endif
