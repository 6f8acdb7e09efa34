/* The rules, one function each: see checker.h. */
#include "simulation/checker.h"

#include <stdarg.h>
#include <stdio.h>

/* A wake-up may be credited so late. */
#define SLACK_US 6000

/* A request that was held up after it had its token. */
#define HELD_UP 1

const char *rule_text(enum rule rule)
{
	static const char *const texts[RULE_COUNT] = {
#define RULE(name, text) text,
		RULE_TABLE(RULE)
#undef RULE
	};

	return texts[rule];
}

static void find(struct verdict *v, enum rule rule, const char *format, ...) PRINTF_LIKE(3, 4);

static void find(struct verdict *v, enum rule rule, const char *format, ...)
{
	struct finding *f;
	va_list args;

	if (v->n++ >= CHECKER_FINDINGS)
		return;
	f = &v->findings[v->n - 1];
	f->rule = rule;
	va_start(args, format);
	vsnprintf(f->what, sizeof(f->what), format, args);
	va_end(args);
}

static bool is_reply_to(const struct told_reply *reply, const struct told_command *command)
{
	return reply->partition == command->partition && reply->offset == command->offset;
}

static const struct told_reply *reply_to(const struct chronicle *c,
                                         const struct told_command *command)
{
	for (size_t i = 0; i < c->n_replies; i++)
		if (is_reply_to(&c->replies[i], command))
			return &c->replies[i];
	return NULL;
}

static bool carries(const struct told_send *send, unsigned identity)
{
	for (unsigned i = 0; i < send->n; i++)
		if (send->identities[i] == identity)
			return true;
	return false;
}

static unsigned count_effects(const struct chronicle *c, unsigned identity)
{
	unsigned n = 0;

	for (size_t i = 0; i < c->n_sends; i++)
		n += c->sends[i].had_effect && carries(&c->sends[i], identity);
	return n;
}

static void judge_replies(const struct chronicle *c, struct verdict *v)
{
	for (size_t i = 0; i < c->n_commands; i++) {
		const struct told_command *command = &c->commands[i];
		unsigned n = 0;

		for (size_t k = 0; k < c->n_replies; k++)
			n += is_reply_to(&c->replies[k], command);
		if (n == 0) {
			find(v, RULE_STUCK, "p%d@%lld", command->partition,
			     (long long)command->offset);
			v->n_missing++;
		} else if (n > 1) {
			find(v, RULE_ONE_REPLY, "p%d@%lld: %u replies", command->partition,
			     (long long)command->offset, n);
			v->n_double_replies += n - 1;
		}
	}
	if (c->is_stuck && v->n == 0)
		find(v, RULE_STUCK, "the history did not end");
}

/* Whoever allows it may be sent again for each time that the outcome was unknown, after the settle
 * time. */
static void judge_resends(const struct chronicle *c, const struct told_command *command,
                          unsigned identity, struct verdict *v)
{
	const struct told_send *last = NULL;

	for (size_t i = 0; i < c->n_sends; i++) {
		const struct told_send *send = &c->sends[i];

		if (!send->had_effect || !carries(send, identity))
			continue;
		if (last && send->at_us - last->at_us < SETTLE_US) {
			find(v, RULE_ONE_EFFECT, "p%d@%lld: u%u again after %lld ms",
			     command->partition, (long long)command->offset, identity,
			     (long long)(send->at_us - last->at_us) / 1000);
			v->n_double_effects++;
		}
		last = send;
	}
}

static void judge_effects(const struct chronicle *c, struct verdict *v)
{
	for (size_t i = 0; i < c->n_commands; i++) {
		const struct told_command *command = &c->commands[i];
		for (unsigned k = 0; command->twin < 0 && k < command->n; k++) {
			unsigned n = count_effects(c, command->first_identity + k);

			if (command->resends)
				judge_resends(c, command, command->first_identity + k, v);
			if (command->resends || n <= 1)
				continue;
			find(v, RULE_ONE_EFFECT, "p%d@%lld: u%u %u times", command->partition,
			     (long long)command->offset, command->first_identity + k, n);
			v->n_double_effects += n - 1;
		}
	}
}

static bool has_fault(const struct chronicle *c, int64_t from_us, int64_t until_us)
{
	for (size_t i = 0; i < c->n_faults; i++)
		if (c->faults[i].from_us <= until_us && c->faults[i].until_us >= from_us)
			return true;
	return false;
}

