/* The command line: see cli.h. */
#include "worker/cli.h"
#include "worker/base/buffer.h"
#include "worker/base/metrics.h"
#include "worker/config/reference.h"
#include "worker/core/identity.h"
#include "worker/core/outcome.h"
#include "worker/core/reason.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define PAGE_MAX ((size_t)1024 * 1024)

/* So far from the largest number that nothing that is added to an offset overflows. */
#define OFFSET_MAX (INT64_MAX / 2)

static const struct {
	const char *name;
	enum cli_command command;
} commands[] = {
	{ "run", CLI_RUN },         { "check", CLI_CHECK }, { "ledger", CLI_LEDGER },
	{ "redrive", CLI_REDRIVE }, { "help", CLI_HELP },
};

static const struct {
	const char *name;
	enum cli_ledger_action action;
} actions[] = {
	{ "show", CLI_LEDGER_SHOW },
	{ "accept", CLI_LEDGER_ACCEPT },
	{ "repair", CLI_LEDGER_REPAIR },
};

/* Options of the command line that have no letter. */
enum {
	KEY_PARTITION = 256,
	KEY_OFFSET,
	KEY_JSON,
	KEY_DRY_RUN,
	KEY_REASON,
	KEY_SINCE,
	KEY_UNTIL,
	KEY_CALL,
	KEY_LIMIT,
	KEY_INCLUDE_UNKNOWN,
	KEY_FROM_BEGINNING
};

static const struct {
	const char *name;
	void (*write)(struct buffer *out);
} topics[] = {
	{ "options", reference_write_options }, { "schema", reference_write_schema },
	{ "example", reference_write_example }, { "metrics", metrics_write_reference },
	{ "replies", reason_write_reference },  { "answers", outcome_write_reference },
};

static const char usage[] = "run -c FILE\ncheck -c FILE\n"
                            "ledger show -c FILE [--partition N] [--json]\n"
                            "ledger accept -c FILE --partition N [--offset O] [--dry-run]\n"
                            "ledger repair -c FILE --partition N [--dry-run]\n"
                            "redrive -c FILE [--dry-run] [--limit N] [FILTERS]\n"
                            "help [options|schema|example|metrics|replies|answers]";

static const char description[] =
    "Reads invite commands from Kafka, sends them to Microsoft Graph and replies on Kafka.\n\n"
    "Commands:\n"
    "  run      Run the service until SIGTERM or SIGINT\n"
    "  check    Report every mistake of a configuration; contacts nothing\n"
    "  ledger   Show what is committed of each partition; while no worker runs,\n"
    "           accept that nothing behind an offset was begun, or repair a map\n"
    "           that is of no use: all behind the committed offset then counts as\n"
    "           begun\n"
    "  redrive  Put dead letters back to the command topic, each once\n"
    "  help     Print this, the options, their schema, an example, the metrics, the\n"
    "           statuses and codes of replies, or what Graph's answers lead to\n\n"
    "Options of the command line:\v";

static const char after_options[] =
    "Options of the configuration file. SECTION.NAME can also be set by the environment's "
    "INVITE_WORKER_SECTION_NAME.\n\n";

static const char exit_codes[] =
    "\nExit codes: 0 success, 64 usage, 69 unavailable, 75 work was left when the drain's time "
    "was over or the broker did not answer the last commit, 77 refused, 78 configuration.";

/* The part of --help that follows from the table. argp frees what is returned. */
static char *help_filter(int key, const char *text, void *input)
{
	struct buffer out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	buffer_init(&out, PAGE_MAX);
	buffer_append_text(&out, after_options);
	reference_write_help(&out);
	buffer_append_text(&out, exit_codes);
	CHECK(buffer_ok(&out));
	return out.data;
}

static void set_command(struct argp_state *state, struct cli_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			arguments->command = commands[i].command;
			return;
		}
	}
	argp_error(state, "there is no command '%s'", name);
}

static void set_action(struct argp_state *state, struct cli_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, name) == 0) {
			arguments->ledger.action = actions[i].action;
			return;
		}
	}
	argp_error(state, "ledger knows show, accept and repair, not '%s'", name);
}

static void set_argument(struct argp_state *state, struct cli_arguments *arguments, char *text)
{
	if (state->arg_num == 0)
		set_command(state, arguments, text);
	else if (state->arg_num == 1 && arguments->command == CLI_HELP)
		arguments->topic = text;
	else if (state->arg_num == 1 && arguments->command == CLI_LEDGER)
		set_action(state, arguments, text);
	else
		argp_error(state, "'%s' is one argument too many", text);
}

