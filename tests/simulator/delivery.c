/* Sending answers. */
#include "simulator/delivery.h"

#include "simulator/simulator.h"

#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#define BLOCK_SIZE (64u << 10)

static void on_timer(uv_timer_t *timer)
{
	struct exchange *exchange = timer->data;
	struct deliveries *deliveries = &exchange->simulator->server.deliveries;

	DL_DELETE(deliveries->waiting, exchange);
	exchange->waiting = false;
	MHD_resume_connection(exchange->connection);
}

/* Suspend the connection for so long. */
static void wait_for(struct exchange *exchange, int64_t ms)
{
	struct simulator *simulator = exchange->simulator;

	if (!exchange->has_timer) {
		uv_timer_init(&simulator->loop, &exchange->timer);
		exchange->timer.data = exchange;
		exchange->has_timer = true;
	}
	MHD_suspend_connection(exchange->connection);
	DL_APPEND(simulator->server.deliveries.waiting, exchange);
	exchange->waiting = true;
	/* The loop's idea of the time is as old as its last wakeup, and cut to milliseconds: one
	 * more is never too early. */
	uv_update_time(&simulator->loop);
	uv_timer_start(&exchange->timer, on_timer, (uint64_t)ms + 1, 0);
}

void deliveries_abort(struct deliveries *deliveries)
{
	struct exchange *exchange, *next;

	DL_FOREACH_SAFE (deliveries->waiting, exchange, next) {
		exchange->aborted = true;
		uv_timer_stop(&exchange->timer);
		on_timer(&exchange->timer);
	}
}

static int64_t delay_of(struct exchange *exchange)
{
	struct simulator *simulator = exchange->simulator;
	const struct settings *settings = &simulator->settings;
	struct rule *rule = exchange->rule;
	int64_t ms = 0;

	if (exchange->route == ROUTE_CONTROL)
		return 0;
	if (exchange->route != ROUTE_TOKEN) {
		ms = settings->latency_ms;
		if (settings->jitter_ms > 0)
			ms += (int64_t)random_below(&simulator->random,
			                            (uint64_t)settings->jitter_ms + 1);
	}
	if (rule)
		ms += rule->delay_ms;
	if (rule && rule->jitter_ms > 0)
		ms += (int64_t)random_below(&rule->random, (uint64_t)rule->jitter_ms + 1);
	return ms;
}

/* Dissolving the association of a TCP socket sends a reset at once, past whatever TLS would still
 * say. */
static enum MHD_Result reset(struct exchange *exchange)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(info->connect_fd, &nobody, sizeof nobody) < 0)
		log_error(&exchange->simulator->log, "delivery.reset", "problem=\"not reset\"");
	return MHD_NO;
}

/* Give the next piece of a body that is sent badly. */
static ssize_t on_read(void *of, uint64_t position, char *out, size_t max)
{
	struct exchange *exchange = of;
	const struct rule *rule = exchange->rule;
	uint64_t blanks = (uint64_t)rule->huge_bytes;
	uint64_t end = blanks + exchange->answer.body.size;

	if (exchange->aborted || (rule->cut_at >= 0 && position >= (uint64_t)rule->cut_at))
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (position >= end)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (rule->drip_bytes > 0 && !exchange->drip_due) {
		exchange->drip_due = true;
		wait_for(exchange, rule->drip_ms);
		return 0;
	}
	exchange->drip_due = false;
	if (rule->drip_bytes > 0 && max > (uint64_t)rule->drip_bytes)
		max = (size_t)rule->drip_bytes;
	if (rule->cut_at >= 0 && max > (uint64_t)rule->cut_at - position)
		max = (size_t)((uint64_t)rule->cut_at - position);
	if (position < blanks) {
		max = max < blanks - position ? max : (size_t)(blanks - position);
		memset(out, ' ', max);
		return (ssize_t)max;
	}
	max = max < end - position ? max : (size_t)(end - position);
	memcpy(out, exchange->answer.body.data + (position - blanks), max);
	return (ssize_t)max;
}

static bool is_badly_sent(const struct rule *rule)
{
	return rule &&
	       (rule->drip_bytes > 0 || rule->cut_at >= 0 || rule->huge_bytes > 0 || rule->chunked);
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
	const struct rule *rule = exchange->rule;
	struct bytes body = buffer_bytes(&exchange->answer.body);
	uint64_t size = body.size;

	if (!is_badly_sent(rule))
		return MHD_create_response_from_buffer(body.size, (void *)(uintptr_t)body.data,
		                                       MHD_RESPMEM_PERSISTENT);
	size += (uint64_t)rule->huge_bytes;
	if (rule->chunked)
		size = MHD_SIZE_UNKNOWN;
	return MHD_create_response_from_callback(size, BLOCK_SIZE, on_read, exchange, NULL);
}

static void add_headers(const struct exchange *exchange, struct MHD_Response *response)
{
	const struct answer *answer = &exchange->answer;

	if (answer->content_type && answer->content_type[0])
		MHD_add_response_header(response, "Content-Type", answer->content_type);
	MHD_add_response_header(response, "request-id", answer->request_id);
	if (exchange->client_request_id)
		MHD_add_response_header(response, "client-request-id", exchange->client_request_id);
	if (answer->location.size > 0)
		MHD_add_response_header(response, "Location", answer->location.data);
	if (answer->retry_after[0])
		MHD_add_response_header(response, "Retry-After", answer->retry_after);
	if (answer->challenge)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"\"");
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	exchange->stage = EXCHANGE_ANSWERED;
	if (exchange->aborted)
		return MHD_NO;
	if (exchange->rule && exchange->rule->reset_when != RESET_NONE)
		return reset(exchange);
	response = make_response(exchange);
	if (!response)
		return MHD_NO;
	add_headers(exchange, response);
	result =
	    MHD_queue_response(exchange->connection, (unsigned)exchange->answer.status, response);
	MHD_destroy_response(response);
	/* Before the first byte leaves, so that whoever has the answer finds it in the journal. */
	if (result == MHD_YES && !is_badly_sent(exchange->rule))
		exchange_conclude(exchange, END_SENT);
	return result;
}

enum MHD_Result delivery_start(struct exchange *exchange)
{
	int64_t ms = delay_of(exchange);

	if (ms == 0)
		return send_answer(exchange);
	exchange->stage = EXCHANGE_DELAYED;
	wait_for(exchange, ms);
	return MHD_YES;
}

enum MHD_Result delivery_resume(struct exchange *exchange)
{
	return send_answer(exchange);
}

enum exchange_end delivery_end(const struct exchange *exchange, bool complete)
{
	const struct rule *rule = exchange->rule;

	if (exchange->stage != EXCHANGE_ANSWERED || exchange->aborted)
		return END_LOST;
	if (rule && rule->reset_when != RESET_NONE)
		return END_RESET;
	if (complete)
		return END_SENT;
	return rule && rule->cut_at >= 0 ? END_CUT : END_LOST;
}
