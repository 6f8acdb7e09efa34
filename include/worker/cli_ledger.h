/* `invite-worker ledger`: what the group's commits say of each partition, and the ways out when
 * they cannot be used. */
#ifndef WORKER_CLI_LEDGER_H
#define WORKER_CLI_LEDGER_H

#include "worker/cli.h"

/* Do what was asked for: the outcome goes to standard output, why it could not be done to standard
 * error. Returns the exit code: 0, 64 when there is no such partition, 69 when the brokers do not
 * answer, 74 when the output cannot be written, 77 when it is refused. */
int cli_ledger(const struct cli_arguments *arguments, const struct config *config) MUST_CHECK;

#endif
