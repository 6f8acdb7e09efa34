/* Defaults of the policy; the same as the configuration's, which a test compares. */
#include "worker/core/policy.h"

static const char *const no_tenant[] = { "" };

struct policy policy_default(void)
{
	return (struct policy){
		.reply_topic = "invite-replies",
		.dead_letter_topic = "invite-dead-letters",
		.tenants = { no_tenant, 1 },
		.graph_url = "https://graph.microsoft.com/v1.0",
		.require_key = true,
		.max_age = duration_ms(3600 * 1000),
		.batch_window = duration_ms(20),
		.batch_max = BATCH_MAX,
		.phones_alone = true,
		.call_rate = 5,
		.call_burst = 5,
		.application_rate = 3000,
		.application_burst = 5000,
		.share_delay = duration_ms(10 * 1000),
		.max_in_flight = 256,
		.min_in_flight = 8,
		.breaker_row = 10,
		.breaker_cap = duration_ms(15 * 1000),
		.release_per_step = 64,
		.retry_base = duration_ms(1000),
		.retry_cap = duration_ms(60 * 1000),
		.max_hold = duration_ms(300 * 1000),
		.max_attempts = 20,
		.exactly_once = true,
		.look_at_operations = true,
		.look_at_roster = true,
		.on_bad_map = BAD_MAP_STOP,
		.history = 1000,
		.settle = duration_ms(20 * 1000),
		.call_over_memory = duration_ms(60 * 1000),
		.verdicts = 10000,
		.call_grace = duration_ms(2000),
		.commands_per_partition = 2000,
		.offsets_per_partition = 8000,
		.seed = 1,
	};
}
