/* What consumer and publisher share: librdkafka configurations built from the user's properties
 * and ours. */
#ifndef WORKER_IO_KAFKA_H
#define WORKER_IO_KAFKA_H

#include "worker/base/check.h"
#include "worker/base/err.h"
#include "worker/base/log.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

/* One librdkafka property, both borrowed. */
struct kafka_property {
	const char *name;
	const char *value;
};

struct kafka_properties {
	const struct kafka_property *list;
	size_t count;
};

/* A copy of names and values, to be released by kafka_properties_close(). */
struct kafka_properties kafka_properties_copy(const struct kafka_properties *properties);
void kafka_properties_close(struct kafka_properties *copy);

enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER };

/* True when the worker sets this property itself and a user's value would break its promises;
 * '*ret_why' then says so. */
bool kafka_property_is_ours(const char *name, const char **ret_why);

/* Try one property of the user's against the installed librdkafka. Used by `check`, so that
 * nothing fails at run time. Values that may be secret never stand in the message. */
int kafka_property_check(const char *name, const char *value, struct err *err) MUST_CHECK;

/* What one client is configured with. Later ones win: defaults, then the user's, then ours. */
struct kafka_conf_options {
	enum kafka_role role;
	struct kafka_properties defaults;
	/* Those of the other role, those that are ours, and KAFKA_SOCKET_TIMEOUT beside a
	 * transactional.id of ours, are left out. */
	struct kafka_properties user;
	struct kafka_properties ours;
};

/* Not less than the session. */
#define KAFKA_POLL_INTERVAL "max.poll.interval.ms"

/* librdkafka derives it from transaction.timeout.ms, and makes no producer of transactions when a
 * longer one is set. */
#define KAFKA_SOCKET_TIMEOUT "socket.timeout.ms"

/* The caller owns the result. NULL on failure. */
rd_kafka_conf_t *kafka_conf_new(const struct kafka_conf_options *options,
                                struct err *err) MUST_CHECK;

#endif
