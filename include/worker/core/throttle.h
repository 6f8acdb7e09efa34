/* Whether a throttled answer concerns one call or the whole application, which Graph does not say.
 *
 * The sign is a row: calls that are throttled one after the other, with nothing accepted between.
 * How long a row must be depends on how often calls are throttled anyway: it is taken for the
 * application's when chance would hardly ever bring it about. */
#ifndef WORKER_CORE_THROTTLE_H
#define WORKER_CORE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct throttle {
	double share;     /* Throttled among the latest answers, the application's rows apart */
	double answers;   /* So many answers made up 'share' */
	double before;    /* 'share' as it was before the row */
	double chance;    /* Of such a row when only calls are throttled */
	unsigned calls;   /* In the row; 0: there is none */
	uint64_t last[2]; /* The two of them that came last */
};

void throttle_init(struct throttle *t);

/* Graph did what was asked, or refused it for another reason: the row has ended. */
void throttle_pass(struct throttle *t);

/* The request of this call was throttled. True when the row is the application's; the next one
 * begins anew. */
bool throttle_hit(struct throttle *t, uint64_t call);

#endif
