/* invite-worker: sends Microsoft Graph invites from Kafka. */
#include "worker/app.h"
#include "worker/cli.h"
#include "worker/cli_ledger.h"
#include "worker/cli_redrive.h"

#include <curl/curl.h>
#include <malloc.h>
#include <sysexits.h>
#include <unistd.h>

/* Blocks of this size, as librdkafka fetches them, go back to the system when they are freed. glibc
 * would raise the limit with the first of them, and keep them all. */
#define LARGE_BLOCK (128 * 1024)

/* Heaps, shared by all threads: each keeps what its busiest moment took, and of all but the first
 * malloc_trim() leaves the end as it is. */
#define HEAPS 1

static int run(const struct cli_arguments *arguments)
{
	struct config *config;
	int code = cli_load(arguments, environ, &config);

	if (code != EX_OK)
		return code;
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	mallopt(M_ARENA_MAX, HEAPS);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		config_free(config);
		return EX_OSERR;
	}
	code = app_run(config);
	curl_global_cleanup();
	config_free(config);
	return code;
}

/* A command that needs the configuration and blocks. */
static int with_config(const struct cli_arguments *arguments,
                       int (*command)(const struct cli_arguments *arguments,
                                      const struct config *config))
{
	struct config *config;
	int code = cli_load(arguments, environ, &config);

	if (code != EX_OK)
		return code;
	code = command(arguments, config);
	config_free(config);
	return code;
}

int main(int argc, char *argv[])
{
	struct cli_arguments arguments;

	cli_parse(argc, argv, &arguments);
	switch (arguments.command) {
	case CLI_RUN:
		return run(&arguments);
	case CLI_CHECK:
		return cli_check(&arguments, environ);
	case CLI_LEDGER:
		return with_config(&arguments, cli_ledger);
	case CLI_REDRIVE:
		return with_config(&arguments, cli_redrive);
	case CLI_HELP:
		return cli_help(&arguments);
	}
	return EX_USAGE;
}
