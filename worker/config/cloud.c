/* What follows from the cloud, and what does not fit together: see loader.h. */
#include "worker/config/cloud.h"

#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRAPH_VERSION "/v1.0"

static const struct cloud {
	const char *name;
	const char *graph;
	const char *login;
} clouds[] = {
#define CLOUD(name, graph, login) { name, graph, login },
	CLOUDS(CLOUD)
#undef CLOUD
};

#define CLOUDS_COUNT (sizeof(clouds) / sizeof(clouds[0]))

static bool has_origin(const char *url, const char *origin)
{
	size_t size = url_origin_size(url);

	return strlen(origin) == size && strncasecmp(url, origin, size) == 0;
}

static bool is_in_domain(const char *url, const char *domain)
{
	size_t size = url_origin_size(url), length = strlen(domain);

	return size > length && strncasecmp(url + size - length, domain, length) == 0;
}

static bool is_in_china(const char *url)
{
	return is_in_domain(url, ".chinacloudapi.cn") || is_in_domain(url, ".microsoftonline.cn");
}

/* The cloud whose Graph has this URL; NULL when it is none of Microsoft's. */
static const struct cloud *cloud_of_graph(const char *url)
{
	for (size_t i = 0; i < CLOUDS_COUNT; i++) {
		if (has_origin(url, clouds[i].graph))
			return &clouds[i];
	}
	return NULL;
}

static bool is_login_of_some_cloud(const char *url)
{
	for (size_t i = 0; i < CLOUDS_COUNT; i++) {
		if (has_origin(url, clouds[i].login))
			return true;
	}
	return false;
}

/* Tokens of one cloud are worth nothing in another. */
static void check_pair(struct loader *l)
{
	const struct cloud *cloud = cloud_of_graph(l->config->graph.url);
	const char *login = l->config->login.url;
	enum option_position at = OPTION_AT_login_url;
	char path[OPTION_NAME_SIZE];

	if (!cloud || !is_login_of_some_cloud(login) || has_origin(login, cloud->login))
		return;
	if (!loader_is_given(l, at))
		at = OPTION_AT_graph_url;
	option_path(option_at(at), path);
	problems_add(l->problems, SEVERITY_WARNING, &l->places[at], path,
	             "login.url is not that of Graph's cloud, whose tokens alone are good there; "
	             "better set graph.cloud: %s, and neither of both",
	             cloud->name);
}

void loader_set_cloud(struct loader *l)
{
	struct config *c = l->config;
	const struct cloud *cloud = &clouds[c->graph.cloud];

	if (!c->graph.url)
		CHECK(asprintf(&c->graph.url, "%s" GRAPH_VERSION, cloud->graph) >= 0);
	if (!c->login.url)
		c->login.url = names_copy(cloud->login, strlen(cloud->login));
	if (is_in_china(c->graph.url))
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_graph_url, CLOUD_NO_CHINA);
	if (is_in_china(c->login.url))
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_url, CLOUD_NO_CHINA);
	check_pair(l);
}
