/* The figures as a page for Prometheus and as a table for people. */
#include "worker/base/metrics.h"

#include <inttypes.h>

#define PREFIX "invite_worker_"

enum metric_type { COUNTER, GAUGE };

struct metric_info {
	enum metric_type type;
	const char *family;
	const char *labels;
	const char *help; /* Empty on the later rows of a family */
};

static const struct metric_info infos[METRIC_COUNT] = {
#define METRIC(name, type, family, labels, help) { type, family, labels, help },
	METRICS_TABLE(METRIC)
#undef METRIC
};

struct histogram_info {
	const char *family;
	const char *help;
};

static const struct histogram_info histogram_infos[HISTOGRAM_COUNT] = {
#define METRIC_HISTOGRAM(name, family, help) { family, help },
	METRICS_HISTOGRAMS(METRIC_HISTOGRAM)
#undef METRIC_HISTOGRAM
};

/* Upper bounds of the buckets, in microseconds, and as Prometheus writes them in seconds. */
static const struct {
	int64_t us;
	const char *text;
} bounds[METRICS_BUCKETS] = {
	{ 1000, "0.001" },  { 2500, "0.0025" }, { 5000, "0.005" }, { 10000, "0.01" },
	{ 25000, "0.025" }, { 50000, "0.05" },  { 100000, "0.1" }, { 250000, "0.25" },
	{ 500000, "0.5" },  { 1000000, "1" },   { 5000000, "5" },  { 30000000, "30" },
};

void metrics_observe(struct metrics *m, enum metric_histogram histogram, duration_t d)
{
	struct histogram *h = &m->histograms[histogram];
	size_t i = 0;

	while (i < METRICS_BUCKETS && d.us > bounds[i].us)
		i++;
	h->buckets[i]++;
	h->sum_us += d.us > 0 ? (uint64_t)d.us : 0;
}

static void write_head(struct buffer *out, const char *family, const char *type, const char *help)
{
	buffer_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", family, help, family,
	              type);
}

static void write_histogram(const struct histogram *h, const struct histogram_info *info,
                            struct buffer *out)
{
	uint64_t count = 0;

	write_head(out, info->family, "histogram", info->help);
	for (size_t i = 0; i < METRICS_BUCKETS; i++) {
		count += h->buckets[i];
		buffer_printf(out, PREFIX "%s_bucket{le=\"%s\"} %" PRIu64 "\n", info->family,
		              bounds[i].text, count);
	}
	count += h->buckets[METRICS_BUCKETS];
	buffer_printf(out, PREFIX "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", info->family, count);
	buffer_printf(out, PREFIX "%s_sum %" PRIu64 ".%06" PRIu64 "\n", info->family,
	              h->sum_us / 1000000, h->sum_us % 1000000);
	buffer_printf(out, PREFIX "%s_count %" PRIu64 "\n", info->family, count);
}

void metrics_write(const struct metrics *m, struct buffer *out)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric_info *info = &infos[i];

		if (*info->help)
			write_head(out, info->family, info->type == COUNTER ? "counter" : "gauge",
			           info->help);
		buffer_printf(out, PREFIX "%s", info->family);
		if (*info->labels)
			buffer_printf(out, "{%s}", info->labels);
		buffer_printf(out, " %" PRId64 "\n", m->values[i]);
	}
	for (size_t i = 0; i < HISTOGRAM_COUNT; i++)
		write_histogram(&m->histograms[i], &histogram_infos[i], out);
}

static void write_reference_row(const struct metric_info *info, struct buffer *out)
{
	buffer_printf(out, "| `" PREFIX "%s`", info->family);
	if (*info->labels)
		buffer_printf(out, " `{%s}`", info->labels);
	buffer_printf(out, " | %s | %s |\n", info->type == COUNTER ? "counter" : "gauge",
	              info->help);
}

void metrics_write_reference(struct buffer *out)
{
	buffer_append_text(out, "| metric | type | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < METRIC_COUNT; i++)
		write_reference_row(&infos[i], out);
	for (size_t i = 0; i < HISTOGRAM_COUNT; i++)
		buffer_printf(out, "| `" PREFIX "%s` | histogram | %s |\n",
		              histogram_infos[i].family, histogram_infos[i].help);
}
