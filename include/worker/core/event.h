/* What happened, as data: the only way in which the world reaches the engine. */
#ifndef WORKER_CORE_EVENT_H
#define WORKER_CORE_EVENT_H

#include "worker/base/instant.h"
#include "worker/core/answer.h"
#include "worker/core/record.h"

enum event_type {
	EVENT_ASSIGN,    /* These partitions are ours from now on */
	EVENT_REVOKE,    /* A partition will be taken: start nothing new, say when it is quiet */
	EVENT_FORGET,    /* A partition is not ours any more: drop all of it */
	EVENT_RECORD,    /* A record of a partition that is ours */
	EVENT_POSITION,  /* Nothing below this offset will come any more */
	EVENT_MARKED,    /* An invite may be sent */
	EVENT_ANSWER,    /* What came back for an invite */
	EVENT_EVIDENCE,  /* What came back for a look */
	EVENT_STAGED,    /* These writes are in the transaction that is about to be committed */
	EVENT_UNSTAGED,  /* That transaction was not committed */
	EVENT_WRITTEN,   /* A reply or dead letter is stored, or refused for good */
	EVENT_SIGNED_IN, /* There is an access token, after an ANSWER_NO_TOKEN */
	EVENT_ALARM,     /* A timer that an effect_alarm armed */
	EVENT_DRAIN      /* As EVENT_REVOKE for all partitions */
};

/* A partition that is ours now, and what its last owner committed. */
struct event_offer {
	int32_t partition;
	int64_t offset;   /* -1: nobody has committed anything */
	struct bytes map; /* See map.h */
};

struct event {
	enum event_type type;
	instant_t now; /* Never earlier than that of the event before */
	wall_t wall;   /* The same moment as a date */
	union {
		struct {
			const struct event_offer *offers;
			size_t n;
			uint32_t owned; /* Partitions that are ours now, these included */
			uint32_t total; /* Partitions of the topic */
		} assign;
		int32_t partition; /* REVOKE, FORGET */
		uint32_t tenant;   /* SIGNED_IN: index in policy.tenants */
		const struct record *record;
		struct {
			int32_t partition;
			int64_t offset;
		} position;
		uint64_t invite_id; /* MARKED */
		struct {
			uint64_t invite_id;
			const struct answer *answer;
		} answer;
		struct {
			uint64_t look_id;
			const struct answer *answer;
		} evidence;
		struct {
			const uint64_t *write_ids;
			size_t n;
		} staged;
		struct {
			uint64_t write_id;
			const char *error; /* NULL: stored */
		} written;
		uint64_t alarm_id;
	};
};

#endif
