/* Sending answers. */
#include "simulator/delivery.h"

#include "simulator/simulator.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#define BLOCK_SIZE (64u << 10)

/* Answers are woken together that are due in the same part of a millisecond: each wakeup costs more
 * than an answer does. */
#define SLOT_US 250

static void resume(struct deliveries *deliveries, struct exchange *exchange)
{
	DL_DELETE(deliveries->waiting, exchange);
	MHD_resume_connection(exchange->connection);
}

/* Have the timer fire when the first is due, never before. */
static void arm(struct deliveries *deliveries)
{
	struct itimerspec when = { 0 };
	int64_t slot;

	if (deliveries->waiting) {
		slot = (deliveries->waiting->due.us + SLOT_US - 1) / SLOT_US;
		when.it_value.tv_sec = slot * SLOT_US / 1000000;
		when.it_value.tv_nsec = slot * SLOT_US % 1000000 * 1000;
	}
	CHECK(timerfd_settime(deliveries->timer, TFD_TIMER_ABSTIME, &when, NULL) == 0);
}

static void on_timer(uv_poll_t *poll, int status, int events)
{
	struct deliveries *deliveries = poll->data;
	instant_t now = simulator_now();

	(void)status, (void)events;
	while (deliveries->waiting && !instant_before(now, deliveries->waiting->due))
		resume(deliveries, deliveries->waiting);
	arm(deliveries);
}

/* Suspend the connection for so long. Most are due last: the place is looked for from the end. */
static void wait_for(struct exchange *exchange, int64_t ms)
{
	struct deliveries *deliveries = &exchange->simulator->server.deliveries;
	struct exchange *before = deliveries->waiting ? deliveries->waiting->prev : NULL;

	MHD_suspend_connection(exchange->connection);
	exchange->due = instant_add(simulator_now(), duration_ms(ms));
	while (before && instant_before(exchange->due, before->due))
		before = before == deliveries->waiting ? NULL : before->prev;
	DL_APPEND_ELEM(deliveries->waiting, before, exchange);
	if (deliveries->waiting == exchange)
		arm(deliveries);
}

int deliveries_init(struct deliveries *deliveries, uv_loop_t *loop, struct err *err)
{
	*deliveries = (struct deliveries){ .timer = timerfd_create(CLOCK_MONOTONIC,
		                                                   TFD_NONBLOCK | TFD_CLOEXEC) };
	if (deliveries->timer < 0)
		return err_set(err, "timerfd_create: %s", strerror(errno));
	uv_poll_init(loop, &deliveries->poll, deliveries->timer);
	deliveries->poll.data = deliveries;
	uv_poll_start(&deliveries->poll, UV_READABLE, on_timer);
	return 0;
}

void deliveries_abort(struct deliveries *deliveries)
{
	struct exchange *exchange, *next;

	DL_FOREACH_SAFE (deliveries->waiting, exchange, next) {
		exchange->aborted = true;
		resume(deliveries, exchange);
	}
}

void deliveries_close(struct deliveries *deliveries)
{
	if (deliveries->timer < 0)
		return;
	uv_close((uv_handle_t *)&deliveries->poll, NULL);
	close(deliveries->timer);
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
