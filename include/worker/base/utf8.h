/* Which bytes are UTF-8. */
#ifndef WORKER_BASE_UTF8_H
#define WORKER_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed sequence (RFC 3629) at 'p', or 0 when there is none in 'left' bytes. */
size_t utf8_length(const char *p, size_t left);

/* Write a code point (not a surrogate, at most U+10FFFF); its length. */
size_t utf8_encode(unsigned code, char out[static 4]);

#endif
