/* A configuration file of any bytes: loaded, or refused with at least one mistake. */
#include "fuzz/fuzz.h"
#include "worker/config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char text[] = "a-secret";
	char secret[] = "INVITE_WORKER_LOGIN_CLIENT_SECRET=a-secret";
	char *const variables[] = { secret, NULL };
	struct config *config = NULL;
	struct problems problems;
	char path[40];
	int fd = memfd_create("config", 0);
	int result;

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	problems_init(&problems);
	result = config_load(path, variables, &config, &problems);
	CHECK((result == 0) == (problems.mistakes == 0));
	/* What the file itself says may be shown. */
	for (size_t i = 0; i < problems.count && !memmem(data, size, text, strlen(text)); i++)
		CHECK(!strstr(problems.list[i].message, text));
	if (result == 0)
		config_free(config);
	problems_close(&problems);
	close(fd);
	return 0;
}
