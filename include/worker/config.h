/* The configuration of one worker: a typed field for each row of options.h, and Kafka's properties.
 *
 * It comes from a YAML file, then from environment variables, which win. It is read once, at the
 * start. */
#ifndef WORKER_CONFIG_H
#define WORKER_CONFIG_H

#include "worker/base/check.h"
#include "worker/base/instant.h"
#include "worker/config/problems.h"
#include "worker/io/kafka.h"
#include "worker/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text that must never be printed: a type of its own, so that no format takes it by accident. */
struct config_secret {
	char *text; /* Owned; wiped before it is freed */
	char *file; /* Owned; where it was read and may have changed. NULL: it does not change */
};

/* The words of `delivery`, in their order. */
enum config_delivery_value { CONFIG_EXACTLY_ONCE, CONFIG_AT_LEAST_ONCE };

/* The words of `login.credential`, in their order. AUTO only while the configuration is read. */
enum config_credential {
	CONFIG_AUTO,
	CONFIG_CLIENT_SECRET,
	CONFIG_CERTIFICATE,
	CONFIG_FEDERATED_TOKEN,
	CONFIG_MANAGED_IDENTITY
};

/* A list of texts, all owned. */
struct config_names {
	char **list;
	size_t count;
};

/* The C type of each option type. Texts are owned by the configuration, and NULL when empty. */
#define CONFIG_TYPE_TEXT     char *
#define CONFIG_TYPE_NAME     char *
#define CONFIG_TYPE_FILE     char *
#define CONFIG_TYPE_ADDRESS  char *
#define CONFIG_TYPE_URL      char * /* Without a final slash */
#define CONFIG_TYPE_BOOL     bool
#define CONFIG_TYPE_COUNT    uint32_t
#define CONFIG_TYPE_DURATION duration_t
#define CONFIG_TYPE_RATE     double /* Per second */
#define CONFIG_TYPE_CHOICE                                                                         \
	unsigned /* Position in the list of words, as in the enums of log.h, policy.h and above */
#define CONFIG_TYPE_NAMES  struct config_names
#define CONFIG_TYPE_SECRET struct config_secret

struct config {
#define OPTION(section, name, type, need, initial, least, most, text) CONFIG_TYPE_##type name;
#define SECTION(section, text)                                                                     \
	struct config_##section {                                                                  \
		OPTIONS_##section(OPTION)                                                          \
	} section;
	OPTIONS_SECTIONS(SECTION)
#undef SECTION
#undef OPTION
	struct config_names tenants;       /* All of them: login.tenant_id first, then the others */
	struct kafka_properties kafka;     /* What the user gives to librdkafka */
	struct kafka_property *kafka_list; /* Private: memory of 'kafka' */
	struct config_names kafka_texts;   /* Private: its names and values; they may be secrets */
};

/* Read the file at 'path' and the variables in 'environ', and check all of it: contacts nothing,
 * but reads the files that secrets are in. Every mistake and warning goes to 'problems'. Returns 0
 * and '*ret', or -1 when there was a mistake. */
int config_load(const char *path, char *const environ[], struct config **ret,
                struct problems *problems) MUST_CHECK;

/* Wipe the secrets and release everything. NULL is allowed. */
void config_free(struct config *config);

#endif
