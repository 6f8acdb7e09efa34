/* How an application shows who it is: by a secret, by an assertion that it has signed, by one of
 * somebody else, or by being on the machine. */
#ifndef SIMULATOR_CREDENTIALS_H
#define SIMULATOR_CREDENTIALS_H

#include "simulator/exchange.h"
#include "worker/base/err.h"

/* Room for a field of a form, and for each text below. */
#define FIELD_SIZE 4096

/* What is good; empty: anything. */
struct credentials {
	char client_secret[FIELD_SIZE];
	char federated_token[FIELD_SIZE];
	char thumbprint[FIELD_SIZE]; /* Of the certificate: what x5t#S256 or x5t must be */
};

/* Change what 'object' names; null: anything is good. */
int credentials_read(struct credentials *credentials, const json_t *object,
                     struct err *err) MUST_CHECK;

/* The value of a field of a form or a query. False if it is not there, empty, or too long. */
bool credentials_field(struct bytes form, const char *name, char text[static FIELD_SIZE]);

/* Check what a form for the token endpoint carries; false, with an answer, when it is not good. */
bool credentials_check(struct exchange *exchange);

/* The same for a request for a managed identity. */
bool credentials_check_identity(struct exchange *exchange);

#endif
