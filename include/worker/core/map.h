/* What a partition's ledger says, as text for the metadata of an offset commit.
 *
 *     1:<base>:<crc32, 8 hex digits>:<encoding><data>
 *
 * The checksum covers "<base>:" and what follows it. Data are digits of 6 bits in the alphabet of
 * base64url; worker/core/map.c describes them.
 *
 * From the committed offset (the base) onward it tells of each offset whether it is new, started or
 * replied, so that the next owner knows what may have been sent. Two encodings, of which the
 * shorter is written: dense, 'd', with two bits an offset; sparse, 's', a list of the open offsets,
 * however far they reach. Offsets at and behind the end are new: nobody has seen them. Brokers keep
 * 4,096 bytes of metadata; a text is never empty, so that an empty one means that a person has
 * moved the offset. */
#ifndef WORKER_CORE_MAP_H
#define WORKER_CORE_MAP_H

#include "worker/base/buffer.h"
#include "worker/core/command.h"

#define MAP_TEXT_MAX 4096

enum map_state {
	MAP_NEW,     /* Nothing of it was sent, or all of that in vain for certain */
	MAP_STARTED, /* A request of it is, or may be, on its way */
	MAP_REPLIED, /* Its reply is stored */
	MAP_PARTLY   /* As STARTED, for a command of several requests: 'progress' says how far it is
	              */
};

/* How far a command of several requests is: its participants are sent in order. */
struct map_progress {
	uint8_t settled;   /* The first so many have been answered */
	uint8_t in_flight; /* The next so many may have been sent; what follows is new */
	uint8_t
	    accepted[(COMMAND_PARTICIPANTS_MAX + 7) / 8]; /* Bit i: participant i was accepted */
};

/* One offset without a reply. */
struct map_entry {
	int64_t offset;
	enum map_state state; /* Never MAP_REPLIED */
	struct map_progress progress;
};

/* Entries are in the order of their offsets. Every offset in [base, end) that is not among them is
 * replied. */
struct map {
	int64_t base;
	int64_t end;
	struct map_entry *entries; /* Owned */
	size_t count, capacity;
};

enum map_problem {
	MAP_OK,
	MAP_EMPTY,    /* No text: a person has set the offset */
	MAP_VERSION,  /* Not a version that this worker reads */
	MAP_CHECKSUM, /* The text was damaged */
	MAP_BASE,     /* Made for another offset than it stands at */
	MAP_MALFORMED,
	MAP_NO_MEMORY
};

void map_init(struct map *m, int64_t base);
void map_close(struct map *m);

/* Add an entry behind all others; 'end' moves behind it. False when there is no memory. */
bool map_add(struct map *m, const struct map_entry *entry) MUST_CHECK;

/* Append the text, or nothing and return false when neither encoding fits into MAP_TEXT_MAX bytes,
 * or when there is no memory, which marks 'text' as failed. New entries right before the end are
 * not written: what is not written is new. The base must not be negative. */
bool map_encode(const struct map *m, struct buffer *text) MUST_CHECK;

/* Read a text that stands at 'offset'. On any problem '*ret' is an empty map at 'offset'. Close
 * '*ret' in any case. */
enum map_problem map_decode(struct bytes text, int64_t offset, struct map *ret) MUST_CHECK;

/* The entry of that offset, or NULL. */
const struct map_entry *map_find(const struct map *m, int64_t offset);

/* What the map says of an offset. Those before the base are replied. */
enum map_state map_state(const struct map *m, int64_t offset);

/* One word for a problem, such as "checksum"; "ok" for MAP_OK. */
const char *map_problem_text(enum map_problem problem);

#endif
