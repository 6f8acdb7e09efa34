/* Judges a history: whether the promise was kept. It knows only the chronicle, not the worker. */
#ifndef SIMULATION_CHECKER_H
#define SIMULATION_CHECKER_H

#include "simulation/chronicle.h"

/* RULE(name, text) */
#define RULE_TABLE(RULE)                                                                           \
	RULE(STUCK, "every command is replied to")                                                 \
	RULE(ONE_REPLY, "no command is replied to twice")                                          \
	RULE(ONE_EFFECT, "nobody is invited twice")                                                \
	RULE(ACCEPTED, "accepted or reconciled: Graph has it")                                     \
	RULE(NO_EFFECT, "failed, rejected, expired or canceled: Graph does not have it")           \
	RULE(DUPLICATE, "a repeated command is replied to as such")                                \
	RULE(CANCEL, "a cancel's reply says what the command's says, and comes behind it")         \
	RULE(UNKNOWN, "an unknown outcome has a fault as its reason")                              \
	RULE(AFTER_REPLY, "nothing has an effect after its reply")                                 \
	RULE(OVERTAKEN, "nothing is sent again while the first may have its effect")               \
	RULE(FRONTIER, "no commit passes an offset without a reply")                               \
	RULE(OWNER, "nothing is sent by a worker that had lost the partition")                     \
	RULE(ORDER, "the commands of a call are sent in order")                                    \
	RULE(CALL_RATE, "a call's rate is kept")                                                   \
	RULE(APPLICATION_RATE, "the application's rate is kept")

enum rule {
#define RULE(name, text) RULE_##name,
	RULE_TABLE(RULE)
#undef RULE
	    RULE_COUNT
};

const char *rule_text(enum rule rule);

#define CHECKER_FINDINGS 8

struct finding {
	enum rule rule;
	char what[160];
};

struct verdict {
	struct finding findings[CHECKER_FINDINGS]; /* The first ones */
	size_t n;                                  /* All of them */
	/* Figures of the history. */
	size_t n_unknown, n_unjustified, n_missing, n_double_replies, n_double_effects, n_late;
	size_t n_without_location; /* Reconciled by the roster */
	size_t n_canceled;         /* Cancels that have withdrawn something */
};

void checker_judge(const struct chronicle *c, struct verdict *ret);

#endif
