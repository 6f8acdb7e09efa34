/* Answers as Graph and Entra word them. */
#ifndef SIMULATOR_ANSWERS_H
#define SIMULATOR_ANSWERS_H

#include "simulator/exchange.h"
#include "simulator/rules.h"

/* A refusal of Graph. 'code' and 'message' may be NULL: then they are what goes with the status. */
void answers_refuse(struct exchange *exchange, int status, const char *code, const char *message);

/* A refusal of the token endpoint with the number of Entra's own code. */
void answers_refuse_token(struct exchange *exchange, int status, const char *error, int number,
                          const char *message);

/* Answer with the status of the exchange's rule. A success keeps the body that is there, if any. */
void answers_by_rule(struct exchange *exchange);

/* What the rule changes in any answer: body, type, Retry-After, Location. */
void answers_adorn(struct exchange *exchange);

/* Answer with a JSON value, whose reference is taken. */
void answers_json(struct exchange *exchange, int status, json_t *value);

#endif
