/* Client assertions: the signed claims by which an application shows that it has the private key of
 * a certificate (RFC 7523 section 2.2), as Microsoft Entra wants them. */
#ifndef WORKER_IO_ASSERTION_H
#define WORKER_IO_ASSERTION_H

#include "worker/base/buffer.h"
#include "worker/base/check.h"
#include "worker/base/err.h"
#include "worker/base/instant.h"

/* PS256 names the certificate by its SHA-256 (x5t#S256), RS256 by its SHA-1 (x5t). */
enum assertion_algorithm { ASSERTION_PS256, ASSERTION_RS256 };

/* How long an assertion is good. */
#define ASSERTION_LIFETIME ((duration_t){ 600 * INT64_C(1000000) })

/* A certificate and its private key. */
struct assertion_key;

/* Both in PEM: the first certificate of 'certificate', and the private key of 'key', which may be
 * the same text. NULL when one is missing, the key is encrypted or no RSA key of at least 2048
 * bits, or they do not belong together; 'err' then says so. */
struct assertion_key *assertion_key_new(const char *certificate, const char *key,
                                        struct err *err) MUST_CHECK;

/* NULL is allowed. */
void assertion_key_free(struct assertion_key *key);

/* When the certificate begins and ceases to be valid. */
wall_t assertion_key_begins(const struct assertion_key *key);
wall_t assertion_key_ends(const struct assertion_key *key);

/* The SHA-256 of the certificate as base64url: how the service names it. */
const char *assertion_key_thumbprint(const struct assertion_key *key);

struct assertion_claims {
	const char *audience; /* URL of the token endpoint */
	const char *client_id;
	const char *id; /* Its own, never used before */
	wall_t now;
};

/* Append the assertion, in the compact form of RFC 7515. */
int assertion_write(const struct assertion_key *key, enum assertion_algorithm algorithm,
                    const struct assertion_claims *claims, struct buffer *out,
                    struct err *err) MUST_CHECK;

#endif
