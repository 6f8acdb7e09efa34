/* A record goes through a whole engine: whatever it is, there is one reply, and what is sent is
 * JSON to a call id that stays in its path segment.
 *
 * Input: a byte of options, a line with the key (empty: the callId's own is not checked), the
 * value.
 */
#include "contract/world.h"
#include "fuzz/fuzz.h"
#include "worker/core/command.h"

#include <jansson.h>

struct seen {
	unsigned posts, looks, replies, dead_letters;
	unsigned answer; /* Which of the answers Graph gives */
};

static json_t *check_json(struct bytes text)
{
	json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);

	CHECK(json && json_is_object(json));
	return json;
}

static void check_path(struct bytes id)
{
	CHECK(id.size >= 1 && id.size <= COMMAND_ID_MAX);
	CHECK(!bytes_equal_text(id, ".") && !bytes_equal_text(id, ".."));
	for (size_t i = 0; i < id.size; i++) {
		char c = id.data[i];

		CHECK((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '~' || c == '-');
	}
}

static void on_post(void *owner, const struct effect_post *post, struct answer *ret)
{
	static const struct answer answers[] = {
		{ .progress = ANSWER_COMPLETE, .http_status = 200, .location = "/operations/a" },
		{ .progress = ANSWER_COMPLETE, .http_status = 400 },
		{ .progress = ANSWER_COMPLETE, .http_status = 404 },
		{ .progress = ANSWER_BROKEN, .problem = "reset" },
	};
	struct seen *seen = owner;
	json_t *body = check_json(buffer_bytes(&post->body));
	const json_t *participants = json_object_get(body, "participants");

	CHECK(json_object_size(body) == 2);
	CHECK(json_array_size(participants) >= 1 && json_array_size(participants) <= BATCH_MAX);
	CHECK(json_string_length(json_object_get(body, "clientContext")) > 0);
	check_path(post->call_id);
	json_decref(body);
	seen->posts++;
	*ret = answers[seen->answer];
}

/* Graph knows nothing, says nothing, or shows what cannot be read. */
static void on_look(void *owner, const struct effect_look *look, struct answer *ret)
{
	static const struct answer answers[] = {
		{ .progress = ANSWER_COMPLETE,
		  .http_status = 200,
		  .body = { "{\"value\":[]}", 12 } },
		{ .progress = ANSWER_COMPLETE, .http_status = 404 },
		{ .progress = ANSWER_BROKEN, .problem = "reset" },
		{ .progress = ANSWER_COMPLETE, .http_status = 200, .body = { "[7]", 3 } },
	};
	struct seen *seen = owner;

	check_path(look->call_id);
	*ret = answers[seen->looks++ % 4];
}

static const char *on_write(void *owner, const struct effect_write *write)
{
	struct seen *seen = owner;

	if (write->kind == WRITE_DEAD_LETTER) {
		seen->dead_letters++;
		return NULL;
	}
	json_decref(check_json(write->value));
	seen->replies++;
	return NULL;
}

static void on_trace(void *owner, struct bytes lines)
{
	(void)owner;
	for (size_t i = 0; i < lines.size; i++)
		CHECK(lines.data[i] == '\n' || (lines.data[i] >= ' ' && lines.data[i] <= '~'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = input_of(data, size);
	unsigned options = input_byte(&in);
	struct bytes key = input_line(&in);
	struct policy policy = policy_default();
	struct seen seen = { .answer = options & 3 };
	const struct world_hooks hooks = { &seen, on_post, on_look, on_write, on_trace };
	const struct record record = {
		.topic = bytes_of("invite-commands"),
		.offset = 7,
		.has_key = key.size > 0,
		.key = key,
		.value = input_rest(&in),
	};
	struct world *world;

	policy.require_key = key.size > 0;
	policy.trace = true;
	world = world_new(&policy, &hooks);
	world_record(world, &record);
	CHECK(world_run(world));
	CHECK(world_stored(world) == 8);
	CHECK(seen.replies == 1 && seen.dead_letters <= 1);
	CHECK(seen.dead_letters == 0 || seen.posts == 0);
	CHECK(seen.looks == 0 || seen.posts > 0);
	world_free(world);
	return 0;
}
