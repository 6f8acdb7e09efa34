/* The protocol, broken on purpose in one place at a time: each must be caught by the checker.
 *
 * A mutant changes the simulated shell, the text of a map on its way to the broker, or a value of
 * the policy; never the engine. */
#ifndef SIMULATION_MUTANT_H
#define SIMULATION_MUTANT_H

#include "worker/base/buffer.h"

/* MUTANT(name, text, what it does) */
#define MUTANT_TABLE(MUTANT)                                                                       \
	MUTANT(NONE, "none", "the protocol as it is")                                              \
	MUTANT(NO_MARK, "no-mark", "sends without having committed the intent")                    \
	MUTANT(STRIPPED_MAP, "stripped-map", "what was inherited and not read again is left out")  \
	MUTANT(EARLY_RESEND, "early-resend", "an unknown request is sent once more at once")       \
	MUTANT(NO_SETTLE, "no-settle", "looks for evidence at once")                               \
	MUTANT(PAST_FRONTIER, "past-frontier", "commits behind an offset without a reply")         \
	MUTANT(OVERLAP, "overlap", "has two plain commits outstanding")                            \
	MUTANT(OLD_MAP, "old-map", "takes the answer to a repeated commit for definite")           \
	MUTANT(LATE_ACK, "late-ack", "takes a late answer for that of the next commit")            \
	MUTANT(LEASE_FROM_ACK, "lease-from-ack", "counts the lease from the answer")               \
	MUTANT(NO_LEASE, "no-lease", "has no lease, only what the client knows")                   \
	MUTANT(LOST_PROGRESS, "lost-progress", "forgets how far a split command is")               \
	MUTANT(FRESH_METADATA, "fresh-metadata",                                                   \
	       "a transaction outlives its assignment and shows the metadata of the next")         \
	MUTANT(MIXED_LANE, "mixed-lane", "commits plainly while a transaction is being ended")     \
	MUTANT(EARLY_STORED, "early-stored", "replies count as stored before the commit")          \
	MUTANT(LONE_REPLY, "lone-reply", "a reply counts only together with its dead letter")      \
	MUTANT(NO_EPOCH, "no-epoch", "sends for a partition that was given back")                  \
	MUTANT(OLD_PRODUCER, "old-producer", "keeps the producer after an unclear end")            \
	MUTANT(LOST_HISTORY, "lost-history", "forgets the commandIds of the owner before")         \
	MUTANT(UNSTABLE_READ, "unstable-read", "reads the map while a transaction is open on it")  \
	MUTANT(ABORT_GRANTS, "abort-grants", "marks of an aborted transaction count as committed") \
	MUTANT(BLIND_RETRY, "blind-retry", "a broken transfer counts as not sent")                 \
	MUTANT(WHOLE_RATE, "whole-rate", "every worker takes the whole rate for itself")

enum mutant {
#define MUTANT(name, text, meaning) MUTANT_##name,
	MUTANT_TABLE(MUTANT)
#undef MUTANT
	    MUTANT_COUNT
};

const char *mutant_text(enum mutant mutant);
const char *mutant_meaning(enum mutant mutant);

/* The mutant of that name, or MUTANT_COUNT. */
enum mutant mutant_find(const char *text);

/* Change a map that is about to be committed; '*offset' is where it stands, 'read' the first offset
 * that was not read since the partition was assigned. */
void mutant_map(enum mutant mutant, int64_t read, int64_t *offset, struct buffer *text);

#endif
