/* Failpoints: see failpoint.h. The hits are counted in files, so nothing is kept in memory, and a
 * point that has killed the worker does not kill its successor. */
#include "worker/base/failpoint.h"

#include "worker/base/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 4096

static const char *const names[] = {
#define FAILPOINT_ROW(name, step, moment) #name,
	FAILPOINTS(FAILPOINT_ROW)
#undef FAILPOINT_ROW
};

/* The number of this hit, from 1. The append and the position that follows it are one step, so
 * threads and processes each get a number of their own. */
static long count_hit(const char *directory, const char *name)
{
	char path[PATH_SIZE];
	long hits;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, ".", 1) == 1);
	hits = (long)lseek(fd, 0, SEEK_CUR);
	close(fd);
	return hits;
}

static void delay(const char *milliseconds)
{
	long ms = strtol(milliseconds, NULL, 10);
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) != 0)
		;
}

static void act(const char *action)
{
	if (strncmp(action, "kill", 4) == 0)
		kill(getpid(), SIGKILL);
	else if (strncmp(action, "stop", 4) == 0)
		kill(getpid(), SIGSTOP);
	else if (strncmp(action, "delay=", 6) == 0)
		delay(action + 6);
}

/* What stands behind "<name>:" in the plan, or NULL. */
static const char *find_action(const char *plan, const char *name)
{
	size_t size = strlen(name);

	while (plan) {
		if (strncmp(plan, name, size) == 0 && plan[size] == ':')
			return plan + size + 1;
		plan = strchr(plan, ',');
		plan = plan ? plan + 1 : NULL;
	}
	return NULL;
}

void failpoint_hit(enum failpoint point)
{
	const char *directory = secure_getenv("INVITE_WORKER_FAILPOINTS_DIR");
	const char *action, *nth;
	long hit;

	if (!directory)
		return;
	hit = count_hit(directory, names[point]);
	action = find_action(secure_getenv("INVITE_WORKER_FAILPOINTS"), names[point]);
	nth = action ? strchr(action, ':') : NULL;
	if (nth && strtol(nth + 1, NULL, 10) == hit)
		act(action);
}
