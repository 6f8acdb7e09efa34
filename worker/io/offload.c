/* One thread for one piece of blocking work, shared with the loop by a count of two: see offload.h.
 */
#include "worker/io/offload.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum offload_state { OFFLOAD_RUNNING, OFFLOAD_DONE, OFFLOAD_ABANDONED };

struct offload {
	struct offload_job job;
	uv_async_t wake;
	pthread_mutex_t mutex; /* Guards what follows */
	enum offload_state state;
	unsigned users; /* The loop and the thread */
};

/* Let go of it; the last one releases all. */
static void leave(struct offload *o)
{
	unsigned left;

	pthread_mutex_lock(&o->mutex);
	left = --o->users;
	pthread_mutex_unlock(&o->mutex);
	if (left > 0)
		return;
	o->job.drop(o->job.arg);
	pthread_mutex_destroy(&o->mutex);
	free(o);
}

static void *run(void *arg)
{
	struct offload *o = arg;

	o->job.work(o->job.arg);
	pthread_mutex_lock(&o->mutex);
	if (o->state == OFFLOAD_RUNNING) {
		o->state = OFFLOAD_DONE;
		uv_async_send(&o->wake);
	}
	pthread_mutex_unlock(&o->mutex);
	leave(o);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct offload *o = handle->data;

	o->job.finished(o->job.arg, o->state == OFFLOAD_DONE);
}

static void on_wake(uv_async_t *wake)
{
	uv_handle_t *handle = (uv_handle_t *)wake;

	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

/* Start the thread with every signal blocked: signals belong to the loop. */
static int start_thread(struct offload *o)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

static void on_unused_closed(uv_handle_t *handle)
{
	struct offload *o = handle->data;

	pthread_mutex_destroy(&o->mutex);
	free(o);
}

struct offload *offload_start(uv_loop_t *loop, const struct offload_job *job, struct err *err)
{
	struct offload *o = calloc(1, sizeof(*o));
	int error;

	if (!o) {
		err_set(err, "out of memory");
		return NULL;
	}
	o->job = *job;
	o->users = 2;
	pthread_mutex_init(&o->mutex, NULL);
	o->wake.data = o;
	error = uv_async_init(loop, &o->wake, on_wake);
	if (error) {
		err_set(err, "cannot wake the loop: %s", uv_strerror(error));
		on_unused_closed((uv_handle_t *)&o->wake);
		return NULL;
	}
	error = start_thread(o);
	if (error) {
		err_set(err, "cannot start a thread: %s", strerror(error));
		uv_close((uv_handle_t *)&o->wake, on_unused_closed);
		return NULL;
	}
	return o;
}

void offload_abandon(struct offload *o)
{
	bool given_up;

	pthread_mutex_lock(&o->mutex);
	given_up = o->state == OFFLOAD_RUNNING;
	if (given_up)
		o->state = OFFLOAD_ABANDONED;
	pthread_mutex_unlock(&o->mutex);
	if (given_up)
		uv_close((uv_handle_t *)&o->wake, on_closed);
}

void offload_release(struct offload *o)
{
	leave(o);
}
