/* Every figure that the worker reports, declared once.
 *
 * METRIC(name, type, family, labels, help): one number. Rows of one family stand together; the help
 * of the first is the family's. METRIC_HISTOGRAM(name, family, help): a distribution of durations.
 * The table in config/README.md and the page under /metrics follow from these rows. */
#ifndef WORKER_BASE_METRICS_H
#define WORKER_BASE_METRICS_H

#include "worker/base/buffer.h"
#include "worker/base/instant.h"

#include <stdint.h>

#define METRICS_TABLE(METRIC)                                                                      \
	METRIC(commands_read, COUNTER, "commands_total", "",                                       \
	       "Commands taken from the topic; flat while there is lag: the worker is stuck.")     \
	METRIC(commands_repeated, COUNTER, "commands_repeated_total", "",                          \
	       "Records that came again and were already being worked on.")                        \
	METRIC(commands_call_over, COUNTER, "commands_call_over_total", "",                        \
	       "Commands answered without a request: Graph had said shortly before that their "    \
	       "call is over.")                                                                    \
	METRIC(replies_accepted, COUNTER, "replies_total", "status=\"accepted\"",                  \
	       "Replies by status; look when failed, unknown or rejected grow.")                   \
	METRIC(replies_reconciled, COUNTER, "replies_total", "status=\"reconciled\"", "")          \
	METRIC(replies_duplicate, COUNTER, "replies_total", "status=\"duplicate\"", "")            \
	METRIC(replies_failed, COUNTER, "replies_total", "status=\"failed\"", "")                  \
	METRIC(replies_rejected, COUNTER, "replies_total", "status=\"rejected\"", "")              \
	METRIC(replies_expired, COUNTER, "replies_total", "status=\"expired\"", "")                \
	METRIC(replies_canceled, COUNTER, "replies_total", "status=\"canceled\"", "")              \
	METRIC(replies_unknown, COUNTER, "replies_total", "status=\"unknown\"", "")                \
	METRIC(replies_partial, COUNTER, "replies_total", "status=\"partial\"", "")                \
	METRIC(requests_accepted, COUNTER, "requests_total", "class=\"accepted\"",                 \
	       "Invite requests by what came back; throttled: lower the rates.")                   \
	METRIC(requests_throttled, COUNTER, "requests_total", "class=\"throttled\"", "")           \
	METRIC(requests_not_sent, COUNTER, "requests_total", "class=\"not-sent\"", "")             \
	METRIC(requests_refused, COUNTER, "requests_total", "class=\"refused\"", "")               \
	METRIC(requests_call_over, COUNTER, "requests_total", "class=\"call-over\"", "")           \
	METRIC(requests_unauthorized, COUNTER, "requests_total", "class=\"unauthorized\"", "")     \
	METRIC(requests_misconfigured, COUNTER, "requests_total", "class=\"misconfigured\"", "")   \
	METRIC(requests_unknown, COUNTER, "requests_total", "class=\"unknown\"", "")               \
	METRIC(participants_sent, COUNTER, "participants_sent_total", "",                          \
	       "Participants in the requests that were sent.")                                     \
	METRIC(                                                                                    \
	    dead_letters, COUNTER, "dead_letters_total", "",                                       \
	    "Records copied to the dead-letter topic; any growth needs a look at the producer.")   \
	METRIC(write_failures, COUNTER, "write_failures_total", "",                                \
	       "Times that the broker refused a reply or a dead letter for good.")                 \
	METRIC(notifications_read, COUNTER, "notification_records_total", "result=\"read\"",       \
	       "Records of the notifications topic; junk: look at what forwards them.")            \
	METRIC(notifications_junk, COUNTER, "notification_records_total", "result=\"junk\"", "")   \
	METRIC(operations_followed, GAUGE, "operations_followed", "",                              \
	       "Operations asked for until they end.")                                             \
	METRIC(                                                                                    \
	    polls_ended, COUNTER, "polls_total", "result=\"ended\"",                               \
	    "Operations asked for, by how that ended; gone or left: their outcome is not told.")   \
	METRIC(polls_gone, COUNTER, "polls_total", "result=\"gone\"", "")                          \
	METRIC(polls_left, COUNTER, "polls_total", "result=\"left\"", "")                          \
	METRIC(outcomes_completed, COUNTER, "outcomes_total", "status=\"completed\"",              \
	       "Outcomes stored, by how the operation ended; look when failed grows.")             \
	METRIC(outcomes_failed, COUNTER, "outcomes_total", "status=\"failed\"", "")                \
	METRIC(outcomes_refused, COUNTER, "outcomes_refused_total", "",                            \
	       "Outcomes that the broker refused for good; look at the topic.")                    \
	METRIC(commits, COUNTER, "commits_total", "result=\"ok\"",                                 \
	       "Offset commits; failures hold the group's position.")                              \
	METRIC(commit_failures, COUNTER, "commits_total", "result=\"failed\"", "")                 \
	METRIC(rebalances, COUNTER, "rebalances_total", "",                                        \
	       "Assignments received; many in a row: members come and go.")                        \
	METRIC(tokens_fetched, COUNTER, "token_fetches_total", "result=\"ok\"",                    \
	       "Access tokens asked for; failures stop all sending.")                              \
	METRIC(token_failures, COUNTER, "token_fetches_total", "result=\"failed\"", "")            \
	METRIC(tokens_missing, GAUGE, "tokens_missing", "",                                        \
	       "Access tokens that are needed and cannot be had: commands wait, look at the log.") \
	METRIC(in_flight, GAUGE, "requests_in_flight", "",                                         \
	       "Invite requests sent and not answered.")                                           \
	METRIC(in_flight_limit, GAUGE, "requests_in_flight_limit", "",                             \
	       "Most that Graph may have now; below graph.max_in_flight: it is slow or fails.")    \
	METRIC(breakers_open, GAUGE, "breakers", "state=\"open\"",                                 \
	       "Applications for which Graph is ill: nothing is sent (open) but a probe "          \
	       "(probing).")                                                                       \
	METRIC(breakers_probing, GAUGE, "breakers", "state=\"probing\"", "")                       \
	METRIC(breaker_openings, COUNTER, "breaker_openings_total", "",                            \
	       "Times that a row of failures, or a failed probe, stopped sending.")                \
	METRIC(waiting_batch, GAUGE, "commands_waiting", "reason=\"batch\"",                       \
	       "Commands that wait, by what their call waits for; call: a request of it is in "    \
	       "flight.")                                                                          \
	METRIC(waiting_rate, GAUGE, "commands_waiting", "reason=\"callRate\"", "")                 \
	METRIC(waiting_hold, GAUGE, "commands_waiting", "reason=\"hold\"", "")                     \
	METRIC(waiting_application, GAUGE, "commands_waiting", "reason=\"application\"", "")       \
	METRIC(waiting_breaker, GAUGE, "commands_waiting", "reason=\"breaker\"", "")               \
	METRIC(waiting_call, GAUGE, "commands_waiting", "reason=\"call\"", "")                     \
	METRIC(                                                                                    \
	    calls_active, GAUGE, "calls", "",                                                      \
	    "Calls that have work waiting, a bucket that is not full, or are known to be over.")   \
	METRIC(calls_over, GAUGE, "calls_over", "",                                                \
	       "Calls of which it is remembered that they are over.")                              \
	METRIC(calls_ready, GAUGE, "calls_ready", "",                                              \
	       "Calls that wait only for the application's rate or a free request; high: the "     \
	       "worker is at its limit.")                                                          \
	METRIC(jobs_open, GAUGE, "commands_open", "", "Commands without a stored reply.")          \
	METRIC(partitions_owned, GAUGE, "partitions", "state=\"owned\"",                           \
	       "Partitions of the command topic that this worker owns, and those of them that "    \
	       "are paused.")                                                                      \
	METRIC(partitions_paused, GAUGE, "partitions", "state=\"paused\"", "")                     \
	METRIC(application_refused, GAUGE, "application_refused", "",                              \
	       "Tenants in which Graph lets the application do nothing; not 0: look for "          \
	       "application.refused in the log, which says what to do.")                           \
	METRIC(application_held, GAUGE, "application_held", "",                                    \
	       "Tenants in which Graph or the login service keeps the whole application from "     \
	       "sending.")

