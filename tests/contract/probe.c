/* Shows the core to the tests of the contract: a line of JSON in, a line of JSON out.
 *
 *   {"op": "parse", "record": RECORD}             what command_parse() makes of it
 *   {"op": "run", "records": […], "answers": […]} all that an engine posts, writes and traces
 *   {"op": "quote", "text": HEX}                  log_quote()
 *   {"op": "tables"}                              the codes that a reply may hold
 *
 * RECORD is {"key": HEX or null, "value": HEX, "headers": [[HEX, HEX or null], …], "timestamp":
 * milliseconds}. Answers are given to requests in turn, with "repeat" the last one for ever; when
 * they run out, Graph accepts. A run's "operations" and "roster" (HEX) are what Graph answers when
 * it is asked for them. */
#include "contract/hex.h"
#include "contract/world.h"
#include "worker/base/log.h"
#include "worker/core/command.h"
#include "worker/core/notification.h"
#include "worker/core/outcome.h"
#include "worker/core/participant.h"
#include "worker/core/wait.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADERS_MAX 64
#define TEXT_LIMIT  (16 * 1024 * 1024)

/* A record, with the memory that it borrows. */
struct loaded {
	struct record record;
	struct record_header headers[HEADERS_MAX];
	struct buffer memory;
};

static struct bytes take_hex(struct buffer *memory, const json_t *hex)
{
	size_t start = memory->size;

	if (!json_is_string(hex))
		return (struct bytes){ 0 };
	hex_decode(hex, memory);
	return (struct bytes){ memory->data + start, memory->size - start };
}

/* Half of the text is enough for its bytes; reserving it at once keeps pointers valid. */
static void reserve(struct buffer *memory, const json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	CHECK(text);
	buffer_init(memory, TEXT_LIMIT);
	buffer_append_text(memory, text);
	CHECK(buffer_ok(memory));
	buffer_clear(memory);
	free(text);
}

static void load_record(const json_t *json, int64_t offset, struct loaded *ret)
{
	const json_t *headers = json_object_get(json, "headers");

	*ret = (struct loaded){ 0 };
	reserve(&ret->memory, json);
	ret->record = (struct record){
		.topic = bytes_of("invite-commands"),
		.offset = offset,
		.timestamp = { json_integer_value(json_object_get(json, "timestamp")) * 1000 },
		.has_key = json_is_string(json_object_get(json, "key")),
		.key = take_hex(&ret->memory, json_object_get(json, "key")),
		.value = take_hex(&ret->memory, json_object_get(json, "value")),
		.headers = ret->headers,
		.n_headers = json_array_size(headers),
	};
	CHECK(ret->record.n_headers <= HEADERS_MAX);
	for (size_t i = 0; i < ret->record.n_headers; i++) {
		const json_t *header = json_array_get(headers, i);

		ret->headers[i].name = take_hex(&ret->memory, json_array_get(header, 0));
		ret->headers[i].value = take_hex(&ret->memory, json_array_get(header, 1));
		ret->headers[i].is_null = json_is_null(json_array_get(header, 1));
	}
}

static struct policy make_policy(const json_t *request)
{
	static const char *const copied[] = { "traceparent", "tracestate", "correlation-id" };
	static const char *const topics[] = { "replies-of-a-tenant" };
	static const char *const tenants[] = { "contoso.example", "fabrikam.example" };
	struct policy policy = policy_default();

	policy.tenants = (struct text_list){ tenants, 2 };
	policy.copy_headers = (struct text_list){ copied, sizeof(copied) / sizeof(copied[0]) };
	policy.reply_topics = (struct text_list){ topics, 1 };
	policy.require_key = !json_is_false(json_object_get(request, "requireKey"));
	policy.trace = true;
	return policy;
}

static json_t *show_participants(const struct command *command)
{
	json_t *list = json_array();
	struct buffer json;

	buffer_init(&json, 2 * COMMAND_BYTES_MAX);
	for (size_t i = 0; i < command->n_participants; i++) {
		buffer_clear(&json);
		participant_write(command, i, &json);
		json_array_append_new(list, hex_encode(buffer_bytes(&json)));
	}
	buffer_close(&json);
	return list;
}

