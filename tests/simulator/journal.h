/* The witness: one line of JSON for every request that arrived, whatever its sender learnt of the
 * answer.
 *
 * Lines are collected and written every few milliseconds, when a lot of them came together, and at
 * the end. README.md describes a line. */
#ifndef SIMULATOR_JOURNAL_H
#define SIMULATOR_JOURNAL_H

#include "worker/base/buffer.h"
#include "worker/base/err.h"
#include "worker/base/log.h"

#include <stdbool.h>
#include <uv.h>

struct exchange;

struct journal {
	int fd;                /* -1: no journal is kept */
	struct buffer lines;   /* Not written yet */
	uv_timer_t timer;      /* Armed while there are such lines */
	uint64_t lost;         /* Lines that could not be kept or written */
	const struct log *log; /* Borrowed */
};

/* Start a journal in 'path', which is made or emptied; NULL: none. */
int journal_init(struct journal *journal, uv_loop_t *loop, const char *path, const struct log *log,
                 struct err *err) MUST_CHECK;

/* Add the line of an exchange that is over. */
void journal_add(struct journal *journal, const struct exchange *exchange);

/* Hand all lines to the kernel. */
void journal_flush(struct journal *journal);

/* Write the rest and end. The loop must run once more to let go of the timer. */
void journal_close(struct journal *journal);

#endif
