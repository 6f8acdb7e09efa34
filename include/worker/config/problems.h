/* All that is wrong with a configuration, with the place of each mistake. */
#ifndef WORKER_CONFIG_PROBLEMS_H
#define WORKER_CONFIG_PROBLEMS_H

#include "worker/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where a value came from: a line of the file, a variable of the environment, or, zeroed, nowhere.
 */
struct place {
	unsigned line;     /* From 1; 0: not from the file */
	unsigned column;   /* From 1, in characters */
	char variable[96]; /* "" unless the environment has it */
};

enum severity { SEVERITY_MISTAKE, SEVERITY_WARNING };

struct problem {
	struct place place;
	enum severity severity;
	char path[128];    /* The option, for example "batch.window"; "" for the file as a whole */
	char message[384]; /* Never contains a secret */
};

/* Problems after the first hundred are only counted. */
#define PROBLEMS_MAX 100

struct problems {
	struct problem *list; /* Owned */
	size_t count;
	size_t mistakes; /* All of them, also those that are not in the list */
	size_t warnings; /* The same for warnings */
};

void problems_init(struct problems *p);
void problems_close(struct problems *p);

/* Note one problem. 'path' may be cut. */
void problems_add(struct problems *p, enum severity severity, const struct place *place,
                  const char *path, const char *format, ...) PRINTF_LIKE(5, 6);

/* Order by line; what has none comes last. */
void problems_sort(struct problems *p);

/* One line for each: "FILE:line:column: path: message". */
void problems_print(const struct problems *p, FILE *file, const char *path);

#endif
