/* Reading and writing beside jansson: see micro_text.h. */
#include "bench/micro_text.h"

#include "bench/commands.h"
#include "worker/core/outcome.h"
#include "worker/core/partition.h"
#include "worker/core/reply.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define TIMES  20000

#define ANSWER                                                                                     \
	"{\"@odata.type\":\"#microsoft.graph.inviteParticipantsOperation\",\"status\":"            \
	"\"running\","                                                                             \
	"\"clientContext\":\"f2fa86af-3c51-4bc2-8fc0-475452d9764f\",\"resultInfo\":null,"          \
	"\"id\":\"eec3812a-fdc3-4fb4-825c-a06c9f35414e\"}"

struct texts {
	struct policy policy;
	struct record record;
	struct answer answer;
	struct buffer scratch, operation, out;
	struct partition partition;
	struct job *job; /* Owned: its reply is written */
	json_t *command; /* Owned: likewise, by jansson */
};

static const char *const tenants[] = { "contoso.example" };

static const struct command *parse(struct texts *t)
{
	const struct command *command;
	struct fault fault;

	CHECK(command_parse(&t->policy, &t->record, &t->scratch, &command, &fault) ==
	      COMMAND_VALID);
	return command;
}

static void read_command(struct texts *t)
{
	(void)parse(t);
}

/* A tree, and each participant as a text of its own, which is what is sent. */
static void read_command_by_jansson(struct texts *t)
{
	json_t *root =
	    json_loadb(t->record.value.data, t->record.value.size, JSON_REJECT_DUPLICATES, NULL);
	char *text =
	    json_dumps(json_array_get(json_object_get(root, "participants"), 0), JSON_COMPACT);

	CHECK(text);
	free(text);
	json_decref(root);
}

static void read_answer(struct texts *t)
{
	struct outcome outcome;

	outcome_judge(&t->answer, "https://graph.microsoft.com/v1.0", bytes_of("call"),
	              (wall_t){ 1 }, &t->operation, &outcome);
	CHECK(outcome.class == OUTCOME_ACCEPTED);
}

static json_t *operation_of(const json_t *answer)
{
	return json_pack("{s:O?, s:s, s:O?, s:O?, s:i, s:s, s:n}", "id",
	                 json_object_get(answer, "id"), "location", "https://graph/operations/1",
	                 "status", json_object_get(answer, "status"), "clientContext",
	                 json_object_get(answer, "clientContext"), "httpStatus", 200, "requestId",
	                 "5d1b7a4e-5a70-4a58-8a9a-0b7ea4bdbd22", "resultInfo");
}

static void read_answer_by_jansson(struct texts *t)
{
	json_t *answer = json_loadb(t->answer.body.data, t->answer.body.size, 0, NULL);
	json_t *operation = operation_of(answer);
	char *text = json_dumps(operation, JSON_COMPACT);

	CHECK(text);
	free(text);
	json_decref(operation);
	json_decref(answer);
}

static void write_reply(struct texts *t)
{
	const struct reply_source source = { .topic = bytes_of("invite-commands"),
		                             .partition = 3,
		                             .tenant_id = tenants[0],
		                             .date = { INT64_C(1767225600000000) } };

	buffer_clear(&t->out);
	reply_write(&t->out, t->job, &source);
	CHECK(buffer_ok(&t->out));
}

static void write_reply_by_jansson(struct texts *t)
{
	json_t *reply = json_pack(
	    "{s:O, s:O, s:s, s:s, s:n, s:n, s:[], s:[{s:i, s:s, s:i, s:n}], s:n, s:n, s:i,"
	    " s:{s:i, s:i}, s:{s:s, s:i, s:i}, s:{s:s, s:s, s:s, s:{s:i, s:i, s:i, s:i, s:i}}}",
	    "commandId", json_object_get(t->command, "commandId"), "callId",
	    json_object_get(t->command, "callId"), "tenantId", tenants[0], "status", "accepted",
	    "clientContext", "duplicateOf", "operations", "participants", "index", 0, "status",
	    "accepted", "operation", 0, "error", "error", "evidence", "attempts", 1, "batch",
	    "commands", 1, "participants", 1, "source", "topic", "invite-commands", "partition", 3,
	    "offset", 7, "timing", "receivedAt", "2026-01-31T12:00:00.000Z", "sentAt",
	    "2026-01-31T12:00:00.000Z", "answeredAt", "2026-01-31T12:00:00.000Z", "waitedFor",
	    "batch", 0, "callRate", 0, "hold", 0, "application", 0, "call", 0);
	char *text = json_dumps(reply, JSON_COMPACT);

	CHECK(text);
	free(text);
	json_decref(reply);
}

static double clock_ns(void)
{
	struct timespec time;

	CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double measure(struct texts *t, void (*act)(struct texts *t))
{
	double least = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		double began = clock_ns(), ns;

		for (int i = 0; i < TIMES; i++)
			act(t);
		ns = (clock_ns() - began) / TIMES;
		least = ns < least ? ns : least;
	}
	return least;
}

static void open_job(struct texts *t)
{
	t->job = job_new(&t->partition, parse(t));
	CHECK(t->job);
	t->job->sent = t->job->answered = t->job->arrived;
	job_decide(t->job, 0, STATUS_ACCEPTED, -1, -1);
}

void micro_text(struct micro_pair ret[static MICRO_PAIRS])
{
	const struct commands_options options = { .calls = 1000, .seed = 1 };
	struct commands commands;
	struct command_text text;
	struct texts t = { .policy = policy_default() };

	CHECK(commands_init(&commands, &options));
	commands_next(&commands, 1, &text);
	commands_close(&commands);
	t.policy.tenants = (struct text_list){ tenants, 1 };
	t.record = (struct record){ .topic = bytes_of("invite-commands"),
		                    .has_key = true,
		                    .key = bytes_of(text.key),
		                    .value = { text.value, text.value_size } };
	t.answer = (struct answer){ .progress = ANSWER_COMPLETE,
		                    .http_status = 200,
		                    .body = bytes_of(ANSWER),
		                    .location = "https://graph/operations/1",
		                    .request_id = "5d1b7a4e-5a70-4a58-8a9a-0b7ea4bdbd22" };
	buffer_init(&t.scratch, SIZE_MAX / 2);
	buffer_init(&t.operation, SIZE_MAX / 2);
	buffer_init(&t.out, SIZE_MAX / 2);
	open_job(&t);
	t.command = json_loadb(text.value, text.value_size, 0, NULL);
	CHECK(t.command);
	ret[0] = (struct micro_pair){ "reading a command", measure(&t, read_command),
		                      measure(&t, read_command_by_jansson) };
	ret[1] = (struct micro_pair){ "judging an answer", measure(&t, read_answer),
		                      measure(&t, read_answer_by_jansson) };
	ret[2] = (struct micro_pair){ "writing a reply", measure(&t, write_reply),
		                      measure(&t, write_reply_by_jansson) };
	job_free(t.job);
	json_decref(t.command);
	buffer_close(&t.scratch);
	buffer_close(&t.operation);
	buffer_close(&t.out);
}
