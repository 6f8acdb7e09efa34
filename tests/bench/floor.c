/* bench-floor: what the libraries cost by themselves.
 *
 * One loop takes records, parses them, POSTs what Graph wants of them, makes a reply of the answer
 * and produces it. There is no promise of any kind: no order, no retry, no rate, no check of
 * anything, and nobody knows what happened to a record when the loop ends. So it is no program to
 * use, but what a program that does more is to be compared with.
 *
 *   bench-floor BROKERS COMMANDS REPLIES GROUP GRAPH-URL TOKEN IN-FLIGHT [CA-FILE] */
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 10000
#define ANSWER_MAX    (16 * 1024)
#define URL_MAX       1024
#define EVENTS        256
#define IDLE_MS       1000

struct slot {
	CURL *easy;              /* Owned */
	rd_kafka_message_t *msg; /* Owned, as is what follows */
	json_t *command;
	char *body;
	size_t n_answer;
	char answer[ANSWER_MAX];
	struct slot *next; /* Of the free ones */
};

struct loop {
	const char *graph_url;
	rd_kafka_t *consumer, *producer;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *replies;
	CURLM *multi;
	struct curl_slist *headers;
	struct slot *slots, *free;
	size_t n_free;
	int epoll, wake;
	int64_t
	    alarm_ms; /* When libcurl wants to be called, on the monotonic clock; -1: not at all */
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

_Noreturn static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench-floor: %s: %s\n", what, why);
	exit(EX_UNAVAILABLE);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
	struct loop *loop = owner;
	struct epoll_event event = { .data.fd = fd };

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what != CURL_POLL_OUT)
		event.events |= EPOLLIN;
	if (what != CURL_POLL_IN)
		event.events |= EPOLLOUT;
	if (epoll_ctl(loop->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
		epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event);
	curl_multi_assign(loop->multi, fd, loop);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int on_alarm_wanted(CURLM *multi, long ms, void *owner)
{
	struct loop *loop = owner;

	(void)multi;
	loop->alarm_ms = ms < 0 ? -1 : now_ms() + ms;
	return 0;
}

static size_t on_answer(char *data, size_t size, size_t n, void *owner)
{
	struct slot *slot = owner;

	if (slot->n_answer + size * n > ANSWER_MAX)
		return 0;
	memcpy(slot->answer + slot->n_answer, data, size * n);
	slot->n_answer += size * n;
	return size * n;
}

static json_t *reply_operation(struct slot *slot, json_t *answer)
{
	struct curl_header *location = NULL, *request_id = NULL;
	long status = 0;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_header(slot->easy, "Location", 0, CURLH_HEADER, -1, &location);
	curl_easy_header(slot->easy, "request-id", 0, CURLH_HEADER, -1, &request_id);
	return json_pack("{s:O?, s:s?, s:O?, s:O?, s:i, s:s?, s:n}", "id",
	                 json_object_get(answer, "id"), "location",
	                 location ? location->value : NULL, "status",
	                 json_object_get(answer, "status"), "clientContext",
	                 json_object_get(answer, "clientContext"), "httpStatus", (int)status,
	                 "requestId", request_id ? request_id->value : NULL, "resultInfo");
}

/* The members that the worker's reply has, except for what nobody here knows. */
static json_t *make_reply(struct slot *slot)
{
	json_t *answer = json_loadb(slot->answer, slot->n_answer, 0, NULL);
	json_t *operation = reply_operation(slot, answer);
	bool accepted = json_is_string(json_object_get(answer, "id"));
	json_t *reply = json_pack(
	    "{s:O?, s:O?, s:s, s:O?, s:[o], s:[{s:i, s:s, s:i, s:n}], s:n, s:i, s:{s:i, s:i}, "
	    "s:{s:s, s:i, s:I}}",
	    "commandId", json_object_get(slot->command, "commandId"), "callId",
	    json_object_get(slot->command, "callId"), "status", accepted ? "accepted" : "failed",
	    "clientContext", json_object_get(slot->command, "clientContext"), "operations",
	    operation, "participants", "index", 0, "status", accepted ? "accepted" : "failed",
	    "operation", 0, "error", "error", "attempts", 1, "batch", "commands", 1, "participants",
	    1, "source", "topic", rd_kafka_topic_name(slot->msg->rkt), "partition",
	    (int)slot->msg->partition, "offset", (json_int_t)slot->msg->offset);

	json_decref(answer);
	return reply;
}

static void produce_reply(struct loop *loop, struct slot *slot)
{
	json_t *reply = make_reply(slot);
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;

	json_decref(reply);
	if (!text)
		fail("reply", "cannot be made");
	while (rd_kafka_produce(loop->replies, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_FREE, text,
	                        strlen(text), slot->msg->key, slot->msg->key_len, NULL) < 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(loop->producer, 10);
	}
}

static void put(struct loop *loop, struct slot *slot)
{
	slot->next = loop->free;
	loop->free = slot;
	loop->n_free++;
}

static void release(struct loop *loop, struct slot *slot)
{
	rd_kafka_message_destroy(slot->msg);
	json_decref(slot->command);
	free(slot->body);
	put(loop, slot);
}

static void finish_transfers(struct loop *loop)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(loop->multi, &left))) {
		char *owner = NULL;
		struct slot *slot;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &owner);
		slot = (struct slot *)owner;
		if (message->data.result != CURLE_OK)
			fail("POST", curl_easy_strerror(message->data.result));
		produce_reply(loop, slot);
		curl_multi_remove_handle(loop->multi, slot->easy);
		release(loop, slot);
	}
}

