/* How the application shows who it is when it asks for a token: one credential, which the tokens of
 * several tenants may share.
 *
 * A credential that is in files is read again at each fetch. What cannot be read, or is of no use,
 * changes nothing: the last good one stays. */
#ifndef WORKER_IO_CREDENTIAL_H
#define WORKER_IO_CREDENTIAL_H

#include "worker/base/buffer.h"
#include "worker/base/log.h"
#include "worker/io/assertion.h"
#include "worker/io/http.h"
#include "worker/io/secret.h"

enum credential_kind {
	CREDENTIAL_CLIENT_SECRET,    /* A password of the application */
	CREDENTIAL_CERTIFICATE,      /* An assertion signed by its private key */
	CREDENTIAL_FEDERATED_TOKEN,  /* A token of somebody whom Entra trusts, as Kubernetes */
	CREDENTIAL_MANAGED_IDENTITY, /* The machine's identity service asks for us */
};

/* Most bytes of a secret or token, and of a certificate with its chain and key. */
#define CREDENTIAL_TEXT_MAX 16384
#define CREDENTIAL_PEM_MAX  65536

struct credential_options {
	enum credential_kind kind;
	struct secret_source secret; /* Client secret, federated token, or certificate in PEM */
	struct secret_source key;    /* PEM of the private key; none: it is in 'secret' */
	enum assertion_algorithm algorithm; /* Of a certificate */
	const char *identity_url;           /* Of a managed identity */
};

struct credential;

/* Copies the options, borrows 'log'. NULL when they cannot be used; 'err' then says why. */
struct credential *credential_new(const struct credential_options *options, const struct log *log,
                                  struct err *err) MUST_CHECK;

/* Whether a text can be sent as a federated token, which is sent as it is read: a space or a
 * newline would spoil it. */
int credential_check_token(const char *text, struct err *err) MUST_CHECK;

/* Wipe its texts and release. No token may use it any more. NULL is allowed. */
void credential_free(struct credential *c);

/* Read the files again. The number that is returned is another one than before when what they say
 * is another one. */
uint64_t credential_refresh(struct credential *c);

/* False when it can never change. */
bool credential_is_watched(const struct credential *c);

/* True when 'text', which came from outside, contains what nobody may see. */
bool credential_is_in(const struct credential *c, const char *text);

/* What a fetch asks for. */
struct credential_ask {
	const char *endpoint;  /* URL of the tenant's token endpoint */
	const char *client_id; /* "": the identity that the system has; a managed one only */
	const char *scope;
	const char *id; /* Of the assertion, if one is made: never used before */
	wall_t now;
};

/* Write the form, or the URL, of a fetch into 'text', which is empty, and fill in method, URL,
 * headers and body of 'request', which borrow 'text' and 'ask'. */
int credential_write(const struct credential *c, const struct credential_ask *ask,
                     struct buffer *text, struct http_request *request, struct err *err) MUST_CHECK;

#endif
