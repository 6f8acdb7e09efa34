/* Many sockets and one alarm on a libuv loop: an epoll set of our own inside one uv_poll. */
#include "worker/io/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Sockets that one turn of the loop looks at; what is left stays ready for the next turn. */
#define EVENTS_PER_TURN 64

#define FIRST_DESCRIPTORS 1024

static unsigned events_from_epoll(uint32_t epoll)
{
	unsigned events = 0;

	if (epoll & EPOLLIN)
		events |= POLLER_READABLE;
	if (epoll & EPOLLOUT)
		events |= POLLER_WRITABLE;
	if (epoll & (EPOLLERR | EPOLLHUP))
		events |= POLLER_FAILED;
	return events;
}

static bool is_resting(const struct poller *p, int fd)
{
	return (size_t)fd < p->n_resting && p->resting[fd];
}

/* The kernel forgets a closed descriptor by itself, so a refusal means that there is nothing left
 * to do. */
static void forget(struct poller *p, int fd)
{
	if ((size_t)fd < p->n_resting)
		p->resting[fd] = false;
	(void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* A failing epoll descriptor is only noticed by asking it, so 'status' adds nothing. */
static void on_poll(uv_poll_t *poll, int status, int uv_events)
{
	struct poller *p = poll->data;
	struct epoll_event events[EVENTS_PER_TURN];
	int n = epoll_wait(p->epoll, events, EVENTS_PER_TURN, 0);

	(void)status;
	(void)uv_events;
	for (int i = 0; i < n && p->state == POLLER_OPEN; i++) {
		int fd = events[i].data.fd;

		if (is_resting(p, fd))
			forget(p, fd);
		else
			p->callbacks.ready(p->callbacks.owner, fd,
			                   events_from_epoll(events[i].events));
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct poller *p = timer->data;

	p->callbacks.alarm(p->callbacks.owner);
}

static void on_closed(uv_handle_t *handle)
{
	struct poller *p = handle->data;

	CHECK(p->open_handles > 0);
	if (--p->open_handles == 0)
		p->callbacks.closed(p->callbacks.owner);
}

int poller_open(struct poller *p, uv_loop_t *loop, const struct poller_callbacks *callbacks,
                struct err *err)
{
	int code;

	*p = (struct poller){ .callbacks = *callbacks, .state = POLLER_OPEN };
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return err_set(err, "epoll_create1: %s", strerror(errno));
	code = uv_poll_init(loop, &p->poll, p->epoll);
	if (code < 0) {
		close(p->epoll);
		return err_set(err, "uv_poll_init: %s", uv_strerror(code));
	}
	CHECK(uv_timer_init(loop, &p->timer) == 0);
	CHECK(uv_poll_start(&p->poll, UV_READABLE, on_poll) == 0);
	p->poll.data = p;
	p->timer.data = p;
	p->open_handles = 2;
	return 0;
}

/* A socket that was closed and opened again under the same number is not what the caller knew. */
int poller_watch(struct poller *p, int fd, unsigned events, bool known)
{
	struct epoll_event event = { .data.fd = fd };
	int op = known || is_resting(p, fd) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if ((size_t)fd < p->n_resting)
		p->resting[fd] = false;

	if (events & POLLER_READABLE)
		event.events |= EPOLLIN;
	if (events & POLLER_WRITABLE)
		event.events |= EPOLLOUT;
	if (epoll_ctl(p->epoll, op, fd, &event) == 0)
		return 0;
	if (errno == ENOENT)
		return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event);
	if (errno == EEXIST)
		return epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &event);
	return -1;
}

static bool reserve(struct poller *p, int fd)
{
	size_t n = p->n_resting ? p->n_resting : FIRST_DESCRIPTORS;
	bool *resting;

	if ((size_t)fd < p->n_resting)
		return true;
	while (n <= (size_t)fd)
		n *= 2;
	resting = realloc(p->resting, n * sizeof(*resting));
	if (!resting)
		return false;
	memset(resting + p->n_resting, 0, n - p->n_resting);
	p->resting = resting;
	p->n_resting = n;
	return true;
}

/* A connection rests between two requests, often for no time at all. It stays in the set: to take
 * it out and to put it in again costs the kernel more than all else of a wait. When something
 * happens to it meanwhile, it is taken out then. */
void poller_rest(struct poller *p, int fd)
{
	if (reserve(p, fd))
		p->resting[fd] = true;
	else
		forget(p, fd);
}

void poller_set_alarm(struct poller *p, int64_t ms)
{
	if (ms < 0)
		uv_timer_stop(&p->timer);
	else
		CHECK(uv_timer_start(&p->timer, on_timer, (uint64_t)ms, 0) == 0);
}

void poller_close(struct poller *p)
{
	CHECK(p->state == POLLER_OPEN);
	p->state = POLLER_CLOSING;
	uv_poll_stop(&p->poll);
	close(p->epoll);
	free(p->resting);
	uv_close((uv_handle_t *)&p->poll, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