static char *make_body(const json_t *command)
{
	json_t *body =
	    json_pack("{s:O?, s:O?}", "participants", json_object_get(command, "participants"),
	              "clientContext", json_object_get(command, "clientContext"));
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	return text;
}

static void start(struct loop *loop, rd_kafka_message_t *msg)
{
	struct slot *slot = loop->free;
	char url[URL_MAX];

	loop->free = slot->next;
	loop->n_free--;
	slot->msg = msg;
	slot->n_answer = 0;
	slot->command = json_loadb(msg->payload, msg->len, 0, NULL);
	slot->body = make_body(slot->command);
	if (!slot->body)
		fail("command", "cannot be read");
	snprintf(url, sizeof(url), "%s/communications/calls/%.*s/participants/invite",
	         loop->graph_url, (int)msg->key_len, (const char *)msg->key);
	curl_easy_setopt(slot->easy, CURLOPT_URL, url);
	curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(slot->body));
	curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body);
	curl_multi_add_handle(loop->multi, slot->easy);
}

static void take_records(struct loop *loop)
{
	static rd_kafka_message_t *messages[IN_FLIGHT_MAX];
	ssize_t n = rd_kafka_consume_batch_queue(loop->queue, 0, messages, loop->n_free);

	for (ssize_t i = 0; i < n; i++) {
		if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			start(loop, messages[i]);
		else
			rd_kafka_message_destroy(messages[i]);
	}
}

static void on_events(struct loop *loop, const struct epoll_event *events, int n)
{
	int running;
	uint64_t count;

	for (int i = 0; i < n; i++) {
		int mask = 0;

		if (events[i].data.fd == loop->wake) {
			if (read(loop->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
				fail("eventfd", strerror(errno));
			continue;
		}
		if (events[i].events & EPOLLIN)
			mask |= CURL_CSELECT_IN;
		if (events[i].events & EPOLLOUT)
			mask |= CURL_CSELECT_OUT;
		if (events[i].events & (EPOLLERR | EPOLLHUP))
			mask |= CURL_CSELECT_ERR;
		curl_multi_socket_action(loop->multi, events[i].data.fd, mask, &running);
	}
}

/* So long libcurl can be left alone. */
static int idle_ms(const struct loop *loop)
{
	int64_t left = loop->alarm_ms < 0 ? IDLE_MS : loop->alarm_ms - now_ms();

	if (left <= 0)
		return 0;
	return left < IDLE_MS ? (int)left : IDLE_MS;
}

static void run(struct loop *loop)
{
	struct epoll_event events[EVENTS];
	int running;

	while (!ended) {
		int n = epoll_wait(loop->epoll, events, EVENTS, idle_ms(loop));

		on_events(loop, events, n);
		if (loop->alarm_ms >= 0 && loop->alarm_ms <= now_ms()) {
			loop->alarm_ms = -1;
			curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		finish_transfers(loop);
		if (loop->n_free > 0)
			take_records(loop);
		rd_kafka_poll(loop->producer, 0);
	}
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *const *properties)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512] = "";
	rd_kafka_t *rk;

	for (; *properties; properties += 2)
		if (rd_kafka_conf_set(conf, properties[0], properties[1], why, sizeof(why)) !=
		    RD_KAFKA_CONF_OK)
			fail(properties[0], why);
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk)
		fail("no Kafka client", why);
	return rk;
}