static json_t *parse(const json_t *request)
{
	struct policy policy = make_policy(request);
	struct fault fault = { 0 };
	struct buffer scratch;
	const struct command *command;
	struct loaded loaded;
	enum command_result result;
	json_t *answer;

	load_record(json_object_get(request, "record"), 0, &loaded);
	buffer_init(&scratch, 0);
	result = command_parse(&policy, &loaded.record, &scratch, &command, &fault);
	CHECK(result != COMMAND_NO_MEMORY);
	answer = json_pack("{s:b, s:s?, s:o, s:o, s:o, s:o}", "valid", result == COMMAND_VALID,
	                   "reason", result == COMMAND_VALID ? NULL : reason_code(fault.reason),
	                   "message", hex_encode(bytes_of(fault.message)), "commandId",
	                   hex_encode(command_text(command, command->id)), "callId",
	                   hex_encode(command_text(command, command->call_id)), "participants",
	                   show_participants(command));
	buffer_close(&scratch);
	buffer_close(&loaded.memory);
	return answer;
}

/* What one run shows. */
struct run {
	const json_t *answers; /* Borrowed, as are the next two */
	const json_t *operations;
	const json_t *roster;
	struct buffer memory; /* Bodies of the answers */
	json_t *posts;
	json_t *writes;
	struct buffer trace;
	bool repeat;
};

static enum answer_progress progress_of(const char *name)
{
	static const char *const names[] = { "no-token", "not-sent", "broken", "complete" };
	size_t i = 0;

	while (i < 3 && name && strcmp(name, names[i]) != 0)
		i++;
	return name ? (enum answer_progress)i : ANSWER_COMPLETE;
}

static const char *text_of(const json_t *json, const char *member)
{
	return json_string_value(json_object_get(json, member));
}

static void on_post(void *owner, const struct effect_post *post, struct answer *ret)
{
	struct run *run = owner;
	size_t n = json_array_size(run->answers);
	size_t turn = json_array_size(run->posts);
	const json_t *answer =
	    json_array_get(run->answers, run->repeat && turn >= n ? n - 1 : turn);

	json_array_append_new(run->posts,
	                      json_pack("{s:o, s:o}", "callId", hex_encode(post->call_id), "body",
	                                hex_encode(buffer_bytes(&post->body))));
	if (!answer) {
		*ret = (struct answer){
			.progress = ANSWER_COMPLETE,
			.http_status = 200,
			.body = bytes_of("{\"id\":\"an-operation\",\"status\":\"Running\"}"),
		};
		return;
	}
	*ret = (struct answer){
		.progress = progress_of(text_of(answer, "progress")),
		.http_status = (int)json_integer_value(json_object_get(answer, "status")),
		.body = take_hex(&run->memory, json_object_get(answer, "body")),
		.problem = text_of(answer, "problem"),
		.location = text_of(answer, "location"),
		.retry_after = text_of(answer, "retryAfter"),
		.request_id = text_of(answer, "requestId"),
		.client_request_id = text_of(answer, "clientRequestId"),
	};
}

static void on_look(void *owner, const struct effect_look *look, struct answer *ret)
{
	struct run *run = owner;
	const json_t *body = look->kind == LOOK_ROSTER ? run->roster : run->operations;

	*ret = (struct answer){
		.progress = ANSWER_COMPLETE,
		.http_status = 200,
		.body = take_hex(&run->memory, body),
	};
}

static json_t *show_headers(const struct effect_write *write)
{
	json_t *list = json_array();

	for (size_t i = 0; i < write->n_headers; i++) {
		const struct record_header *header = &write->headers[i];
		json_t *value = header->is_null ? json_null() : hex_encode(header->value);

		json_array_append_new(list, json_pack("[o, o]", hex_encode(header->name), value));
	}
	return list;
}

static const char *on_write(void *owner, const struct effect_write *write)
{
	struct run *run = owner;
	json_t *key = write->has_key ? hex_encode(write->key) : json_null();

	json_array_append_new(run->writes,
	                      json_pack("{s:s, s:s, s:o, s:o, s:o}", "kind",
	                                write->kind == WRITE_REPLY ? "reply" : "dead letter",
	                                "topic", write->topic, "key", key, "value",
	                                hex_encode(write->value), "headers", show_headers(write)));
	return NULL;
}

static void on_trace(void *owner, struct bytes lines)
{
	struct run *run = owner;

	buffer_append_bytes(&run->trace, lines);
}

