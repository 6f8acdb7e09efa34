/* A librdkafka consumer for the tools (ledger, redrive): it never joins its group, writes nothing
 * of its own to the log, and keeps what a broker's connection failed of last, for a message. */
#ifndef WORKER_IO_TOOL_CLIENT_H
#define WORKER_IO_TOOL_CLIENT_H

#include "worker/io/kafka.h"

#define TOOL_CLIENT_ERROR_SIZE 200

struct tool_client {
	rd_kafka_t *rk;                          /* Owned; NULL while it is not open */
	char last_error[TOOL_CLIENT_ERROR_SIZE]; /* "" while nothing has failed */
};

/* '*c' must stay where it is until it is closed. Returns 0, or -1. */
int tool_client_open(struct tool_client *c, const struct kafka_properties *kafka, const char *group,
                     struct err *err) MUST_CHECK;

/* One that is not open is fine. */
void tool_client_close(struct tool_client *c);

#endif
