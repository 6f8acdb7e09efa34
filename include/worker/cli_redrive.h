/* `invite-worker redrive`: puts dead letters back to the command topic. */
#ifndef WORKER_CLI_REDRIVE_H
#define WORKER_CLI_REDRIVE_H

#include "worker/cli.h"

/* Returns the exit code. */
int cli_redrive(const struct cli_arguments *arguments, const struct config *config) MUST_CHECK;

#endif
