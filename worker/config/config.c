/* The configuration from its sources: see config.h. */
#include "worker/config.h"
#include "worker/config/loader.h"
#include "worker/config/names.h"

#include <stdlib.h>

static void loader_close(struct loader *l)
{
	for (size_t i = 0; i < OPTIONS_COUNT; i++)
		given_close(&l->secrets[i]);
	for (size_t i = 0; i < l->kafka_count; i++) {
		free(l->kafka[i].name);
		given_close(&l->kafka[i].given);
	}
	free(l);
}

/* A file that is not YAML ends it: what the environment says would only add noise. */
int config_load(const char *path, char *const environ[], struct config **ret,
                struct problems *problems)
{
	struct loader *l = names_allocate(1, sizeof(*l));
	struct config *config = names_allocate(1, sizeof(*config));
	struct node root = { 0 };

	*l = (struct loader){ .config = config, .problems = problems, .environ = environ };
	option_set_defaults(config);
	if (node_read(path, &root, problems) == 0) {
		loader_read_file(l, &root);
		loader_read_environment(l);
		loader_finish_kafka(l);
		loader_finish(l);
	}
	node_close(&root);
	loader_close(l);
	problems_sort(problems);
	if (problems->mistakes) {
		config_free(config);
		return -1;
	}
	*ret = config;
	return 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < OPTIONS_COUNT; i++)
		option_clear(option_at(i), option_field(option_at(i), config));
	names_clear(&config->tenants);
	names_clear(&config->kafka_texts);
	free(config->kafka_list);
	free(config);
}