static void open_kafka(struct loop *loop, char **argv)
{
	const char *consuming[] = {
		"bootstrap.servers",
		argv[1],
		"group.id",
		argv[4],
		"auto.offset.reset",
		"earliest",
		"queued.min.messages",
		"1000",
		"fetch.wait.max.ms",
		"100",
		NULL,
	};
	const char *producing[] = {
		"bootstrap.servers", argv[1], "enable.idempotence", "true", "linger.ms", "2", NULL,
	};
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	static const uint64_t one = 1;

	loop->consumer = client(RD_KAFKA_CONSUMER, consuming);
	loop->producer = client(RD_KAFKA_PRODUCER, producing);
	loop->replies = rd_kafka_topic_new(loop->producer, argv[3], NULL);
	rd_kafka_poll_set_consumer(loop->consumer);
	loop->queue = rd_kafka_queue_get_consumer(loop->consumer);
	loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rd_kafka_queue_io_event_enable(loop->queue, loop->wake, &one, sizeof(one));
	rd_kafka_topic_partition_list_add(topics, argv[2], RD_KAFKA_PARTITION_UA);
	if (rd_kafka_subscribe(loop->consumer, topics))
		fail(argv[2], "no subscription");
	rd_kafka_topic_partition_list_destroy(topics);
}

static void set_up(struct slot *slot, const struct loop *loop, const char *ca_file)
{
	slot->easy = curl_easy_init();
	if (!slot->easy)
		fail("libcurl", "no handle");
	curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
	curl_easy_setopt(slot->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, loop->headers);
	curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(slot->easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(slot->easy, CURLOPT_BUFFERSIZE, 16384L);
	curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(slot->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	if (!ca_file)
		return;
	curl_easy_setopt(slot->easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(slot->easy, CURLOPT_PIPEWAIT, 1L);
}

static void open_curl(struct loop *loop, const char *token, long in_flight, const char *ca_file)
{
	char header[8192];

	curl_global_init(CURL_GLOBAL_DEFAULT);
	snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
	loop->headers = curl_slist_append(NULL, header);
	loop->headers = curl_slist_append(loop->headers, "Content-Type: application/json");
	loop->headers = curl_slist_append(loop->headers, "Expect:");
	loop->multi = curl_multi_init();
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_alarm_wanted);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, 2 * in_flight);
	loop->slots = calloc((size_t)in_flight, sizeof(*loop->slots));
	if (!loop->slots || !loop->multi)
		fail("start", "no memory");
	for (long i = 0; i < in_flight; i++) {
		set_up(&loop->slots[i], loop, ca_file);
		put(loop, &loop->slots[i]);
	}
}

int main(int argc, char **argv)
{
	struct loop loop = { .alarm_ms = -1 };
	struct epoll_event wake = { .events = EPOLLIN };
	long in_flight = argc >= 8 ? strtol(argv[7], NULL, 10) : 0;

	if (in_flight < 1 || in_flight > IN_FLIGHT_MAX) {
		fprintf(stderr, "Usage: bench-floor BROKERS COMMANDS REPLIES GROUP GRAPH-URL TOKEN "
		                "IN-FLIGHT [CA-FILE]\n");
		return EX_USAGE;
	}
	signal(SIGTERM, on_signal);
	loop.graph_url = argv[5];
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	open_kafka(&loop, argv);
	open_curl(&loop, argv[6], in_flight, argc > 8 ? argv[8] : NULL);
	wake.data.fd = loop.wake;
	epoll_ctl(loop.epoll, EPOLL_CTL_ADD, loop.wake, &wake);
	run(&loop);
	rd_kafka_flush(loop.producer, 5000);
	return 0;
}
