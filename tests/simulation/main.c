/* Runs seeds, and mutants of the protocol, in several processes.
 *
 * Usage: simulation [--seeds N] [--from SEED] [--jobs N] [--report FILE] [--mutants N]
 *        simulation --seed SEED [--mutant NAME] [--trace]
 *
 * Exit codes: 0 all is well, 1 a history broke a rule or a mutant was not caught, 64 usage. */
#include "simulation/checker.h"
#include "simulation/world.h"

#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX   16
#define TAIL_BYTES 12000

struct arguments {
	uint64_t seeds, from, mutant_seeds;
	unsigned jobs;
	const char *report;
	bool is_single, is_traced;
	uint64_t seed;
	enum mutant mutant;
};

/* What a process found; goes through a pipe as it is. */
struct result {
	uint64_t seeds, failed, first_failed, hash;
	uint64_t commands, unknown, unjustified, missing, double_replies, double_effects, late;
	uint64_t without_location, canceled, faults;
	uint64_t caught; /* Mutants: the seed that caught it, or UINT64_MAX */
};

static void add(struct result *sum, const struct result *r)
{
	if (r->failed > 0 && (sum->failed == 0 || r->first_failed < sum->first_failed))
		sum->first_failed = r->first_failed;
	sum->seeds += r->seeds;
	sum->failed += r->failed;
	sum->hash ^= r->hash;
	sum->commands += r->commands;
	sum->unknown += r->unknown;
	sum->unjustified += r->unjustified;
	sum->missing += r->missing;
	sum->double_replies += r->double_replies;
	sum->double_effects += r->double_effects;
	sum->late += r->late;
	sum->without_location += r->without_location;
	sum->canceled += r->canceled;
	sum->faults += r->faults;
}

static void run_seed(uint64_t seed, enum mutant mutant, struct result *r, struct verdict *v)
{
	struct plan plan;
	struct world w;

	plan_make(&plan, seed, mutant);
	world_run(&w, &plan, false);
	checker_judge(&w.chronicle, v);
	*r = (struct result){
		.seeds = 1,
		.failed = v->n > 0,
		.first_failed = seed,
		.hash = w.hash,
		.commands = w.chronicle.n_commands,
		.unknown = v->n_unknown,
		.unjustified = v->n_unjustified,
		.missing = v->n_missing,
		.double_replies = v->n_double_replies,
		.double_effects = v->n_double_effects,
		.late = v->n_late,
		.without_location = v->n_without_location,
		.canceled = v->n_canceled,
		.faults = w.chronicle.n_faults,
	};
	world_close(&w);
}

static void run_share(const struct arguments *a, unsigned job, struct result *sum)
{
	for (uint64_t seed = a->from + job; seed < a->from + a->seeds; seed += a->jobs) {
		struct result r;
		struct verdict v;

		run_seed(seed, MUTANT_NONE, &r, &v);
		add(sum, &r);
	}
}

