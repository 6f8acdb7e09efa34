/* One librdkafka client on the loop: see kafka_client.h.
 *
 * The memory is shared with the thread that destroys the handle, and with threads that use it
 * meanwhile; the last one releases it. The eventfd is closed after the handle is gone: librdkafka
 * would write to whatever got its number. */
#include "worker/io/kafka_client.h"

#include "worker/io/offload.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CLIENT_ERROR_SIZE 256

struct kafka_client {
	uv_loop_t *loop;       /* Borrowed */
	const struct log *log; /* Borrowed; not used any more once it is closing */
	const char *name;
	void (*turn)(void *owner);
	void *owner; /* Borrowed; not used any more once it is closing */

	rd_kafka_t *rk; /* Owned */
	int fd;         /* Owned: the eventfd */
	uv_poll_t wake;
	uv_timer_t deadline;
	unsigned open_handles;
	struct offload *ending; /* Owned; NULL when there is no thread for it */
	void (*finish)(rd_kafka_t *rk);
	void (*closed)(void *owner);

	rd_kafka_resp_err_t last_error; /* Logged last, and not over yet */
	bool down;                      /* No broker can be reached */
	char fatal[CLIENT_ERROR_SIZE];  /* Empty: none */
	atomic_bool closing;

	pthread_mutex_t mutex; /* Guards 'users' */
	pthread_cond_t unused;
	unsigned users; /* Threads that use the handle */
};

static void free_client(struct kafka_client *k)
{
	pthread_mutex_destroy(&k->mutex);
	pthread_cond_destroy(&k->unused);
	free(k);
}

/* librdkafka counts severities as syslog does. What it calls an error it goes on from by itself. */
static enum log_level level_of(int severity, const char *facility)
{
	if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0)
		return severity >= 7 ? LOG_DEBUG : LOG_INFO; /* on_error() reports these, once */
	if (severity <= 2)
		return LOG_ERROR;
	if (severity <= 4)
		return LOG_WARN;
	return severity >= 7 ? LOG_DEBUG : LOG_INFO;
}

/* librdkafka believes that consumers ignore this property of ours; they do not. */
static bool is_mistaken(const char *facility, const char *text)
{
	return strcmp(facility, "CONFWARN") == 0 && strstr(text, "retry.backoff.ms");
}

static void on_log(const rd_kafka_t *rk, int severity, const char *facility, const char *text)
{
	struct kafka_client *k = rd_kafka_opaque(rk);
	static const char id[] = "kafka.client";
	char quoted[LOG_QUOTE_SIZE];

	if (kafka_client_is_closing(k) || is_mistaken(facility, text))
		return;
	log_quote(bytes_of(text), quoted);
	switch (level_of(severity, facility)) {
	case LOG_ERROR:
		log_error(k->log, id, "client=%s about=%s text=%s", k->name, facility, quoted);
		return;
	case LOG_WARN:
		log_warn(k->log, id, "client=%s about=%s text=%s", k->name, facility, quoted);
		return;
	case LOG_INFO:
		log_info(k->log, id, "client=%s about=%s text=%s", k->name, facility, quoted);
		return;
	case LOG_DEBUG:
	case LOG_LEVELS:
		log_debug(k->log, id, "client=%s about=%s text=%s", k->name, facility, quoted);
		return;
	}
}

static void report_down(struct kafka_client *k, const char *text)
{
	char quoted[LOG_QUOTE_SIZE];

	if (k->down)
		return;
	k->down = true;
	log_warn(k->log, "kafka.broker-down", "client=%s error=%s", k->name,
	         log_quote(bytes_of(text), quoted));
}

void kafka_client_report(struct kafka_client *k, rd_kafka_resp_err_t error, const char *text)
{
	char quoted[LOG_QUOTE_SIZE];

	if (error == RD_KAFKA_RESP_ERR__FATAL) {
		rd_kafka_fatal_error(k->rk, k->fatal, sizeof(k->fatal));
		kafka_client_again(k);
		return;
	}
	if (error == k->last_error)
		return;
	k->last_error = error;
	log_warn(k->log, "kafka.error", "client=%s code=%s error=%s", k->name,
	         rd_kafka_err2name(error), log_quote(bytes_of(text), quoted));
}

