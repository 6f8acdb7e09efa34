/* All that is wrong with a configuration: see problems.h. */
#include "worker/config/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void problems_init(struct problems *p)
{
	*p = (struct problems){ 0 };
}

void problems_close(struct problems *p)
{
	free(p->list);
	*p = (struct problems){ 0 };
}

static struct problem *problems_next(struct problems *p)
{
	if (p->count == PROBLEMS_MAX)
		return NULL;
	if (!p->list)
		p->list = calloc(PROBLEMS_MAX, sizeof(*p->list));
	return p->list ? &p->list[p->count++] : NULL;
}

void problems_add(struct problems *p, enum severity severity, const struct place *place,
                  const char *path, const char *format, ...)
{
	struct problem *problem;
	va_list args;

	if (severity == SEVERITY_MISTAKE)
		p->mistakes++;
	else
		p->warnings++;
	problem = problems_next(p);
	if (!problem)
		return;
	problem->place = *place;
	problem->severity = severity;
	snprintf(problem->path, sizeof(problem->path), "%s", path);
	va_start(args, format);
	vsnprintf(problem->message, sizeof(problem->message), format, args);
	va_end(args);
}

static int problem_compare(const void *a, const void *b)
{
	const struct place *x = &((const struct problem *)a)->place;
	const struct place *y = &((const struct problem *)b)->place;

	/* Line 0 minus one is the largest number: what has no line comes last. */
	if (x->line != y->line)
		return x->line - 1 < y->line - 1 ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return strcmp(x->variable, y->variable);
}

void problems_sort(struct problems *p)
{
	if (p->count)
		qsort(p->list, p->count, sizeof(*p->list), problem_compare);
}

static void problem_print(const struct problem *problem, FILE *file, const char *path)
{
	if (problem->place.line)
		fprintf(file, "%s:%u:%u: ", path, problem->place.line, problem->place.column);
	else if (problem->place.variable[0])
		fprintf(file, "%s: ", problem->place.variable);
	else
		fprintf(file, "%s: ", path);
	if (problem->severity == SEVERITY_WARNING)
		fputs("warning: ", file);
	if (problem->path[0])
		fprintf(file, "%s: ", problem->path);
	fprintf(file, "%s\n", problem->message);
}

void problems_print(const struct problems *p, FILE *file, const char *path)
{
	for (size_t i = 0; i < p->count; i++)
		problem_print(&p->list[i], file, path);
	if (p->mistakes + p->warnings > p->count)
		fprintf(file, "%s: %zu more are not shown\n", path,
		        p->mistakes + p->warnings - p->count);
}