static void judge_status(const struct chronicle *c, const struct told_command *command,
                         const struct told_reply *reply, unsigned index, struct verdict *v)
{
	unsigned identity = command->first_identity + index;
	enum status status = reply->statuses[index];
	unsigned effects = count_effects(c, identity);

	if (status == STATUS_ACCEPTED || status == STATUS_RECONCILED) {
		v->n_without_location += status == STATUS_RECONCILED && reply->by_roster;
		if (effects == 0)
			find(v, RULE_ACCEPTED, "p%d@%lld: u%u is %s", command->partition,
			     (long long)command->offset, identity, status_text(status));
	} else if (status == STATUS_UNKNOWN) {
		v->n_unknown++;
		if (!has_fault(c, command->at_us, reply->at_us)) {
			find(v, RULE_UNKNOWN, "p%d@%lld: u%u", command->partition,
			     (long long)command->offset, identity);
			v->n_unjustified++;
		}
	} else if (effects > 0) {
		find(v, RULE_NO_EFFECT, "p%d@%lld: u%u is %s", command->partition,
		     (long long)command->offset, identity, status_text(status));
	}
}

static bool has_canceled(const struct told_reply *reply)
{
	for (unsigned i = 0; i < reply->n; i++)
		if (reply->statuses[i] == STATUS_CANCELED)
			return true;
	return false;
}

/* What it says it has withdrawn was withdrawn, and was replied to before. */
static void judge_cancel(const struct chronicle *c, const struct told_command *cancel,
                         const struct told_reply *reply, struct verdict *v)
{
	const struct told_reply *target = reply_to(c, &c->commands[cancel->cancels]);
	bool has_effect = reply->status == STATUS_CANCELED;

	v->n_canceled += has_effect;
	if (reply->n > 0 || (!has_effect && reply->status != STATUS_FAILED) ||
	    (has_effect && (!target || !has_canceled(target) || target->at_us > reply->at_us)))
		find(v, RULE_CANCEL, "p%d@%lld is %s", cancel->partition, (long long)cancel->offset,
		     status_text(reply->status));
}

static bool has_cancel(const struct chronicle *c, const struct told_command *command)
{
	for (size_t i = 0; i < c->n_commands; i++)
		if (c->commands[i].twin < 0 && c->commands[i].cancels >= 0 &&
		    &c->commands[c->commands[i].cancels] == command)
			return true;
	return false;
}

static void judge_statuses(const struct chronicle *c, struct verdict *v)
{
	for (size_t i = 0; i < c->n_commands; i++) {
		const struct told_command *command = &c->commands[i];
		const struct told_reply *reply = reply_to(c, command);
		enum status repeated = command->is_altered ? STATUS_REJECTED : STATUS_DUPLICATE;

		if (!reply)
			continue;
		if (command->twin >= 0) {
			if (reply->status != repeated)
				find(v, RULE_DUPLICATE, "p%d@%lld is %s", command->partition,
				     (long long)command->offset, status_text(reply->status));
			continue;
		}
		if (command->cancels >= 0)
			judge_cancel(c, command, reply, v);
		else if (has_canceled(reply) && !has_cancel(c, command))
			find(v, RULE_CANCEL, "p%d@%lld: nobody asked for it", command->partition,
			     (long long)command->offset);
		for (unsigned k = 0; k < command->n && k < reply->n; k++)
			judge_status(c, command, reply, k, v);
	}
}

static const struct told_command *command_of(const struct chronicle *c, unsigned identity)
{
	for (size_t i = 0; i < c->n_commands; i++)
		if (c->commands[i].twin < 0 && identity >= c->commands[i].first_identity &&
		    identity < c->commands[i].first_identity + c->commands[i].n)
			return &c->commands[i];
	return NULL;
}

/* Who may look nowhere for evidence waits for nothing, and is free to say so. */
static bool is_unknown_at_once(const struct chronicle *c, const struct told_command *command,
                               const struct told_reply *reply, unsigned identity)
{
	const struct policy *p = &c->plan->policy;

	return !p->look_at_operations && !p->look_at_roster &&
	       reply->statuses[identity - command->first_identity] == STATUS_UNKNOWN;
}

/* Effects that come too late, for their reply or for the next request. */
static void judge_send(const struct chronicle *c, size_t index, struct verdict *v)
{
	const struct told_send *send = &c->sends[index];

	if (!send->was_owner) {
		find(v, RULE_OWNER, "w%u at %lld ms", send->worker, (long long)send->at_us / 1000);
		v->n_late++;
	}
	for (unsigned i = 0; send->had_effect && i < send->n; i++) {
		const struct told_command *command = command_of(c, send->identities[i]);
		const struct told_reply *reply = command ? reply_to(c, command) : NULL;

		if (reply && reply->at_us < send->effect_us &&
		    !is_unknown_at_once(c, command, reply, send->identities[i]))
			find(v, RULE_AFTER_REPLY, "u%u of p%d@%lld", send->identities[i],
			     command->partition, (long long)command->offset);
		for (size_t k = index + 1; k < c->n_sends; k++)
			if (carries(&c->sends[k], send->identities[i]) &&
			    c->sends[k].at_us < send->effect_us)
				find(v, RULE_OVERTAKEN, "u%u", send->identities[i]);
	}
}

