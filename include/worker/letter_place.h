/* How far one partition of the dead-letter topic is worked off, and which letters were put back.
 *
 * A letter that was put back is done, and so is all before the committed offset. What was left out
 * is not, however much behind it is done: a later run with other filters still finds it. */
#ifndef WORKER_LETTER_PLACE_H
#define WORKER_LETTER_PLACE_H

#include "worker/core/offset_set.h"
#include "worker/io/offsets.h"

struct letter_place {
	struct offset_set before; /* Done when this run began */
	struct offset_set done;   /* Done of what was read */
	int64_t forgotten;        /* Left out, and joined with what is done for want of room */
	int64_t start;            /* Where reading begins */
	int64_t next;             /* Behind what was read */
	int64_t high;             /* Where the partition ended when this run began */
	bool was_done;            /* The last letter was, or there was none yet */
	bool is_over;             /* Nothing more is read of it */
};

enum letter_place_problem {
	LETTER_PLACE_OK,
	LETTER_PLACE_BEHIND_END, /* The committed offset lies behind the end of the topic */
	LETTER_PLACE_MALFORMED   /* The committed text is not of the redrive */
};

/* From what is committed. 'from_beginning': read all, whatever was done; then there is no problem.
 * Close '*ret' in any case. */
enum letter_place_problem letter_place_init(struct letter_place *ret,
                                            const struct offsets_position *at,
                                            bool from_beginning) MUST_CHECK;
void letter_place_close(struct letter_place *p);

/* True when the letter was put back before this run. */
bool letter_place_was_done(const struct letter_place *p, int64_t offset);

/* The next letter was read, and is done now, or was before, or is left out. */
void letter_place_note(struct letter_place *p, int64_t offset, bool is_done);

/* Nothing stands before 'offset' that was not read. */
void letter_place_end(struct letter_place *p, int64_t offset);

/* What is to be committed: an offset, and a text that is appended. Returns how many offsets were
 * left out and do not fit into the text: they count as done. Forgets what can never fit again, so
 * that the next time costs no more. */
int64_t letter_place_write(struct letter_place *p, int64_t *ret_offset, struct buffer *text);

#endif
