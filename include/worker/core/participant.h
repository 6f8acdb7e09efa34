/* One of the participants of a command: Graph's own invitationParticipantInfo object. */
#ifndef WORKER_CORE_PARTICIPANT_H
#define WORKER_CORE_PARTICIPANT_H

#include "worker/base/document.h"
#include "worker/core/command.h"

/* Check the object at $.participants[index] and append to 'text', which begins with the command,
 * what is kept of it. An identity that has escapes in there follows as it reads. False with a fault
 * when it is not valid. */
bool participant_parse(const struct value *json, size_t index, struct buffer *text,
                       struct participant *ret, struct fault *ret_fault) MUST_CHECK;

/* What is kept of the JSON: its members, those that the worker does not know included. */
static inline struct bytes participant_json(const struct command *command, size_t index)
{
	const struct participant *p = command_participant(command, index);

	return (struct bytes){ (const char *)command + p->json_start, p->json_size };
}

/* Append what is sent: the same, with @odata.type put first and added where it is missing. */
void participant_write(const struct command *command, size_t index, struct buffer *out);

#endif
