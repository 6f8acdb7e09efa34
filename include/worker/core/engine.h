/* The engine: every decision of the worker, as a pure function of its state and an event.
 *
 * It makes no system call, knows no clock and no callback. engine_step() takes what happened and
 * fills in what is to be done; the shell performs that and comes back with the next event. Two
 * engines can live in one process, and the same events give the same effects. */
#ifndef WORKER_CORE_ENGINE_H
#define WORKER_CORE_ENGINE_H

#include "worker/base/check.h"
#include "worker/base/metrics.h"
#include "worker/core/effects.h"
#include "worker/core/event.h"
#include "worker/core/policy.h"

struct engine;

/* Borrows 'policy' and 'metrics' (its figures are counted there) until engine_free(). 'now' is the
 * origin of the trace. NULL when there is no memory. */
struct engine *engine_new(const struct policy *policy, struct metrics *metrics,
                          instant_t now) MUST_CHECK;

void engine_free(struct engine *engine);

/* Take one event. The effects are the engine's and valid until its next step. */
const struct effects *engine_step(struct engine *engine, const struct event *event) MUST_CHECK;

/* What is to be committed for a partition: the frontier, and the map of what lies behind it. With
 * 'staged', replies in the open transaction count as stored. Appends to 'text'. False when there is
 * nothing to say or the map does not fit: then nothing is committed, and nothing of it may be sent.
 */
bool engine_map(const struct engine *engine, int32_t partition, bool staged, int64_t *ret_offset,
                struct buffer *text) MUST_CHECK;

/* True when Graph lets the application do nothing in some tenant; a sentence about it for people is
 * appended to 'why'. */
bool engine_is_refused(const struct engine *engine, struct buffer *why);

/* True when nothing is on its way: no request without an answer, no reply without a result. */
bool engine_is_quiet(const struct engine *engine);

#endif
