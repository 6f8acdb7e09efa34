/* One request and its answer, from the request line to the last byte. */
#ifndef SIMULATOR_EXCHANGE_H
#define SIMULATOR_EXCHANGE_H

#include "worker/base/buffer.h"
#include "worker/base/bytes.h"
#include "worker/base/instant.h"
#include "worker/base/random.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

struct call;
struct rule;
struct simulator;

/* What a path stands for. */
enum route {
	ROUTE_OTHER,
	ROUTE_TOKEN,
	ROUTE_INVITE,
	ROUTE_OPERATIONS,
	ROUTE_OPERATION,
	ROUTE_PARTICIPANTS,
	ROUTE_CONTROL,
	ROUTE_COUNT
};

const char *route_name(enum route route);

/* False for a name that is none. */
bool route_parse(const char *name, enum route *ret);

enum exchange_stage {
	EXCHANGE_HEADERS, /* The request line is there */
	EXCHANGE_BODY,    /* The headers are there */
	EXCHANGE_DELAYED, /* The answer is ready and waits */
	EXCHANGE_ANSWERED /* The answer is on its way */
};

/* How the answer ended. */
enum exchange_end { END_LOST, END_SENT, END_RESET, END_CUT };

/* What one participant of an invite is, for rules and journal. Texts are borrowed from the parsed
 * body. */
struct invited {
	const char *kind; /* plain, phone, replace or move */
	const char *type; /* Member of the identity set, for example user; NULL: none found */
	const char *id;   /* NULL: none found */
};

#define EXCHANGE_MAX_INVITED 100

struct answer {
	int status;               /* 0: none yet */
	const char *content_type; /* Borrowed */
	struct buffer body;
	struct buffer location; /* Empty: no such header */
	char retry_after[64];   /* Empty: no such header */
	bool challenge;         /* WWW-Authenticate: Bearer */
	char request_id[RANDOM_UUID_SIZE];
};

/* Room for the id of a client, and of a tenant; a longer one is cut. */
#define TOKEN_CLIENT_SIZE 64
#define TOKEN_TENANT_SIZE 64

struct exchange {
	struct simulator *simulator;       /* Borrowed */
	struct MHD_Connection *connection; /* Borrowed */
	enum exchange_stage stage;
	struct exchange *prev, *next; /* In the list of those that wait */
	instant_t due;                /* It waits until then */
	bool aborted;                 /* The simulator ends: answer nothing */
	bool drip_due;                /* The next piece may be sent */

	uint64_t sequence;
	uint64_t connection_number;
	bool tls;
	instant_t arrived;
	wall_t arrived_wall;
	const char *method;            /* Borrowed from libmicrohttpd */
	const char *version;           /* Borrowed from libmicrohttpd */
	const char *client_request_id; /* Borrowed from libmicrohttpd, or NULL */
	char *path;                    /* As on the wire, with its query; owned */
	enum route route;
	struct bytes call_id, operation_id; /* Parts of 'path' */
	struct bytes tenant; /* Part of 'path', or that of its token; empty when it has none */
	struct buffer body;
	bool bearer_ok;
	bool route_is_identity;               /* Of ROUTE_TOKEN: that of managed identities */
	const char *credential;               /* How a client has shown who it is, or NULL */
	char *assertion;                      /* What it has shown, if it was that; owned */
	char client[TOKEN_CLIENT_SIZE];       /* To whom its token was given, or empty … */
	char token_tenant[TOKEN_TENANT_SIZE]; /* … and in which tenant */

	json_t *json;               /* The body, when it is JSON; owned */
	const char *client_context; /* Borrowed from 'json' */
	struct invited *invited;    /* Owned */
	size_t n_invited;
	struct call *call; /* Of an invite, counted in its in_flight */
	bool overlap;
	struct rule *rule; /* Reference */
	bool effect;
	char operation[RANDOM_UUID_SIZE]; /* Made by it, or empty */
	struct answer answer;
	enum exchange_end end;
	bool concluded;
};

/* Longest body that is read; more is answered with 413. */
#define EXCHANGE_MAX_BODY (1u << 20)

/* A new exchange for a request line that just came. 'path' is copied. NULL without memory. */
struct exchange *exchange_new(struct simulator *simulator, struct MHD_Connection *connection,
                              const char *path) MUST_CHECK;

/* The headers are there. */
void exchange_begin(struct exchange *exchange, const char *method, const char *version);

/* The whole body is there: let it take effect and prepare the answer. */
void exchange_handle(struct exchange *exchange);

/* Nothing that matters can follow: write it down, and count it as in flight no more. Once; later
 * calls do nothing. */
void exchange_conclude(struct exchange *exchange, enum exchange_end end);

/* It is over: conclude it and release it. */
void exchange_end(struct exchange *exchange, enum exchange_end end);

/* The value of a request header, borrowed, or NULL. */
const char *exchange_header(const struct exchange *exchange, const char *name);

#endif
