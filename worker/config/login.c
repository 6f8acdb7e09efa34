/* How the application signs in: see loader.h. */
#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/io/assertion.h"
#include "worker/io/clock.h"
#include "worker/io/credential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each credential consists of. */
static const struct kind {
	enum config_credential credential;
	const char *word;
	enum option_position option;
} kinds[] = {
	{ CONFIG_CLIENT_SECRET, "client-secret", OPTION_AT_login_client_secret },
	{ CONFIG_CERTIFICATE, "certificate", OPTION_AT_login_certificate },
	{ CONFIG_FEDERATED_TOKEN, "federated-token", OPTION_AT_login_federated_token },
};

#define KINDS_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* What the webhook of Azure Workload Identity puts into the environment of a pod. */
#define AZURE_TOKEN_FILE "AZURE_FEDERATED_TOKEN_FILE"
static const struct {
	const char *variable;
	enum option_position option;
} workload[] = {
	{ "AZURE_TENANT_ID", OPTION_AT_login_tenant_id },
	{ "AZURE_CLIENT_ID", OPTION_AT_login_client_id },
	{ "AZURE_AUTHORITY_HOST", OPTION_AT_login_url },
};

static struct place place_of(const char *variable)
{
	struct place place = { 0 };

	snprintf(place.variable, sizeof(place.variable), "%s", variable);
	return place;
}

static bool is_given(const struct loader *l, const struct kind *kind)
{
	return loader_is_given(l, kind->option);
}

/* What our own options say wins over what others find in the environment too. */
static void take_variable(struct loader *l, const char *variable, enum option_position at)
{
	const struct config_option *o = option_at(at);
	const char *value = loader_variable(l, variable);
	char path[OPTION_NAME_SIZE];
	struct err err;

	if (loader_is_given(l, at) || !value || !*value)
		return;
	l->places[at] = place_of(variable);
	option_path(o, path);
	if (option_parse(o, value, option_field(o, l->config), &err) != 0)
		problems_add(l->problems, SEVERITY_MISTAKE, &l->places[at], path, "%s", err.msg);
}

static void take_workload(struct loader *l)
{
	enum option_position at = OPTION_AT_login_federated_token;
	const char *file = loader_variable(l, AZURE_TOKEN_FILE);

	if (!loader_is_given(l, at) && file && *file) {
		l->places[at] = place_of(AZURE_TOKEN_FILE);
		l->secrets[at] = (struct given){ .source = GIVEN_FILE,
			                         .place = l->places[at],
			                         .text = names_copy(file, strlen(file)) };
	}
	for (size_t i = 0; i < sizeof(workload) / sizeof(workload[0]); i++)
		take_variable(l, workload[i].variable, workload[i].option);
}

/* The one that is given; with more than one it stays open. */
static enum config_credential derive(struct loader *l)
{
	const struct kind *found = NULL;
	const char *file = loader_variable(l, AZURE_TOKEN_FILE);

	for (size_t i = 0; i < KINDS_COUNT; i++) {
		if (!is_given(l, &kinds[i]))
			continue;
		if (found) {
			problems_add(l->problems, SEVERITY_MISTAKE, &l->places[kinds[i].option],
			             "login",
			             "there are two credentials, a %s and a %s: remove one, or "
			             "say with login.credential which one is meant",
			             found->word, kinds[i].word);
			return CONFIG_AUTO;
		}
		found = &kinds[i];
	}
	if (found)
		return found->credential;
	if (file && *file)
		return CONFIG_FEDERATED_TOKEN;
	problems_add(l->problems, SEVERITY_MISTAKE, &l->places[OPTION_AT_login_credential], "login",
	             "a credential is required: client_secret, certificate or federated_token "
	             "(in the file with _file behind it, or in the environment as "
	             "INVITE_WORKER_LOGIN_CLIENT_SECRET and so on), or credential: "
	             "managed-identity");
	return CONFIG_AUTO;
}

/* What is asked for must be there; what else is there is not used. */
static void check_choice(struct loader *l, unsigned credential)
{
	for (size_t i = 0; i < KINDS_COUNT; i++) {
		const struct kind *kind = &kinds[i];

		if (kind->credential == credential && !is_given(l, kind))
			problems_add(l->problems, SEVERITY_MISTAKE,
			             &l->places[OPTION_AT_login_credential], "login.credential",
			             "is %s, but login.%s is not given", kind->word,
			             option_at(kind->option)->name);
		if (kind->credential != credential && is_given(l, kind))
			loader_report(l, SEVERITY_WARNING, kind->option,
			              "is not used: login.credential says otherwise");
	}
}

void loader_choose_credential(struct loader *l)
{
	struct config_login *login = &l->config->login;
	bool is_derived = login->credential == CONFIG_AUTO;

	if (is_derived)
		login->credential = derive(l);
	if (login->credential == CONFIG_FEDERATED_TOKEN)
		take_workload(l);
	if (!is_derived)
		check_choice(l, login->credential);
	if (login->credential == CONFIG_MANAGED_IDENTITY && login->other_tenants.count > 0)
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_other_tenants,
		              "cannot be: a managed identity belongs to one tenant");
	if (login->credential != CONFIG_CERTIFICATE && login->credential != CONFIG_AUTO &&
	    loader_is_given(l, OPTION_AT_login_certificate_key))
		loader_report(l, SEVERITY_WARNING, OPTION_AT_login_certificate_key,
		              "is not used: there is no login.certificate");
}

/* Entra refuses it then, but a clock may also be wrong: no reason not to start. */
static void check_dates(struct loader *l, const struct assertion_key *key)
{
	wall_t begins = assertion_key_begins(key), ends = assertion_key_ends(key);
	char from[WALL_TEXT_SIZE], to[WALL_TEXT_SIZE], path[OPTION_NAME_SIZE];
	wall_t now = clock_wall();

	if (now.us >= begins.us && now.us < ends.us)
		return;
	wall_format(begins, from);
	wall_format(ends, to);
	option_path(option_at(OPTION_AT_login_certificate), path);
	problems_add(l->problems, SEVERITY_WARNING, &l->places[OPTION_AT_login_certificate], path,
	             "is valid from %s to %s only", from, to);
}

static void check_token(struct loader *l)
{
	const char *token = l->config->login.federated_token.text;
	struct err err;

	if (token && credential_check_token(token, &err) < 0)
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_federated_token, err.msg);
}

static void check_certificate(struct loader *l)
{
	const struct config_login *login = &l->config->login;
	const char *certificate = login->certificate.text;
	const char *key_text = login->certificate_key.text;
	bool has_key = loader_is_given(l, OPTION_AT_login_certificate_key);
	struct assertion_key *key;
	struct err err;

	if (!certificate || (has_key && !key_text))
		return;
	key = assertion_key_new(certificate, has_key ? key_text : certificate, &err);
	if (key)
		check_dates(l, key);
	else
		loader_report(l, SEVERITY_MISTAKE, OPTION_AT_login_certificate, err.msg);
	assertion_key_free(key);
}

void loader_check_credential(struct loader *l)
{
	unsigned credential = l->config->login.credential;

	if (credential == CONFIG_CERTIFICATE)
		check_certificate(l);
	else if (credential == CONFIG_FEDERATED_TOKEN)
		check_token(l);
}
