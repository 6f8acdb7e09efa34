/* The clocks of the shell. */
#include "worker/io/clock.h"

#include "worker/base/check.h"

#include <time.h>

instant_t clock_now(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
	return (instant_t){ (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 };
}

wall_t clock_wall(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
	return (wall_t){ (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 };
}
