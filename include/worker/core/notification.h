/* What the bot forwards: the body of its callback, Graph's commsNotifications, one in a record.
 *
 * Of all that Graph tells a bot, only the ends of invites matter here. Ids come in either case and
 * with or without dashes, resources as paths or whole URLs, and nothing is taken for granted: what
 * cannot be read is counted, and everything else of the record is read all the same. */
#ifndef WORKER_CORE_NOTIFICATION_H
#define WORKER_CORE_NOTIFICATION_H

#include "worker/core/ending.h"
#include "worker/core/record.h"

#define NOTIFICATION_BYTES_MAX (1024 * 1024) /* Of a record: a roster may be long */
#define NOTIFICATION_COUNT_MAX 1000          /* Notifications in a record */

enum notification_result {
	NOTIFICATION_READ,
	NOTIFICATION_JUNK, /* It is nothing of Graph's */
	NOTIFICATION_NO_MEMORY
};

/* The notifications of one record. */
struct notification {
	const struct record *record; /* Borrowed */
	json_t *root;                /* Owned */
	size_t next;                 /* Of the array `value` */
	size_t n_junk;               /* Ends of invites that do not say of which, so far */
	char room[IDENTITY_GUID_SIZE];
};

/* Read a record, which must outlive 'ret'. Unless it could be read, '*ret_problem' says what it is
 * not, and there is nothing to close. */
enum notification_result notification_open(const struct record *record, struct notification *ret,
                                           const char **ret_problem) MUST_CHECK;

/* The next end of an invite; false when there is no more. '*ret' is borrowed until the next call.
 * Its call id is the record's key if that is the same id, else as identity_plain() writes it. */
bool notification_next(struct notification *n, struct ending *ret) MUST_CHECK;

void notification_close(struct notification *n);

#endif