void kafka_client_works(struct kafka_client *k)
{
	if (k->down)
		log_info(k->log, "kafka.broker-up", "client=%s", k->name);
	k->down = false;
	k->last_error = RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* A broker that cannot be reached is not worth a line as long as another one can. */
static void on_error(rd_kafka_t *rk, int error, const char *text, void *opaque)
{
	struct kafka_client *k = opaque;

	(void)rk;
	if (kafka_client_is_closing(k))
		return;
	if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		report_down(k, text);
	else if (error != RD_KAFKA_RESP_ERR__TRANSPORT)
		kafka_client_report(k, (rd_kafka_resp_err_t)error, text);
}

static void on_wake(uv_poll_t *wake, int status, int events)
{
	struct kafka_client *k = wake->data;
	uint64_t count;

	(void)status;
	(void)events;
	while (read(k->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	k->turn(k->owner);
}

void kafka_client_watch(struct kafka_client *k, rd_kafka_queue_t *queue)
{
	static const uint64_t one = 1;

	rd_kafka_queue_io_event_enable(queue, k->fd, &one, sizeof(one));
}

void kafka_client_again(struct kafka_client *k)
{
	uint64_t one = 1;

	while (write(k->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static rd_kafka_t *new_handle(struct kafka_client *k, const struct kafka_client_options *options,
                              struct err *err)
{
	rd_kafka_type_t type =
	    options->conf.role == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
	rd_kafka_conf_t *conf = kafka_conf_new(&options->conf, err);
	rd_kafka_t *rk;
	char why[400] = "";

	if (!conf)
		return NULL;
	rd_kafka_conf_set_opaque(conf, k);
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	/* Lines wait in a queue that the loop serves; cannot fail. */
	CHECK(rd_kafka_conf_set(conf, "log.queue", "true", NULL, 0) == RD_KAFKA_CONF_OK);
	if (options->configure)
		options->configure(conf);
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk) {
		rd_kafka_conf_destroy(conf);
		err_set(err, "librdkafka: %s", why);
		return NULL;
	}
	rd_kafka_set_log_queue(rk, NULL);
	return rk;
}

/* What can fail; on failure nothing stays behind but the memory. */
static int open_client(struct kafka_client *k, const struct kafka_client_options *options,
                       struct err *err)
{
	k->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->fd < 0)
		return err_set(err, "cannot make an eventfd: %s", strerror(errno));
	k->rk = new_handle(k, options, err);
	if (!k->rk) {
		close(k->fd);
		return -1;
	}
	return 0;
}

struct kafka_client *kafka_client_new(uv_loop_t *loop, const struct kafka_client_options *options,
                                      const struct log *log, struct err *err)
{
	struct kafka_client *k = calloc(1, sizeof(*k));

	if (!k) {
		err_set(err, "out of memory");
		return NULL;
	}
	k->loop = loop;
	k->log = log;
	k->name = options->name;
	k->turn = options->turn;
	k->owner = options->owner;
	atomic_init(&k->closing, false);
	pthread_mutex_init(&k->mutex, NULL);
	pthread_cond_init(&k->unused, NULL);
	if (open_client(k, options, err) < 0) {
		free_client(k);
		return NULL;
	}
	k->wake.data = k;
	k->deadline.data = k;
	uv_timer_init(loop, &k->deadline);
	CHECK(uv_poll_init(loop, &k->wake, k->fd) == 0);
	CHECK(uv_poll_start(&k->wake, UV_READABLE, on_wake) == 0);
	k->open_handles = 2;
	return k;
}

rd_kafka_t *kafka_client_handle(struct kafka_client *k)
{
	return k->rk;
}

void *kafka_client_owner(struct kafka_client *k)
{
	return k->owner;
}

const char *kafka_client_fatal(const struct kafka_client *k)
{
	return k->fatal[0] ? k->fatal : NULL;
}

bool kafka_client_is_closing(struct kafka_client *k)
{
	return atomic_load(&k->closing);
}

void kafka_client_enter(struct kafka_client *k)
{
	pthread_mutex_lock(&k->mutex);
	k->users++;
	pthread_mutex_unlock(&k->mutex);
}

void kafka_client_leave(struct kafka_client *k)
{
	pthread_mutex_lock(&k->mutex);
	CHECK(k->users > 0);
	k->users--;
	pthread_cond_signal(&k->unused);
	pthread_mutex_unlock(&k->mutex);
}

/* On the thread. */
static void end_handle(void *arg)
{
	struct kafka_client *k = arg;

	pthread_mutex_lock(&k->mutex);
	while (k->users > 0)
		pthread_cond_wait(&k->unused, &k->mutex);
	pthread_mutex_unlock(&k->mutex);
	if (k->finish)
		k->finish(k->rk);
	rd_kafka_destroy_flags(k->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	close(k->fd);
}

static void drop_client(void *arg)
{
	free_client(arg);
}

static void handle_is_closed(struct kafka_client *k)
{
	CHECK(k->open_handles > 0);
	if (--k->open_handles > 0)
		return;
	k->closed(k->owner);
	if (k->ending)
		offload_release(k->ending);
}

static void on_handle_closed(uv_handle_t *handle)
{
	handle_is_closed(handle->data);
}

static void on_ended(void *arg, bool done)
{
	struct kafka_client *k = arg;

	if (!done)
		log_warn(k->log, "kafka.close-abandoned", "client=%s", k->name);
	uv_close((uv_handle_t *)&k->deadline, on_handle_closed);
	handle_is_closed(k);
}

static void on_deadline(uv_timer_t *timer)
{
	struct kafka_client *k = timer->data;

	offload_abandon(k->ending);
}

void kafka_client_purge(rd_kafka_t *rk)
{
	rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
	                       RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void kafka_client_close(struct kafka_client *k, duration_t deadline, void (*finish)(rd_kafka_t *rk),
                        void (*closed)(void *owner))
{
	struct offload_job job = {
		.arg = k, .work = end_handle, .finished = on_ended, .drop = drop_client
	};
	struct err err;

	CHECK(!kafka_client_is_closing(k));
	atomic_store(&k->closing, true);
	k->finish = finish;
	k->closed = closed;
	uv_close((uv_handle_t *)&k->wake, on_handle_closed);
	k->ending = offload_start(k->loop, &job, &err);
	if (!k->ending) {
		/* No thread to be had: leave the handle to the end of the process. */
		log_warn(k->log, "kafka.close-abandoned", "client=%s error=\"%s\"", k->name,
		         err.msg);
		uv_close((uv_handle_t *)&k->deadline, on_handle_closed);
		return;
	}
	k->open_handles++;
	uv_timer_start(&k->deadline, on_deadline, (uint64_t)duration_to_ms(deadline), 0);
}
