/* Who is invited: what a participant's identity set says, as far as the worker must know. */
#ifndef WORKER_CORE_IDENTITY_H
#define WORKER_CORE_IDENTITY_H

#include "worker/base/bytes.h"

#include <stdbool.h>

/* Most bytes of a participant's id. */
#define IDENTITY_ID_SIZE 1024

/* One member of an identity set. */
struct identity {
	struct bytes kind; /* Its name, such as user */
	struct bytes id;
};

/* True when both are of one kind and their ids are the same, whatever the case of ASCII letters in
 * them. */
bool identity_equal(struct identity a, struct identity b);

/* The id, of at most IDENTITY_ID_SIZE bytes, with its ASCII letters in lower case, in 'room'. */
struct bytes identity_lower(struct bytes id, char room[static IDENTITY_ID_SIZE]);

/* Longest id of a call. */
#define IDENTITY_CALL_ID_MAX 128

/* True for an id that may stand in a path: [A-Za-z0-9._~-]{1,128}, but not "." or "..". */
bool identity_is_call_id(struct bytes id);

/* True for a phone number in E.164 form: "+", then 2 to 15 digits of which the first is not 0. */
bool identity_is_e164(struct bytes id);

/* Room for a GUID with its dashes, and the final NUL. */
#define IDENTITY_GUID_DIGITS 32
#define IDENTITY_GUID_SIZE   37

/* One way to write an id of Graph's, which comes in either case and with or without dashes: a GUID
 * in lower case with dashes, in 'room'; any other id as it is. */
struct bytes identity_plain(struct bytes id, char room[static IDENTITY_GUID_SIZE]);

#endif
