/* graph-simulator: a Microsoft Graph that can misbehave, for tests and demonstrations. */
#include "simulator/simulator.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum option_key {
	KEY_HTTP = 256,
	KEY_HTTPS,
	KEY_ADDRESS,
	KEY_CERT,
	KEY_KEY,
	KEY_RULES,
	KEY_JOURNAL,
	KEY_TENANT,
	KEY_CLIENT_ID,
	KEY_CLIENT_SECRET,
	KEY_TOKEN_LIFETIME,
	KEY_LATENCY,
	KEY_SEED,
	KEY_KEEP,
};

static const struct argp_option argp_options[] = {
	{ "http", KEY_HTTP, "PORT", 0, "Serve HTTP on this port; 0 takes a free one", 0 },
	{ "https", KEY_HTTPS, "PORT", 0, "Serve HTTPS on this port; 0 takes a free one", 0 },
	{ "cert", KEY_CERT, "FILE", 0, "Certificate chain for HTTPS, PEM", 0 },
	{ "key", KEY_KEY, "FILE", 0, "Private key for HTTPS, PEM", 0 },
	{ "address", KEY_ADDRESS, "IPV4", 0, "Address to listen on (127.0.0.1)", 0 },
	{ "journal", KEY_JOURNAL, "FILE", 0, "Write one line of JSON for every request", 0 },
	{ "rules", KEY_RULES, "FILE", 0, "Start with the rules of this JSON file", 0 },
	{ "latency", KEY_LATENCY, "MS", 0, "Delay of every answer of Graph (0)", 0 },
	{ "tenant", KEY_TENANT, "ID", 0, "The only tenant with tokens (any)", 0 },
	{ "client-id", KEY_CLIENT_ID, "ID", 0, "The only application with tokens (any)", 0 },
	{ "client-secret", KEY_CLIENT_SECRET, "SECRET", 0, "Its secret (any)", 0 },
	{ "token-lifetime", KEY_TOKEN_LIFETIME, "S", 0, "Lifetime of a token (3599)", 0 },
	{ "seed", KEY_SEED, "N", 0, "For ids, tokens and jitter (from the clock)", 0 },
	{ "keep", KEY_KEEP, "N", 0, "Operations that are remembered (100000)", 0 },
	{ 0 },
};

static int64_t parse_number(struct argp_state *state, const char *name, const char *text,
                            int64_t max)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 10);

	if (errno || end == text || *end || value < 0 || value > max)
		argp_error(state, "--%s %s: must be a number from 0 to %lld", name, text,
		           (long long)max);
	return value;
}

static error_t check_options(struct argp_state *state, const struct options *options)
{
	if (options->http_port < 0 && options->https_port < 0)
		argp_error(state, "--http or --https is needed");
	if (options->https_port >= 0 && (!options->cert || !options->key))
		argp_error(state, "--https needs --cert and --key");
	return 0;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_HTTP:
		options->http_port = (int)parse_number(state, "http", arg, 65535);
		return 0;
	case KEY_HTTPS:
		options->https_port = (int)parse_number(state, "https", arg, 65535);
		return 0;
	case KEY_ADDRESS:
		options->address = arg;
		return 0;
	case KEY_CERT:
		options->cert = arg;
		return 0;
	case KEY_KEY:
		options->key = arg;
		return 0;
	case KEY_RULES:
		options->rules = arg;
		return 0;
	case KEY_JOURNAL:
		options->journal = arg;
		return 0;
	case KEY_TENANT:
		options->tenant = arg;
		return 0;
	case KEY_CLIENT_ID:
		options->client_id = arg;
		return 0;
	case KEY_CLIENT_SECRET:
		options->client_secret = arg;
		return 0;
	case KEY_TOKEN_LIFETIME:
		options->token_lifetime_s = parse_number(state, "token-lifetime", arg, 86400);
		return 0;
	case KEY_LATENCY:
		options->latency_ms = parse_number(state, "latency", arg, 3600000);
		return 0;
	case KEY_SEED:
		options->seed = parse_number(state, "seed", arg, INT64_MAX);
		return 0;
	case KEY_KEEP:
		options->keep = parse_number(state, "keep", arg, 100000000);
		return 0;
	case ARGP_KEY_END:
		return check_options(state, options);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = on_option,
	.doc = "Plays Microsoft Graph and its login service, well or as badly as rules ask for."
	       "\vWhen it is ready it prints one line of JSON with its ports. It is steered under "
	       "/control of the same ports and ends on SIGTERM. The rules and the journal are "
	       "described in tests/simulator/README.md.",
};

