/* Records for the tests of the parser. */
#ifndef TESTS_CORE_PARSING_H
#define TESTS_CORE_PARSING_H

#include "worker/core/command.h"

/* Read a record of topic t, partition 2, offset 7 whose key is call-a. */
static inline enum command_result parse_bytes(struct bytes value, struct command **ret,
                                              struct fault *ret_fault)
{
	static const char *const tenants[] = { "tenant-1", "tenant-2" };
	struct policy policy = policy_default();
	struct record record = { .topic = bytes_of("t"),
		                 .partition = 2,
		                 .offset = 7,
		                 .has_key = true,
		                 .key = bytes_of("call-a"),
		                 .value = value };
	struct buffer scratch;
	enum command_result result;

	policy.tenants = (struct text_list){ tenants, 2 };
	buffer_init(&scratch, 0);
	result = command_parse(&policy, &record, &scratch, ret, ret_fault);
	buffer_close(&scratch);
	return result;
}

#endif
