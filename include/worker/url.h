/* Base URLs of services: http or https, a host, a path; nothing else. */
#ifndef WORKER_URL_H
#define WORKER_URL_H

#include "worker/base/check.h"
#include "worker/base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* 0, or -1 and what was expected. The message does not repeat the text, which may hold a password.
 */
int url_check(const char *text, struct err *err) MUST_CHECK;

/* True when the host of a checked URL is this machine by its loopback interface. */
bool url_is_loopback(const char *url);

/* Bytes of "https://host:port" at the start of a checked URL. */
size_t url_origin_size(const char *url);

#endif
