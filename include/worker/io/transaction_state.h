/* What the two files of transaction.h share: its states and what they are made of. */
#ifndef WORKER_IO_TRANSACTION_STATE_H
#define WORKER_IO_TRANSACTION_STATE_H

#include "worker/io/kafka_transaction.h"
#include "worker/io/outbox.h"
#include "worker/io/positions.h"
#include "worker/io/transaction.h"

enum transaction_state {
	STATE_STARTING,
	STATE_IDLE,
	STATE_FILLING,
	STATE_WAITING,
	STATE_ENDING,
	STATE_VERIFYING,
	STATE_ABORTING,
	STATE_RENEWING,
	STATE_CLOSING,
	STATES
};

struct transaction {
	uv_loop_t *loop; /* Borrowed, as what follows */
	struct consumer *consumer;
	struct committer *committer;
	const struct log *log;
	struct transaction_options options; /* Not its texts */
	struct transaction_callbacks callbacks;
	struct kafka_properties properties; /* Owned, as what follows */
	char *transactional_id;

	enum transaction_state state;
	struct kafka_client *client; /* Owned */
	struct offload *step;        /* Owned: the step under way, or NULL */
	bool is_broken;              /* An end was unclear: nothing goes on before a reset */
	bool is_fatal;               /* Was reported */
	bool is_staged;              /* `staged` has fired, and nothing that ends it */
	bool must_verify;            /* The producer is new */
	unsigned reads;              /* Attempts to read back */
	unsigned renewals;           /* Since the last commit */

	struct outbox outbox;
	struct positions_copy offsets; /* Of the open transaction, to be read back */
	instant_t next_at;             /* The next transaction may begin */

	void (*reset_done)(void *owner);
	void *reset_owner;
	void (*closed)(void *owner);
	void *closed_owner;
	bool is_late; /* The deadline of the close has passed */

	uv_timer_t timer; /* What is to happen next by itself */
	uv_timer_t tick;
	uv_timer_t deadline;
	unsigned open_parts; /* The timers and the client */
};

void transaction_set_state(struct transaction *t, enum transaction_state state);

/* Look in the next turn of the loop what is to be done. */
void transaction_act_soon(struct transaction *t);

/* Abort the open transaction, off the loop. */
void transaction_abort(struct transaction *t);

int transaction_open_client(struct transaction *t, struct err *err) MUST_CHECK;

/* Serve what librdkafka says, unless a step has the producer. */
void transaction_serve(struct transaction *t);

/* Let go of everything; parts that are still open are waited for. */
void transaction_begin_close(struct transaction *t);
void transaction_part_is_closed(struct transaction *t);

#endif