/* A whole number from 0 to 'most'. */
static int64_t parse_number(struct argp_state *state, const char *text, const char *what,
                            int64_t most)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || value > most)
		argp_error(state, "'%s' is no %s", text, what);
	return value;
}

/* What an action does not use must not be given. */
static void check_ledger(struct argp_state *state, const struct cli_arguments *arguments)
{
	const struct cli_ledger_arguments *l = &arguments->ledger;
	bool is_ledger = arguments->command == CLI_LEDGER;
	bool is_show = is_ledger && l->action == CLI_LEDGER_SHOW;

	if (is_ledger && state->arg_num < 2)
		argp_error(state, "ledger needs show, accept or repair");
	if (is_ledger && !is_show && l->partition < 0)
		argp_error(state, "--partition N is missing");
	if (l->partition >= 0 && !is_ledger)
		argp_error(state, "--partition is for ledger only");
	if (l->offset >= 0 && (!is_ledger || l->action != CLI_LEDGER_ACCEPT))
		argp_error(state, "--offset is for ledger accept only");
	if (l->json && !is_show)
		argp_error(state, "--json is for ledger show only");
	if (l->dry_run && (is_ledger ? is_show : arguments->command != CLI_REDRIVE))
		argp_error(state, "--dry-run is for ledger accept and repair and for redrive only");
}

static void check_redrive(struct argp_state *state, const struct cli_arguments *arguments)
{
	const struct letter_filter *f = &arguments->redrive.filter;

	if (arguments->redrive.is_given && arguments->command != CLI_REDRIVE)
		argp_error(state, "--reason, --since, --until, --call, --limit, --include-unknown "
		                  "and --from-beginning are for redrive only");
	if (f->since.us >= f->until.us)
		argp_error(state, "--since is not before --until");
}

static wall_t parse_date(struct argp_state *state, const char *text)
{
	wall_t date = { 0 };

	if (!wall_parse_rfc3339(text, strlen(text), &date))
		argp_error(state,
		           "'%s' is no date and time of RFC 3339, such as 2026-01-31T12:00:00Z",
		           text);
	return date;
}

