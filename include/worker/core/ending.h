/* How an invite's operation ended: the record of the outcomes topic (config/outcome.schema.json).
 *
 * Graph's answer to an invite only says that the operation runs. Its end is told by a notification
 * (notification.h), or by the operation itself when it is asked for (poll.h). Which commands it
 * was for stands in the clientContext, so that nothing needs to be remembered. */
#ifndef WORKER_CORE_ENDING_H
#define WORKER_CORE_ENDING_H

#include "worker/base/buffer.h"
#include "worker/core/identity.h"

#include <jansson.h>
#include <stdbool.h>

enum ending_source { ENDING_NOTIFIED, ENDING_POLLED };

/* All but the ids is borrowed from what it was read from. */
struct ending {
	enum ending_source source;
	bool has_failed;
	struct bytes call_id;      /* Key of the record */
	struct bytes operation_id; /* Empty: not known */
	struct bytes context;      /* Empty: none */
	const json_t *result_info; /* NULL: none */
};

/* No record has more bytes. */
#define ENDING_SIZE_MAX 65536

/* True when Graph's operation says that it has ended. */
bool ending_is_end(const json_t *operation);

/* Fill in what an operation that has ended says of itself: all but 'source' and 'call_id'. An id
 * stays as it is when it says none. */
void ending_read(const json_t *operation, struct ending *ret);

/* Append the record's value. 'topic' is that of the commands: a context of the worker's own making
 * names places in it. */
void ending_write(const struct ending *ending, struct bytes topic, struct buffer *out);

#endif
