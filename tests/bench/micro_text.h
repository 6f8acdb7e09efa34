/* What reading a command, reading an answer and writing a reply cost, beside the same by trees of
 * jansson's. Nanoseconds of the processor, the least of a few rounds. */
#ifndef BENCH_MICRO_TEXT_H
#define BENCH_MICRO_TEXT_H

struct micro_pair {
	const char *what;
	double ours;
	double jansson;
};

#define MICRO_PAIRS 3

void micro_text(struct micro_pair ret[static MICRO_PAIRS]);

#endif
