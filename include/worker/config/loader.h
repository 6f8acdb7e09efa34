/* What the parts of the loader share while a configuration is being read. */
#ifndef WORKER_CONFIG_LOADER_H
#define WORKER_CONFIG_LOADER_H

#include "worker/config/node.h"
#include "worker/config/option.h"

/* How a secret, or a property of Kafka, is given. */
enum given_source { GIVEN_NOT, GIVEN_LITERAL, GIVEN_FILE, GIVEN_CREDENTIAL };

/* A value that is only fetched once the environment has had its say. */
struct given {
	enum given_source source;
	struct place place;
	char *text; /* The value, the path or the name of the credential; owned, may be a secret */
};

struct given_property {
	char *name; /* Owned */
	struct given given;
};

#define LOADER_KAFKA_MAX 256

struct loader {
	struct config *config;
	struct problems *problems;
	char *const *environ;
	struct place places[OPTIONS_COUNT];  /* Where each option was set; zeroed: not at all */
	struct given secrets[OPTIONS_COUNT]; /* Only of SECRET options */
	struct given_property kafka[LOADER_KAFKA_MAX];
	size_t kafka_count;
};

/* The suffixes that make "client_secret" a "client_secret_file" or "client_secret_credential".
 * Returns the source and the length of the name without its suffix; GIVEN_LITERAL and the whole
 * length when it has none. */
enum given_source given_split(const char *name, size_t *ret_length);

/* Note where a value is to come from. A second one from the same place, file or environment, is a
 * mistake; the environment replaces what the file says. */
void given_set(struct loader *l, struct given *g, const char *path, const struct given *value);

/* Fetch the value: at most 'limit' bytes, without a final newline, and the path of the file that it
 * can be read from again, NULL when there is none. NULL after adding the problem. The caller owns
 * both. */
char *given_fetch(struct loader *l, const struct given *g, const char *path, size_t limit,
                  char **ret_file) MUST_CHECK;

void given_close(struct given *g);

/* The value of a variable of the environment, or NULL. */
const char *loader_variable(const struct loader *l, const char *name);

/* The file: fill in what the tree says. */
void loader_read_file(struct loader *l, const struct node *root);

/* The environment: override what INVITE_WORKER_… variables say. */
void loader_read_environment(struct loader *l);

/* Note a property of Kafka under its full name with an optional suffix. */
void loader_add_kafka(struct loader *l, const char *name, const char *value,
                      const struct place *place);

/* Fetch and check the properties of Kafka. */
void loader_finish_kafka(struct loader *l);

/* Add a problem at the place where the option was set. */
void loader_report(struct loader *l, enum severity severity, enum option_position at,
                   const char *message);

/* True when the file or the environment sets the option. */
bool loader_is_given(const struct loader *l, enum option_position at);

/* Choose how the application signs in, and take from the environment what workloads with a
 * federated identity find there. Before secrets are fetched. */
void loader_choose_credential(struct loader *l);

/* Check the credential itself, once it was fetched. */
void loader_check_credential(struct loader *l);

/* Fill in what follows from `graph.cloud`, and check that it fits together. */
void loader_set_cloud(struct loader *l);

/* Fetch secrets, fill in derived values, and check what concerns several options. */
void loader_finish(struct loader *l);

#endif
