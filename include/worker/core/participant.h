/* One of the participants of a command: Graph's own invitationParticipantInfo object. */
#ifndef WORKER_CORE_PARTICIPANT_H
#define WORKER_CORE_PARTICIPANT_H

#include "worker/base/document.h"
#include "worker/core/command.h"

/* Check the object at $.participants[index] and append to 'text' what will be sent: the same
 * members, those that the worker does not know included, with @odata.type put first and added where
 * it is missing. An identity that has escapes in there follows as it reads. False with a fault when
 * it is not valid. */
bool participant_parse(const struct value *json, size_t index, struct buffer *text,
                       struct participant *ret, struct fault *ret_fault) MUST_CHECK;

#endif
