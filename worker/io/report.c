/* What the engine wants people to know: see report.h. */
#include "worker/io/report.h"

#include "worker/base/failpoint.h"

#include <inttypes.h>
#include <string.h>

static void report_alert(const struct log *log, const struct effect_alert *alert)
{
	FAILPOINT(bad_map_found);
	log_error(log, "ledger.bad-map", "partition=%" PRId32 " offset=%" PRId64 " problem=%s",
	          alert->partition, alert->offset, map_problem_text(alert->problem));
}

static void report_notice(const struct log *log, const struct policy *policy,
                          const struct effect_notice *notice)
{
	const char *tenant = policy->tenants.texts[notice->tenant];
	long long ms = (long long)duration_to_ms(notice->time);
	char code[LOG_QUOTE_SIZE];

	switch (notice->kind) {
	case NOTICE_ILL:
		log_warn(log, "graph.ill", "tenant=%s pause_ms=%lld", tenant, ms);
		break;
	case NOTICE_PROBE:
		log_info(log, "graph.probe", "tenant=%s", tenant);
		break;
	case NOTICE_WELL:
		log_info(log, "graph.well", "tenant=%s ill_ms=%lld", tenant, ms);
		break;
	case NOTICE_REFUSED:
		log_error(log, "application.refused",
		          "tenant=%s http_status=%d graph_code=%s advice=\"%s\"", tenant,
		          notice->http_status, log_quote(bytes_of(notice->graph_code), code),
		          notice->advice);
		break;
	case NOTICE_ALLOWED:
		log_info(log, "application.allowed", "tenant=%s refused_ms=%lld", tenant, ms);
		break;
	}
}

static void report_trace(const struct log *log, struct bytes trace)
{
	const char *line = trace.data;
	const char *end = trace.data + trace.size;

	while (line < end) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));

		log_debug(log, "engine", "%.*s", (int)(stop - line), line);
		line = stop + 1;
	}
}

void report_effects(const struct log *log, const struct policy *policy, const struct effects *f)
{
	for (size_t i = 0; i < f->n_alerts; i++)
		report_alert(log, &f->alerts[i]);
	for (size_t i = 0; i < f->n_notices; i++)
		report_notice(log, policy, &f->notices[i]);
	report_trace(log, buffer_bytes(&f->trace));
}
