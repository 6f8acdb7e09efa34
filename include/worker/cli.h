/* The command line: what is asked for, and the commands that need no running worker. */
#ifndef WORKER_CLI_H
#define WORKER_CLI_H

#include "worker/config.h"
#include "worker/letter_filter.h"

enum cli_command { CLI_RUN, CLI_CHECK, CLI_LEDGER, CLI_REDRIVE, CLI_HELP };

enum cli_ledger_action { CLI_LEDGER_SHOW, CLI_LEDGER_ACCEPT, CLI_LEDGER_REPAIR };

struct cli_ledger_arguments {
	enum cli_ledger_action action;
	int32_t partition; /* -1: all; never for accept and repair */
	int64_t offset;    /* Of accept; -1: the committed one */
	bool json;         /* Of show */
	bool dry_run;      /* Of accept and repair */
};

struct cli_redrive_arguments {
	struct letter_filter filter; /* Its topic is not set */
	int64_t limit;               /* Most letters; -1: all */
	bool from_beginning;         /* Also those that were put back before */
	bool dry_run;
	bool is_given; /* An option was, of those that are for redrive alone */
};

/* All borrowed from argv. */
struct cli_arguments {
	enum cli_command command;
	const char *config_path; /* NULL for help, and for nothing else */
	const char *topic;       /* Of help; NULL: the general help */
	struct cli_ledger_arguments ledger;
	struct cli_redrive_arguments redrive;
};

/* Read the arguments. --help and --version print and exit with 0, a mistake prints and exits
 * with 64. */
void cli_parse(int argc, char *argv[], struct cli_arguments *ret);

/* Load the configuration; problems go to standard error. Returns 0 and '*ret',
 * or 78. */
int cli_load(const struct cli_arguments *arguments, char *const environ[],
             struct config **ret) MUST_CHECK;

/* `check`: problems on standard error, the verdict on standard output. Returns the exit code, 0
 * or 78. */
int cli_check(const struct cli_arguments *arguments, char *const environ[]) MUST_CHECK;

/* `help`: the topic, or the general help. Returns the exit code. */
int cli_help(const struct cli_arguments *arguments) MUST_CHECK;

#endif
