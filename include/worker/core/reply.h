/* The reply to a command, as config/reply.schema.json describes it. */
#ifndef WORKER_CORE_REPLY_H
#define WORKER_CORE_REPLY_H

#include "worker/core/job.h"

struct reply_source {
	struct bytes topic;
	int32_t partition;
	const char *tenant_id;
	instant_t now;
	wall_t date; /* Of 'now' */
};

/* Append the JSON text of the reply to a job that waits no more. */
void reply_write(struct buffer *out, const struct job *job, const struct reply_source *source);

#endif
