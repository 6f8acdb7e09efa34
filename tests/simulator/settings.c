/* The settings of the simulated service. */
#include "simulator/settings.h"

#include "simulator/fields.h"

#define HOUR_MS INT64_C(3600000)
#define SETTING(name, type, min, max)                                                              \
	{                                                                                          \
#name, type, offsetof(struct settings, name), min, max                             \
	}

static const struct field fields[] = {
	SETTING(latency_ms, FIELD_INT, 0, HOUR_MS),
	SETTING(jitter_ms, FIELD_INT, 0, HOUR_MS),
	SETTING(token_lifetime_s, FIELD_INT, 0, 86400),
	SETTING(roster_delay_ms, FIELD_INT, 0, HOUR_MS),
	SETTING(complete_after_ms, FIELD_INT, -1, HOUR_MS),
	SETTING(roster_empty, FIELD_BOOL, 0, 0),
	SETTING(operations_gone, FIELD_BOOL, 0, 0),
	SETTING(operations_fail, FIELD_BOOL, 0, 0),
	SETTING(location, FIELD_BOOL, 0, 0),
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.token_lifetime_s = 3599,
		.complete_after_ms = -1,
		.location = true,
	};
}

int settings_read(struct settings *settings, const json_t *object, struct err *err)
{
	struct settings changed = *settings;

	if (fields_read(fields, N_FIELDS, object, &changed, err) < 0)
		return -1;
	*settings = changed;
	return 0;
}

json_t *settings_write(const struct settings *settings)
{
	return fields_write(fields, N_FIELDS, settings);
}
