/* What the group's commits say of each partition: what is under way, and what the broker is known
 * to have.
 *
 * A part of committer.h; who wants to commit uses that. */
#ifndef WORKER_IO_POSITIONS_H
#define WORKER_IO_POSITIONS_H

#include "worker/base/buffer.h"
#include "worker/io/consumer.h"

struct statement {
	int64_t offset; /* -1: nothing was said */
	struct buffer text;
};

struct position {
	int32_t number;    /* Of the partition */
	bool is_held;      /* Its map could not be written; until it is touched */
	bool is_forgotten; /* Not ours any more; freed when what is under way has ended */
	bool in_commit;    /* 'sent' is under way */
	struct statement sent;
	struct statement committed; /* As the broker knows */
	struct position *prev, *next;
};

struct positions {
	struct position *list;               /* Owned */
	struct consumer_position *under_way; /* Owned; points into 'sent' */
	size_t n_under_way;
};

void positions_close(struct positions *ps);

/* The position of a partition, made when it is not known yet. */
struct position *positions_know(struct positions *ps, int32_t number);

/* Begin a new commit, without anything in it. */
void positions_begin(struct positions *ps);

/* Put what 'sent' says into it. */
void positions_put(struct positions *ps, struct position *p);

/* It has ended. If it was acknowledged the broker has what it said. */
void positions_end(struct positions *ps, bool acknowledged);

void positions_forget(struct positions *ps, int32_t number);

/* True when 'sent' differs from what the broker has. */
bool position_is_news(const struct position *p);

/* What a commit said, kept. */
struct positions_copy {
	struct consumer_position *list; /* Owned, with its metadata */
	size_t n;
};

/* Replaces what it held. */
void positions_copy_init(struct positions_copy *copy, const struct consumer_position *list,
                         size_t n);
void positions_copy_close(struct positions_copy *copy);

/* True when this is what was found, in the same order. */
bool positions_copy_is(const struct positions_copy *copy, const struct consumer_offer *found,
                       size_t n);

#endif