static void judge_commits(const struct chronicle *c, struct verdict *v)
{
	for (size_t i = 0; i < c->n_commits; i++) {
		const struct told_commit *commit = &c->commits[i];

		for (size_t k = 0; k < c->n_commands; k++) {
			const struct told_command *command = &c->commands[k];
			const struct told_reply *reply = reply_to(c, command);

			if (command->partition == commit->partition &&
			    command->offset < commit->offset &&
			    (!reply || reply->at_us > commit->at_us))
				find(v, RULE_FRONTIER, "p%d stands at %lld", commit->partition,
				     (long long)commit->offset);
		}
	}
}

/* When a part of the command first left a worker, or first left it to have an effect; -1: never. */
static int64_t first_send(const struct chronicle *c, const struct told_command *command,
                          bool with_effect)
{
	for (size_t i = 0; i < c->n_sends; i++)
		for (unsigned k = 0; k < command->n; k++)
			if (c->sends[i].had_effect >= with_effect &&
			    carries(&c->sends[i], command->first_identity + k))
				return c->sends[i].at_us;
	return -1;
}

/* Nothing takes effect before all that stood before it was sent. What is refused or given up, and
 * was not replied to before a crash, may be sent once more at any time. */
static void judge_order(const struct chronicle *c, struct verdict *v)
{
	int64_t latest[PLAN_CALLS];

	for (unsigned i = 0; i < PLAN_CALLS; i++)
		latest[i] = -1;
	for (size_t i = 0; i < c->n_commands; i++) {
		const struct told_command *command = &c->commands[i];
		int64_t sent_us, effect_us;

		if (command->twin >= 0 || command->is_high || command->n == 0)
			continue;
		sent_us = first_send(c, command, false);
		effect_us = first_send(c, command, true);
		if (effect_us >= 0 && effect_us < latest[command->call])
			find(v, RULE_ORDER, "p%d@%lld", command->partition,
			     (long long)command->offset);
		if (sent_us > latest[command->call])
			latest[command->call] = sent_us;
	}
}

static bool is_too_much(size_t n, int64_t span_us, double rate, double burst)
{
	return (double)n > burst + rate * (double)(span_us + SLACK_US) / 1e6 + 1e-6;
}

static void judge_call_rates(const struct chronicle *c, struct verdict *v)
{
	const struct policy *p = &c->plan->policy;

	for (size_t i = 0; i < c->n_sends; i++) {
		size_t n = 1;

		for (size_t k = i + 1; k < c->n_sends; k++) {
			n += c->sends[k].call == c->sends[i].call;
			if (c->sends[k].call != c->sends[i].call ||
			    !is_too_much(n, c->sends[k].at_us - c->sends[i].at_us, p->call_rate,
			                 p->call_burst + HELD_UP))
				continue;
			find(v, RULE_CALL_RATE, "c%u: %zu from %lld ms on", c->sends[i].call, n,
			     (long long)c->sends[i].at_us / 1000);
			return;
		}
	}
}

static void judge_application_rate(const struct chronicle *c, struct verdict *v)
{
	const struct policy *p = &c->plan->policy;

	for (size_t i = 0; i < c->n_requests; i++) {
		size_t n = 0;

		for (size_t k = i; k < c->n_requests; k++) {
			int64_t span_us = c->requests[k].taken_us - c->requests[i].taken_us;

			n += c->requests[k].was_used;
			if (!is_too_much(n, span_us, p->application_rate, p->application_burst))
				continue;
			find(v, RULE_APPLICATION_RATE, "%zu from %lld ms on", n,
			     (long long)c->requests[i].taken_us / 1000);
			return;
		}
	}
}

void checker_judge(const struct chronicle *c, struct verdict *ret)
{
	*ret = (struct verdict){ 0 };
	judge_replies(c, ret);
	judge_effects(c, ret);
	judge_statuses(c, ret);
	for (size_t i = 0; i < c->n_sends; i++)
		judge_send(c, i, ret);
	judge_commits(c, ret);
	judge_order(c, ret);
	judge_call_rates(c, ret);
	judge_application_rate(c, ret);
}