static json_t *run_engine(const json_t *request)
{
	struct run run = { .answers = json_object_get(request, "answers"),
		           .operations = json_object_get(request, "operations"),
		           .roster = json_object_get(request, "roster"),
		           .posts = json_array(),
		           .writes = json_array(),
		           .repeat = json_is_true(json_object_get(request, "repeat")) };
	const struct world_hooks hooks = { &run, on_post, on_look, on_write, on_trace };
	const json_t *records = json_object_get(request, "records");
	struct policy policy = make_policy(request);
	struct world *world = world_new(&policy, &hooks);
	json_t *answer;
	bool quiet;

	reserve(&run.memory, request);
	buffer_init(&run.trace, TEXT_LIMIT);
	for (size_t i = 0; i < json_array_size(records); i++) {
		struct loaded loaded;

		load_record(json_array_get(records, i), (int64_t)i, &loaded);
		world_record(world, &loaded.record);
		buffer_close(&loaded.memory);
	}
	quiet = world_run(world);
	answer = json_pack("{s:b, s:I, s:o, s:o, s:o}", "quiet", quiet, "stored",
	                   (json_int_t)world_stored(world), "posts", run.posts, "writes",
	                   run.writes, "trace", hex_encode(buffer_bytes(&run.trace)));
	world_free(world);
	buffer_close(&run.memory);
	buffer_close(&run.trace);
	return answer;
}

/* What is told of a record of the notifications topic. */
static json_t *tell(const json_t *request)
{
	struct notification notification;
	struct ending ending;
	struct loaded loaded;
	json_t *outcomes = json_array();
	const char *problem = NULL;
	json_int_t junk = 1;
	struct buffer text;

	load_record(json_object_get(request, "record"), 0, &loaded);
	buffer_init(&text, ENDING_SIZE_MAX);
	if (notification_open(&loaded.record, &notification, &problem) == NOTIFICATION_READ) {
		while (notification_next(&notification, &ending)) {
			buffer_clear(&text);
			ending_write(&ending, bytes_of("invite-commands"), &text);
			CHECK(buffer_ok(&text));
			json_array_append_new(
			    outcomes, json_pack("{s:o, s:o}", "key", hex_encode(ending.call_id),
			                        "value", hex_encode(buffer_bytes(&text))));
		}
		junk = (json_int_t)notification.n_junk;
		notification_close(&notification);
	}
	buffer_close(&text);
	buffer_close(&loaded.memory);
	return json_pack("{s:o, s:I}", "outcomes", outcomes, "junk", junk);
}

static json_t *quote(const json_t *request)
{
	char quoted[LOG_QUOTE_SIZE];
	struct buffer memory;
	json_t *answer;

	reserve(&memory, request);
	log_quote(take_hex(&memory, json_object_get(request, "text")), quoted);
	answer = json_pack("{s:o}", "text", hex_encode(bytes_of(quoted)));
	buffer_close(&memory);
	return answer;
}

static json_t *tables(void)
{
	static const char *const waits[] = {
#define WAIT(name, member, meaning) member,
		WAIT_TABLE(WAIT)
#undef WAIT
	};
	json_t *reasons = json_array(), *statuses = json_array(), *waited = json_array();
	json_t *classes = json_array();

	for (unsigned i = 0; i < REASON_COUNT; i++)
		json_array_append_new(reasons, json_string(reason_code((enum reason)i)));
	for (unsigned i = 0; i < STATUS_COUNT; i++)
		json_array_append_new(statuses, json_string(status_text((enum status)i)));
	for (unsigned i = 0; i < WAIT_COUNT; i++)
		json_array_append_new(waited, json_string(waits[i]));
	for (unsigned i = 0; i < OUTCOME_CLASSES; i++)
		json_array_append_new(classes,
		                      json_string(outcome_class_text((enum outcome_class)i)));
	return json_pack("{s:o, s:o, s:o, s:o}", "reasons", reasons, "statuses", statuses, "waits",
	                 waited, "classes", classes);
}

static json_t *serve(const json_t *request)
{
	const char *op = text_of(request, "op");

	CHECK(op);
	if (strcmp(op, "parse") == 0)
		return parse(request);
	if (strcmp(op, "run") == 0)
		return run_engine(request);
	if (strcmp(op, "tell") == 0)
		return tell(request);
	if (strcmp(op, "quote") == 0)
		return quote(request);
	CHECK(strcmp(op, "tables") == 0);
	return tables();
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;

	while ((size = getline(&line, &capacity, stdin)) > 0) {
		json_t *request = json_loadb(line, (size_t)size, 0, NULL);
		json_t *answer;

		CHECK(request);
		answer = serve(request);
		CHECK(answer && json_dumpf(answer, stdout, JSON_COMPACT) == 0);
		putchar('\n');
		fflush(stdout);
		json_decref(answer);
		json_decref(request);
	}
	free(line);
	return 0;
}