#define METRICS_HISTOGRAMS(METRIC_HISTOGRAM)                                                       \
	METRIC_HISTOGRAM(request_time, "request_seconds",                                          \
	                 "From sending an invite request to its answer.")                          \
	METRIC_HISTOGRAM(command_time, "command_seconds",                                          \
	                 "From taking a command to handing over its reply.")

enum metric {
#define METRIC(name, type, family, labels, help) METRIC_##name,
	METRICS_TABLE(METRIC)
#undef METRIC
	    METRIC_COUNT
};

enum metric_histogram {
#define METRIC_HISTOGRAM(name, family, help) HISTOGRAM_##name,
	METRICS_HISTOGRAMS(METRIC_HISTOGRAM)
#undef METRIC_HISTOGRAM
	    HISTOGRAM_COUNT
};

#define METRICS_BUCKETS 12

struct histogram {
	uint64_t
	    buckets[METRICS_BUCKETS + 1]; /* One for each bound, the last for what lies above */
	uint64_t sum_us;
};

struct metrics {
	int64_t values[METRIC_COUNT];
	struct histogram histograms[HISTOGRAM_COUNT];
};

static inline void metrics_add(struct metrics *m, enum metric metric, int64_t n)
{
	m->values[metric] += n;
}

static inline void metrics_set(struct metrics *m, enum metric metric, int64_t value)
{
	m->values[metric] = value;
}

/* Count one duration. */
void metrics_observe(struct metrics *m, enum metric_histogram histogram, duration_t d);

/* Append all figures in the Prometheus text format, version 0.0.4. */
void metrics_write(const struct metrics *m, struct buffer *out);

/* Append the table of all figures as Markdown, for the documentation. */
void metrics_write_reference(struct buffer *out);

#endif
