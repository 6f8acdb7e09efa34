/* How a command ends: its reply, a dead letter when it was not valid or has failed, and the ledger
 * once both are stored. */
#ifndef WORKER_CORE_RESPOND_H
#define WORKER_CORE_RESPOND_H

#include "worker/core/state.h"

/* Keep an error object for a job; its index in job.errors. */
int16_t respond_add_error(struct engine *e, struct job *job, enum reason reason,
                          const char *message, const char *graph_code, int http_status);

/* End what is not decided of a job with one status and error, and reply. */
void respond_rest(struct engine *e, struct job *job, enum status status, enum reason reason,
                  const char *message);

/* A command that came before, and whose first reply is there or on its way: reply that it is a
 * duplicate. */
void respond_duplicate(struct engine *e, struct job *job);

/* All of a job is decided: take it out of its call and write its reply, and its dead letter when it
 * has failed and the policy says so. */
void respond_job(struct engine *e, struct job *job);

/* Copy a record that was rejected to the dead-letter topic, its bytes unchanged. */
void respond_dead_letter(struct engine *e, struct job *job, const struct record *record,
                         const struct fault *fault);

/* A reply or dead letter is stored ('error' NULL) or was refused for good. */
void respond_written(struct engine *e, struct write *write, const char *error);

#endif
