/* What blocks in a transaction, one step at a time, on a thread of its own.
 *
 * A part of transaction.h; who wants to write uses that. While a step runs the producer is the
 * thread's: nobody else polls it. */
#ifndef WORKER_IO_KAFKA_TRANSACTION_H
#define WORKER_IO_KAFKA_TRANSACTION_H

#include "worker/io/kafka_client.h"
#include "worker/io/kafka_write.h"

/* librdkafka sends a request again after so long when its connection was lost. Within that time an
 * answer is the answer to the only copy. Milliseconds. */
#define KAFKA_TRANSACTION_RETRY_MS 1000

enum kafka_step_kind {
	KAFKA_STEP_INIT,
	KAFKA_STEP_FILL,   /* Begin, produce, flush; what failed is aborted */
	KAFKA_STEP_COMMIT, /* Send the offsets and commit; what is refused is aborted */
	KAFKA_STEP_ABORT
};

enum kafka_step_end {
	KAFKA_STEP_DONE,
	KAFKA_STEP_AGAIN,   /* Nothing happened; the step can be done again */
	KAFKA_STEP_ABORTED, /* Nothing of the transaction counts */
	KAFKA_STEP_UNCLEAR, /* Nobody knows until a new producer was made; or the group does not
	                       know this member any more */
	KAFKA_STEP_FATAL    /* Will never work */
};

struct kafka_step {
	enum kafka_step_kind kind;
	struct kafka_client *client;               /* Borrowed; entered until the step has ended */
	struct kafka_write *writes;                /* Owned: to be produced */
	rd_kafka_topic_partition_list_t *offsets;  /* Owned: to be committed, or NULL */
	rd_kafka_consumer_group_metadata_t *group; /* Owned: who commits them, or NULL */
	int timeout_ms;                            /* For each call that waits */

	enum kafka_step_end end;
	bool must_renew; /* The producer must be made anew, whatever the end */
	char error[256];
};

/* Begin a step. 'finished' fires on the loop; 'done' is false when the step was abandoned, and then
 * nothing of it may be read. It is gone after the call, but for the writes, which may be taken out.
 */
typedef void (*kafka_step_cb)(void *owner, struct kafka_step *step, bool done);

/* Takes over 'step', which was allocated. NULL when no thread could be started: the step is gone
 * and its writes are back in '*ret_writes'. */
struct offload *kafka_step_start(uv_loop_t *loop, struct kafka_step *step, kafka_step_cb finished,
                                 void *owner, struct kafka_write **ret_writes,
                                 struct err *err) MUST_CHECK;

/* The producer for these steps. */
struct kafka_transaction_client {
	struct kafka_properties properties; /* The user's */
	const char *transactional_id;
	duration_t timeout;        /* transaction.timeout.ms */
	void (*turn)(void *owner); /* As in kafka_client_options */
	void *owner;
};

struct kafka_client *kafka_transaction_client_new(uv_loop_t *loop,
                                                  const struct kafka_transaction_client *options,
                                                  const struct log *log,
                                                  struct err *err) MUST_CHECK;

/* A copy that the thread may keep. NULL for NULL. */
rd_kafka_consumer_group_metadata_t *
kafka_group_copy(const rd_kafka_consumer_group_metadata_t *group);

#endif