/* Every job takes every so-manieth seed; what a process cannot say counts as a failure. */
static bool run_all(const struct arguments *a, struct result *sum)
{
	int pipes[JOBS_MAX][2];
	pid_t children[JOBS_MAX];
	bool is_well = true;

	fflush(stdout);
	for (unsigned i = 0; i < a->jobs; i++) {
		struct result r = { 0 };

		if (pipe(pipes[i]) != 0)
			exit(EX_OSERR);
		children[i] = fork();
		if (children[i] < 0)
			exit(EX_OSERR);
		if (children[i] > 0) {
			close(pipes[i][1]);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run_share(a, i, &r);
		_exit(write(pipes[i][1], &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1);
	}
	for (unsigned i = 0; i < a->jobs; i++) {
		struct result r = { 0 };
		int status = 0;

		is_well = read(pipes[i][0], &r, sizeof(r)) == (ssize_t)sizeof(r) && is_well;
		close(pipes[i][0]);
		is_well = waitpid(children[i], &status, 0) == children[i] && status == 0 && is_well;
		add(sum, &r);
	}
	return is_well;
}

static void print_findings(const struct verdict *v)
{
	for (size_t i = 0; i < v->n && i < CHECKER_FINDINGS; i++)
		printf("broken: %s: %s\n", rule_text(v->findings[i].rule), v->findings[i].what);
}

/* One seed with all that happened, or its end. */
static bool show_seed(uint64_t seed, enum mutant mutant, size_t limit)
{
	struct plan plan;
	struct world w;
	struct verdict v;
	struct bytes told;

	plan_make(&plan, seed, mutant);
	world_run(&w, &plan, true);
	checker_judge(&w.chronicle, &v);
	told = buffer_bytes(&w.told);
	if (told.size > limit) {
		told.data += told.size - limit;
		told.size = limit;
	}
	fwrite(told.data, 1, told.size, stdout);
	print_findings(&v);
	printf("seed %" PRIu64 ": %u workers, %u commands, %s, trace hash %016" PRIx64 "\n", seed,
	       plan.workers, plan.commands, v.n ? "broken" : "kept", w.hash);
	world_close(&w);
	return v.n == 0;
}

/* The number of seeds that it took to catch a mutant; 0: it was not caught. */
static uint64_t hunt(const struct arguments *a, enum mutant mutant, struct verdict *v)
{
	for (uint64_t i = 0; i < a->mutant_seeds; i++) {
		struct result r;

		run_seed(a->from + i, mutant, &r, v);
		if (r.failed)
			return i + 1;
	}
	return 0;
}

static unsigned hunt_all(const struct arguments *a)
{
	unsigned caught = 0;

	for (enum mutant mutant = MUTANT_NONE + 1; mutant < MUTANT_COUNT; mutant++) {
		struct verdict v;
		uint64_t n = a->mutant_seeds ? hunt(a, mutant, &v) : 0;

		if (a->mutant_seeds == 0)
			continue;
		caught += n > 0;
		if (n > 0)
			printf("mutant %-22s caught after %5" PRIu64 " seeds: %s: %s\n",
			       mutant_text(mutant), n, rule_text(v.findings[0].rule),
			       v.findings[0].what);
		else
			printf("mutant %-22s NOT CAUGHT: %s\n", mutant_text(mutant),
			       mutant_meaning(mutant));
		fflush(stdout);
	}
	return caught;
}

static bool write_report(const struct arguments *a, const struct result *r, unsigned caught)
{
	FILE *file = fopen(a->report, "w");

	if (!file)
		return false;
	fprintf(file,
	        "{\n  \"seeds\": %" PRIu64 ",\n  \"from\": %" PRIu64
	        ",\n  \"failedSeeds\": %" PRIu64 ",\n  \"traceHash\": \"%016" PRIx64
	        "\",\n  \"commands\": %" PRIu64 ",\n  \"faults\": %" PRIu64
	        ",\n  \"duplicateInvites\": %" PRIu64 ",\n  \"missingReplies\": %" PRIu64
	        ",\n  \"duplicateReplies\": %" PRIu64 ",\n  \"latePosts\": %" PRIu64
	        ",\n  \"unknown\": %" PRIu64 ",\n  \"unjustifiedUnknown\": %" PRIu64
	        ",\n  \"reconciledWithoutLocation\": %" PRIu64 ",\n  \"withdrawn\": %" PRIu64
	        ",\n  \"mutants\": %u,\n  \"mutantsCaught\": %u\n}\n",
	        r->seeds, a->from, r->failed, r->hash, r->commands, r->faults, r->double_effects,
	        r->missing, r->double_replies, r->late, r->unknown, r->unjustified,
	        r->without_location, r->canceled, a->mutant_seeds ? MUTANT_COUNT - 1 : 0, caught);
	return fclose(file) == 0;
}

static const struct argp_option options[] = {
	{ "seeds", 'n', "N", 0, "So many seeds (1000)", 0 },
	{ "from", 'f', "SEED", 0, "The first of them (1)", 0 },
	{ "jobs", 'j', "N", 0, "So many processes (2)", 0 },
	{ "report", 'r', "FILE", 0, "Write the figures as JSON", 0 },
	{ "mutants", 'm', "N", 0, "Give each mutant so many seeds to be caught (0: none is tried)",
	  0 },
	{ "seed", 's', "SEED", 0, "Only this one", 1 },
	{ "mutant", 'u', "NAME", 0, "With this mutant of the protocol", 1 },
	{ "trace", 't', NULL, 0, "Print all that happens", 1 },
	{ 0 },
};

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case 'n':
		a->seeds = strtoull(text, NULL, 10);
		break;
	case 'f':
		a->from = strtoull(text, NULL, 10);
		break;
	case 'j':
		a->jobs = (unsigned)strtoul(text, NULL, 10);
		if (a->jobs < 1 || a->jobs > JOBS_MAX)
			argp_error(state, "--jobs: 1 to %d", JOBS_MAX);
		break;
	case 'r':
		a->report = text;
		break;
	case 'm':
		a->mutant_seeds = strtoull(text, NULL, 10);
		break;
	case 's':
		a->is_single = true;
		a->seed = strtoull(text, NULL, 10);
		break;
	case 'u':
		a->mutant = mutant_find(text);
		if (a->mutant == MUTANT_COUNT)
			argp_error(state, "no mutant '%s'", text);
		break;
	case 't':
		a->is_traced = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void print_failure(const struct result *r)
{
	printf("%" PRIu64 " of %" PRIu64 " seeds are broken; the end of the first, seed %" PRIu64
	       ":\n",
	       r->failed, r->seeds, r->first_failed);
	show_seed(r->first_failed, MUTANT_NONE, TAIL_BYTES);
	printf("replay it: tests/simulate --seed %" PRIu64 " --trace\n", r->first_failed);
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options,
		                          parse,
		                          NULL,
		                          "Simulate workers, a broker and a Graph, and judge what "
		                          "happened.",
		                          NULL,
		                          NULL,
		                          NULL };
	struct arguments a = { .seeds = 1000, .from = 1, .jobs = 2 };
	struct result r = { 0 };
	unsigned caught;
	bool is_well;

	argp_err_exit_status = EX_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.is_single)
		return show_seed(a.seed, a.mutant, a.is_traced ? SIZE_MAX : TAIL_BYTES) ? 0 : 1;
	is_well = run_all(&a, &r);
	if (!is_well)
		printf("a process did not end as it should\n");
	if (r.failed > 0)
		print_failure(&r);
	printf("%" PRIu64 " seeds, %" PRIu64 " commands, %" PRIu64 " faults: %" PRIu64
	       " broken, %" PRIu64 " unknown, trace hash %016" PRIx64 "\n",
	       r.seeds, r.commands, r.faults, r.failed, r.unknown, r.hash);
	caught = hunt_all(&a);
	if (a.mutant_seeds)
		printf("%u of %d mutants are caught\n", caught, MUTANT_COUNT - 1);
	if (a.report && !write_report(&a, &r, caught)) {
		perror(a.report);
		return EX_CANTCREAT;
	}
	return is_well && r.failed == 0 && (!a.mutant_seeds || caught == MUTANT_COUNT - 1) ? 0 : 1;
}
