/* A bot forwards anything: what is told of it is JSON within its bounds, and stands under its call.
 *
 * Input: a line for the record's key (empty: none), the body. */
#include "fuzz/fuzz.h"
#include "worker/core/notification.h"

#include <jansson.h>

static void check_outcome(const struct ending *ending)
{
	struct buffer text;
	json_t *json;

	buffer_init(&text, ENDING_SIZE_MAX);
	ending_write(ending, bytes_of("invite-commands"), &text);
	CHECK(buffer_ok(&text));
	json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json_object_size(json) == 8);
	CHECK(identity_is_call_id(ending->call_id));
	CHECK(ending->operation_id.size > 0 || ending->context.size > 0);
	json_decref(json);
	buffer_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = input_of(data, size);
	struct record record = { .key = input_line(&in) };
	struct notification notification;
	struct ending ending;
	const char *problem = NULL;

	record.has_key = record.key.size > 0;
	record.value = input_rest(&in);
	if (notification_open(&record, &notification, &problem) != NOTIFICATION_READ)
		return 0;
	while (notification_next(&notification, &ending))
		check_outcome(&ending);
	notification_close(&notification);
	return 0;
}
