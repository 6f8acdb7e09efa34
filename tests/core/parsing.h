/* Records for the tests of the parser. */
#ifndef TESTS_CORE_PARSING_H
#define TESTS_CORE_PARSING_H

#include "worker/core/command.h"

#include <stdlib.h>
#include <string.h>

/* A command as it is kept; the caller frees it. */
static inline struct command *parsing_copy(const struct command *command)
{
	struct command *copy = malloc(command_size(command));

	CHECK(copy);
	return memcpy(copy, command, command_size(command));
}

/* Read a record of topic t, partition 2, offset 7 whose key is call-a. The caller frees the
 * command. */
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
	const struct command *command;
	struct buffer scratch;
	enum command_result result;

	policy.tenants = (struct text_list){ tenants, 2 };
	buffer_init(&scratch, 0);
	result = command_parse(&policy, &record, &scratch, &command, ret_fault);
	*ret = command ? parsing_copy(command) : NULL;
	buffer_close(&scratch);
	return result;
}

#endif
