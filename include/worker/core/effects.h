/* What the engine wants done, as data. Filled by engine_step(), performed by the shell afterwards.
 *
 * Everything here belongs to the engine and stays valid until its next step. */
#ifndef WORKER_CORE_EFFECTS_H
#define WORKER_CORE_EFFECTS_H

#include "worker/base/buffer.h"
#include "worker/base/instant.h"
#include "worker/base/random.h"
#include "worker/core/identity.h"
#include "worker/core/map.h"
#include "worker/core/record.h"

/* Send this invite request now. */
struct effect_post {
	uint64_t invite_id;
	uint32_t tenant;      /* Index in policy.tenants: whose token it needs */
	struct bytes call_id; /* Borrowed from the call */
	struct buffer body;
	char client_request_id[RANDOM_UUID_SIZE];
	wall_t expires_at; /* It must not leave at or after this; INT64_MAX: any time */
};

enum write_kind { WRITE_REPLY, WRITE_DEAD_LETTER };

/* Write this record; answered by EVENT_WRITTEN with its id. */
struct effect_write {
	uint64_t write_id;
	uint64_t with_id; /* The command's other record: both in one transaction; or SLOTS_NONE */
	enum write_kind kind;
	const char *topic;
	bool has_key;
	struct bytes key;
	struct bytes value; /* In 'text', or borrowed from the record that came with the event */
	struct record_header *headers;
	size_t n_headers;
	size_t headers_capacity;
	struct buffer text; /* Owned */
};

/* Wake the call, or the application in a tenant, at 'at'; INSTANT_NEVER clears its timer. It may be
 * what its timer is set to already. */
struct effect_alarm {
	uint64_t id;
	instant_t at;
};

/* Stop or restart fetching a partition. */
struct effect_fetch {
	int32_t partition;
	bool paused;
};

enum look_kind {
	LOOK_OPERATIONS,
	LOOK_ROSTER,
	LOOK_OPERATION /* One of them: only poll.h asks for that */
};

/* Ask Graph what it knows of a call; answered by EVENT_EVIDENCE. */
struct effect_look {
	uint64_t look_id;
	enum look_kind kind;
	uint32_t tenant;
	struct bytes call_id;      /* Borrowed from the call */
	struct bytes operation_id; /* LOOK_OPERATION */
};

/* Graph has accepted an operation: whoever wants to know how it ends may ask for it. */
struct effect_follow {
	uint32_t tenant;
	char call_id[IDENTITY_CALL_ID_MAX + 1];
	struct bytes json; /* The operation object of the reply */
};

/* An invite asks for leave to be sent; answered by EVENT_MARKED. */
struct effect_mark {
	uint64_t invite_id;
	int32_t partition;
};

/* The map of a partition could not be used: a person should look at it. */
struct effect_alert {
	int32_t partition;
	int64_t offset;
	enum map_problem problem;
};

/* Graph's health in the tenant has changed, or what it thinks of the application: a person may
 * want to know. */
enum notice_kind {
	NOTICE_ILL,     /* Nothing is sent for 'time' */
	NOTICE_PROBE,   /* One request may go */
	NOTICE_WELL,    /* After 'time' */
	NOTICE_REFUSED, /* The application may do nothing until a person mends that */
	NOTICE_ALLOWED  /* It may again, after 'time' */
};

struct effect_notice {
	enum notice_kind kind;
	uint32_t tenant;
	duration_t time;
	int http_status;        /* REFUSED, as the next two */
	const char *graph_code; /* Graph's; valid until the next step */
	const char *advice;     /* What to do about it */
};

struct effects {
	struct effect_mark *marks;
	size_t n_marks, marks_capacity;
	struct effect_post **posts;
	size_t n_posts, posts_capacity;
	struct effect_write **writes;
	size_t n_writes, writes_capacity;
	struct effect_alarm *alarms;
	size_t n_alarms, alarms_capacity;
	int32_t *touches; /* Partitions whose map should be committed */
	size_t n_touches, touches_capacity;
	struct effect_look *looks;
	size_t n_looks, looks_capacity;
	struct effect_follow *follows; /* None unless policy.follow_operations */
	size_t n_follows, follows_capacity;
	struct effect_alert *alerts;
	size_t n_alerts, alerts_capacity;
	struct effect_notice *notices;
	size_t n_notices, notices_capacity;
	struct effect_fetch *fetches;
	size_t n_fetches, fetches_capacity;
	int32_t *quiet; /* Partitions that were to be revoked and have nothing going on any more */
	size_t n_quiet, quiet_capacity;
	struct buffer trace; /* Every decision as a line; empty unless policy.trace */
	bool out_of_memory;  /* The engine is lost: stop without committing anything more */
};

void effects_init(struct effects *f);
void effects_close(struct effects *f);

/* Forget what the last step wanted; keep the memory. */
void effects_clear(struct effects *f);

/* Each adds one effect and sets out_of_memory when it cannot. The two that return an object give it
 * empty, or NULL. */
void effects_mark(struct effects *f, uint64_t invite_id, int32_t partition);
void effects_look(struct effects *f, const struct effect_look *look);
void effects_follow(struct effects *f, const struct effect_follow *follow);
void effects_alert(struct effects *f, const struct effect_alert *alert);
void effects_notice(struct effects *f, const struct effect_notice *notice);
struct effect_post *effects_post(struct effects *f);
struct effect_write *effects_write(struct effects *f);
void effects_alarm(struct effects *f, uint64_t id, instant_t at);
void effects_touch(struct effects *f, int32_t partition);
void effects_fetch(struct effects *f, int32_t partition, bool paused);
void effects_quiet(struct effects *f, int32_t partition);

/* Add a header to a record that is written; name and value are borrowed. */
void effects_header(struct effects *f, struct effect_write *write, struct bytes name,
                    struct bytes value, bool is_null);

#endif
