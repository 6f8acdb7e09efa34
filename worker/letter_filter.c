/* Dead letters: see letter_filter.h. */
#include "worker/letter_filter.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes find_header(const struct record *record, const char *name)
{
	for (size_t i = 0; i < record->n_headers; i++)
		if (bytes_equal_text(record->headers[i].name, name))
			return record->headers[i].value;
	return (struct bytes){ 0 };
}

/* A number of digits alone, at most 'most'; -1 when it is none. */
static int64_t read_number(struct bytes text, int64_t most)
{
	int64_t number = 0;

	if (text.size == 0 || text.size > 18)
		return -1;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return -1;
		number = number * 10 + (text.data[i] - '0');
	}
	return number <= most ? number : -1;
}

/* Nothing else of a command is shown: the rest may name people. */
static void read_call(struct bytes value, char ret[static IDENTITY_CALL_ID_MAX + 1])
{
	json_t *json = json_loadb(value.data, value.size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *call = json_object_get(json, "callId");
	struct bytes id = { json_string_value(call), json_string_length(call) };

	if (json_is_string(call) && identity_is_call_id(id))
		snprintf(ret, IDENTITY_CALL_ID_MAX + 1, "%.*s", (int)id.size, id.data);
	else
		snprintf(ret, IDENTITY_CALL_ID_MAX + 1, "-");
	json_decref(json);
}

void letter_read(const struct record *record, struct letter *ret)
{
	*ret = (struct letter){
		.record = record,
		.reason = find_header(record, RECORD_DEAD_LETTER "reason"),
		.topic = find_header(record, RECORD_DEAD_LETTER "topic"),
		.partition = (int32_t)read_number(
		    find_header(record, RECORD_DEAD_LETTER "partition"), INT32_MAX),
		.offset = read_number(find_header(record, RECORD_DEAD_LETTER "offset"), INT64_MAX),
	};
	read_call(record->value, ret->call);
}

static bool is_wanted_reason(const struct letter_filter *filter, struct bytes reason)
{
	if (!filter->has_reason)
		return true;
	for (enum reason i = 0; i < REASON_COUNT; i++)
		if (filter->reasons[i] && bytes_equal_text(reason, reason_code(i)))
			return true;
	return false;
}

enum letter_verdict letter_judge(const struct letter_filter *filter, const struct letter *letter)
{
	const struct record *record = letter->record;

	if (!bytes_equal_text(letter->topic, filter->topic))
		return LETTER_FOREIGN;
	if (!is_wanted_reason(filter, letter->reason) || record->timestamp.us < filter->since.us ||
	    record->timestamp.us >= filter->until.us ||
	    (filter->call && strcmp(letter->call, filter->call) != 0))
		return LETTER_FILTERED;
	if (record->value.size == 0)
		return LETTER_SHORT;
	if (!filter->include_unknown &&
	    bytes_equal_text(letter->reason, reason_code(REASON_UNKNOWN)))
		return LETTER_UNKNOWN;
	return LETTER_WANTED;
}

const char *letter_reason(const struct letter *letter)
{
	for (enum reason i = 0; i < REASON_COUNT; i++)
		if (bytes_equal_text(letter->reason, reason_code(i)))
			return reason_code(i);
	return "-";
}

bool letter_filter_add_reason(struct letter_filter *filter, const char *code)
{
	for (enum reason i = 0; i < REASON_COUNT; i++) {
		if (strcmp(code, reason_code(i)) != 0)
			continue;
		filter->reasons[i] = true;
		filter->has_reason = true;
		return true;
	}
	return false;
}
