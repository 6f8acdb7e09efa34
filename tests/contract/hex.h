/* Bytes as text, for lines of JSON that carry any bytes. */
#ifndef TESTS_CONTRACT_HEX_H
#define TESTS_CONTRACT_HEX_H

#include "worker/base/buffer.h"

#include <jansson.h>

/* The bytes as a JSON string of hexadecimal digits. */
json_t *hex_encode(struct bytes bytes);

/* Append the bytes that a JSON string stands for. Anything else is a bug of the caller's. */
void hex_decode(const json_t *hex, struct buffer *ret);

#endif