static int load_rules(struct simulator *simulator, const char *path, struct err *err)
{
	json_error_t error;
	json_t *list;
	int result;

	if (!path)
		return 0;
	list = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!list)
		return err_set(err, "read %s: line %d: %s", path, error.line, error.text);
	result = rules_add(&simulator->rules, list, err);
	json_decref(list);
	return result < 0 ? err_wrap(err, "read %s", path) : 0;
}

static void on_signal(uv_signal_t *signal, int number)
{
	(void)number;
	uv_stop(signal->loop);
}

static int serve(struct simulator *simulator, struct err *err)
{
	uv_signal_t signals[2];

	if (load_rules(simulator, simulator->options->rules, err) < 0)
		return -1;
	if (server_init(&simulator->server, simulator, err) < 0) {
		server_close(&simulator->server);
		return -1;
	}
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&simulator->loop, &signals[i]);
		uv_signal_start(&signals[i], on_signal, i == 0 ? SIGTERM : SIGINT);
	}
	printf("{\"ready\":true,\"http\":%d,\"https\":%d,\"pid\":%d}\n",
	       listener_port(&simulator->server.http), listener_port(&simulator->server.https),
	       (int)uv_os_getpid());
	fflush(stdout);
	uv_run(&simulator->loop, UV_RUN_DEFAULT);
	server_close(&simulator->server);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&signals[i], NULL);
	/* Lets go of the handles, and with them of the exchanges that have one. */
	uv_run(&simulator->loop, UV_RUN_NOWAIT);
	return 0;
}

static int run(const struct options *options, struct err *err)
{
	struct simulator simulator = { .options = options };
	int result;

	uv_loop_init(&simulator.loop);
	log_init(&simulator.log, stderr, LOG_INFO);
	random_init(&simulator.random, (uint64_t)options->seed);
	settings_init(&simulator.settings);
	simulator.settings.latency_ms = options->latency_ms;
	simulator.settings.token_lifetime_s = options->token_lifetime_s;
	rules_init(&simulator.rules);
	if (options->client_secret)
		snprintf(simulator.credentials.client_secret,
		         sizeof simulator.credentials.client_secret, "%s", options->client_secret);
	tokens_init(&simulator.tokens);
	calls_init(&simulator.calls, (size_t)options->keep);
	result = journal_init(&simulator.journal, &simulator.loop, options->journal, &simulator.log,
	                      err);
	if (result == 0) {
		result = serve(&simulator, err);
		journal_close(&simulator.journal);
	}
	calls_close(&simulator.calls);
	tokens_close(&simulator.tokens);
	rules_close(&simulator.rules);
	uv_run(&simulator.loop, UV_RUN_NOWAIT);
	CHECK(uv_loop_close(&simulator.loop) == 0);
	return result;
}

/* Every connection is a file: take as many as the system lets us have. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct options options = {
		.address = "127.0.0.1",
		.http_port = -1,
		.https_port = -1,
		.token_lifetime_s = 3599,
		.seed = simulator_wall().us,
		.keep = 100000,
	};
	struct err err = { "" };

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	/* A client that goes away must not end the simulator. */
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	if (run(&options, &err) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "graph-simulator: %s\n", err.msg);
	return EXIT_FAILURE;
}