static error_t parse_redrive(int key, char *text, struct argp_state *state)
{
	struct cli_redrive_arguments *r = &((struct cli_arguments *)state->input)->redrive;
	bool was_given = r->is_given;

	r->is_given = true;
	switch (key) {
	case KEY_REASON:
		if (!letter_filter_add_reason(&r->filter, text))
			argp_error(state, "there is no reason '%s': see help replies", text);
		return 0;
	case KEY_SINCE:
		r->filter.since = parse_date(state, text);
		return 0;
	case KEY_UNTIL:
		r->filter.until = parse_date(state, text);
		return 0;
	case KEY_CALL:
		if (!identity_is_call_id(bytes_of(text)))
			argp_error(state, "'%s' is no callId", text);
		r->filter.call = text;
		return 0;
	case KEY_LIMIT:
		r->limit = parse_number(state, text, "number of dead letters", OFFSET_MAX);
		return 0;
	case KEY_INCLUDE_UNKNOWN:
		r->filter.include_unknown = true;
		return 0;
	case KEY_FROM_BEGINNING:
		r->from_beginning = true;
		return 0;
	default:
		r->is_given = was_given;
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_complete(struct argp_state *state, const struct cli_arguments *arguments)
{
	if (state->arg_num == 0)
		argp_error(state, "a command is missing");
	else if (arguments->command != CLI_HELP && !arguments->config_path)
		argp_error(state, "-c FILE is missing");
	else if (arguments->command == CLI_HELP && arguments->config_path)
		argp_error(state, "help takes no -c");
	check_ledger(state, arguments);
	check_redrive(state, arguments);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct cli_arguments *arguments = state->input;

	switch (key) {
	case 'c':
		if (arguments->config_path)
			argp_error(state, "-c stands there twice");
		arguments->config_path = text;
		return 0;
	case KEY_PARTITION:
		arguments->ledger.partition =
		    (int32_t)parse_number(state, text, "partition", INT32_MAX);
		return 0;
	case KEY_OFFSET:
		arguments->ledger.offset = parse_number(state, text, "offset", OFFSET_MAX);
		return 0;
	case KEY_JSON:
		arguments->ledger.json = true;
		return 0;
	case KEY_DRY_RUN:
		arguments->ledger.dry_run = arguments->redrive.dry_run = true;
		return 0;
	case 'V':
		fprintf(state->out_stream, "invite-worker %s\n", WORKER_VERSION);
		exit(EX_OK);
	case ARGP_KEY_ARG:
		set_argument(state, arguments, text);
		return 0;
	case ARGP_KEY_END:
		check_complete(state, arguments);
		return 0;
	default:
		return parse_redrive(key, text, state);
	}
}

static const struct argp_option options[] = {
	{ "config", 'c', "FILE", 0, "The configuration file (YAML)", 0 },
	{ "partition", KEY_PARTITION, "N", 0, "Only this partition of the command topic", 0 },
	{ "offset", KEY_OFFSET, "O", 0, "Accept this offset instead of the committed one", 0 },
	{ "json", KEY_JSON, NULL, 0, "Show the ledger as JSON", 0 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0,
	  "Show what would be committed or put back, and do nothing", 0 },
	{ "reason", KEY_REASON, "CODE", 0,
	  "Redrive only dead letters of this reason; may be repeated", 1 },
	{ "since", KEY_SINCE, "DATE", 0, "Redrive only what was written at or after it (RFC 3339)",
	  1 },
	{ "until", KEY_UNTIL, "DATE", 0, "Redrive only what was written before it", 1 },
	{ "call", KEY_CALL, "ID", 0, "Redrive only commands of this call", 1 },
	{ "limit", KEY_LIMIT, "N", 0, "Redrive at most so many", 1 },
	{ "include-unknown", KEY_INCLUDE_UNKNOWN, NULL, 0,
	  "Redrive also what may have been sent: it can ring somebody twice", 1 },
	{ "from-beginning", KEY_FROM_BEGINNING, NULL, 0, "Redrive also what was put back before",
	  1 },
	{ "version", 'V', NULL, 0, "Print the version", -1 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = usage,
	.doc = description,
	.help_filter = help_filter,
};

void cli_parse(int argc, char *argv[], struct cli_arguments *ret)
{
	*ret = (struct cli_arguments){
		.ledger = { .partition = -1, .offset = -1 },
		.redrive = { .filter = { .since = { INT64_MIN }, .until = { INT64_MAX } },
		             .limit = -1 },
	};
	if (argp_parse(&argp, argc, argv, 0, NULL, ret) != 0)
		exit(EX_USAGE);
}

static int load(const struct cli_arguments *arguments, char *const environ[], struct config **ret,
                struct problems *problems)
{
	int result = config_load(arguments->config_path, environ, ret, problems);

	problems_print(problems, stderr, arguments->config_path);
	return result == 0 ? EX_OK : EX_CONFIG;
}

int cli_load(const struct cli_arguments *arguments, char *const environ[], struct config **ret)
{
	struct problems problems;
	int code;

	problems_init(&problems);
	code = load(arguments, environ, ret, &problems);
	problems_close(&problems);
	return code;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

int cli_check(const struct cli_arguments *arguments, char *const environ[])
{
	struct config *config = NULL;
	struct problems problems;
	int code;

	problems_init(&problems);
	code = load(arguments, environ, &config, &problems);
	config_free(config);
	if (code == EX_OK)
		printf("%s: ok", arguments->config_path);
	else
		printf("%s: %zu mistake%s", arguments->config_path, problems.mistakes,
		       plural(problems.mistakes));
	if (problems.warnings)
		printf(", %zu warning%s", problems.warnings, plural(problems.warnings));
	putchar('\n');
	problems_close(&problems);
	return fflush(stdout) == 0 ? code : EX_IOERR;
}

static int print_topic(void (*write)(struct buffer *out))
{
	struct buffer out;
	bool written;

	buffer_init(&out, PAGE_MAX);
	write(&out);
	CHECK(buffer_ok(&out));
	written = fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
	buffer_close(&out);
	return written ? EX_OK : EX_IOERR;
}

static int print_general_help(void)
{
	char name[] = "invite-worker";

	argp_help(&argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, name);
	return EX_OK;
}

/* "options, schema, … and answers" */
static void append_topics(struct buffer *out)
{
	size_t n = sizeof(topics) / sizeof(topics[0]);

	for (size_t i = 0; i < n; i++) {
		if (i)
			buffer_append_text(out, i + 1 < n ? ", " : " and ");
		buffer_append_text(out, topics[i].name);
	}
}

static int refuse_topic(const char *topic)
{
	struct buffer known;

	buffer_init(&known, PAGE_MAX);
	append_topics(&known);
	CHECK(buffer_ok(&known));
	fprintf(stderr, "invite-worker: help knows %s, not '%s'\n", known.data, topic);
	buffer_close(&known);
	return EX_USAGE;
}

int cli_help(const struct cli_arguments *arguments)
{
	if (!arguments->topic)
		return print_general_help();
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		if (strcmp(topics[i].name, arguments->topic) == 0)
			return print_topic(topics[i].write);
	}
	return refuse_topic(arguments->topic);
}
