/* Rules say which requests are treated badly, and how. The first rule that matches a request is the
 * one.
 *
 * Rules are given as JSON, see README.md. A rule stays in memory while an exchange that it applies
 * to lasts. */
#ifndef SIMULATOR_RULES_H
#define SIMULATOR_RULES_H

#include "simulator/exchange.h"
#include "worker/base/err.h"
#include "worker/base/random.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum rule_reset { RESET_NONE, RESET_BEFORE, RESET_AFTER };

/* How Graph spells an error. */
enum rule_form {
	FORM_INNER_ERROR, /* innerError */
	FORM_INNERERROR,  /* innererror, as in the table of the documentation */
	FORM_WRAPPED,     /* UnknownError, with the true code in a JSON text within the message */
	FORM_BARE         /* Neither */
};

struct rule {
	/* Which requests. */
	char *name;                 /* For the journal */
	char *on;                   /* A route's name, or "any"; "invite" when NULL */
	char *tenant;               /* Of the request's token, or that it asks for one of */
	char *call;                 /* Call id */
	char *call_prefix;          /* What the call id begins with */
	char *identity;             /* Id of any of the participants */
	int64_t participants_above; /* Only requests with more than so many; -1: all */
	int64_t nth;                /* Only the n-th request that fits the above, from 1; 0: each */
	int64_t skip;               /* So many of them pass first */
	int64_t count;              /* Applies to so many at most; -1: no end */
	double probability;         /* Of applying, drawn for each */
	int64_t seed;               /* For that draw and the jitter */

	/* What becomes of them. */
	int64_t status; /* 0: as without the rule */
	bool effect;    /* The invite takes effect although 'status' says otherwise */
	char *code; /* Graph's, or Entra's on the token endpoint; NULL: what goes with the status */
	char *message;
	char *form;                 /* innerError, innererror, wrapped or bare */
	char *retry_after;          /* Value of the header as it is to be sent */
	int64_t retry_after_date_s; /* Retry-After as a date so far away; -1: none */
	char *body;                 /* Instead of the body; may be empty */
	char *content_type;
	char *reset; /* before or after the effect: the connection is reset, nothing is answered */
	int64_t delay_ms;
	int64_t jitter_ms;  /* Up to so much more */
	int64_t drip_bytes; /* The body comes in pieces of so many bytes; 0: at once */
	int64_t drip_ms;    /* Time between pieces */
	int64_t cut_at; /* The connection is closed after so many bytes of the body; -1: never */
	int64_t huge_bytes; /* So many blanks stand before the body */
	bool chunked;       /* No Content-Length */
	bool location;      /* False: no Location header */

	/* Made from the above. */
	enum route route;
	bool any_route;
	enum rule_form error_form;
	enum rule_reset reset_when;

	struct random random;
	int64_t fitting; /* Requests that fit the first conditions */
	int64_t applied;
	unsigned references;
	struct rule *prev, *next;
};

struct rules {
	struct rule *first;
};

void rules_init(struct rules *rules);
void rules_close(struct rules *rules);
void rules_clear(struct rules *rules);

/* Add the rules of a JSON array, or of the member "rules" of an object, behind those that are
 * there. All or none. */
int rules_add(struct rules *rules, const json_t *list, struct err *err) MUST_CHECK;

/* All rules and how often they applied. A new reference. */
json_t *rules_write(const struct rules *rules) MUST_CHECK;

/* The rule for this request, with a reference that rule_release() takes back, or NULL. */
struct rule *rules_match(struct rules *rules, const struct exchange *exchange);

void rule_release(struct rule *rule);

#endif
