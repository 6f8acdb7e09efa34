/* Values that may come from a file or a credential of systemd: see loader.h. */
#include "worker/config/loader.h"
#include "worker/config/names.h"
#include "worker/io/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *name, const char *suffix, size_t *ret_length)
{
	size_t n = strlen(name), m = strlen(suffix);

	if (n <= m || strcmp(name + n - m, suffix) != 0)
		return false;
	*ret_length = n - m;
	return true;
}

enum given_source given_split(const char *name, size_t *ret_length)
{
	if (ends_with(name, "_file", ret_length))
		return GIVEN_FILE;
	if (ends_with(name, "_credential", ret_length))
		return GIVEN_CREDENTIAL;
	*ret_length = strlen(name);
	return GIVEN_LITERAL;
}

void given_close(struct given *g)
{
	secret_wipe(g->text);
	*g = (struct given){ 0 };
}

void given_set(struct loader *l, struct given *g, const char *path, const struct given *value)
{
	bool old_in_file = g->place.line != 0, new_in_file = value->place.line != 0;

	if (g->source != GIVEN_NOT && old_in_file == new_in_file) {
		problems_add(l->problems, SEVERITY_MISTAKE, &value->place, path,
		             "is given twice: only one of the value, _file and _credential");
		return;
	}
	given_close(g);
	*g = *value;
	g->text = names_copy(value->text, strlen(value->text));
}

static void cannot_fetch(struct loader *l, const struct given *g, const char *path, const char *why)
{
	problems_add(l->problems, SEVERITY_MISTAKE, &g->place, path, "%s", why);
}

/* The path of a credential, or NULL. The caller owns it. */
static char *credential_path(struct loader *l, const struct given *g, const char *path)
{
	const char *directory = loader_variable(l, "CREDENTIALS_DIRECTORY");
	char *file = NULL;

	if (g->text[0] == '\0' || g->text[0] == '.' || strchr(g->text, '/')) {
		cannot_fetch(l, g, path, "expected the name of a credential, without '/'");
		return NULL;
	}
	if (!directory || directory[0] != '/') {
		cannot_fetch(l, g, path,
		             "there are no credentials: CREDENTIALS_DIRECTORY is not set; "
		             "systemd sets it with LoadCredential=");
		return NULL;
	}
	CHECK(asprintf(&file, "%s/%s", directory, g->text) >= 0);
	return file;
}

/* A value that stands in the file or the environment itself. */
static char *fetch_literal(struct loader *l, const struct given *g, const char *path, size_t limit)
{
	size_t size = strlen(g->text);

	if (size > 0 && size <= limit)
		return names_copy(g->text, size);
	if (size)
		problems_add(l->problems, SEVERITY_MISTAKE, &g->place, path,
		             "is longer than %zu bytes", limit);
	else
		cannot_fetch(l, g, path, "is empty");
	return NULL;
}

/* What comes from a pipe or a device can be read once: to open it again could block for ever. */
static bool can_be_read_again(const char *file)
{
	struct stat found;

	return stat(file, &found) == 0 && S_ISREG(found.st_mode);
}

char *given_fetch(struct loader *l, const struct given *g, const char *path, size_t limit,
                  char **ret_file)
{
	char *file = NULL, *text;
	struct err err;

	*ret_file = NULL;
	if (g->source == GIVEN_LITERAL)
		return fetch_literal(l, g, path, limit);
	if (g->source == GIVEN_FILE)
		file = names_copy(g->text, strlen(g->text));
	else if (g->source == GIVEN_CREDENTIAL)
		file = credential_path(l, g, path);
	if (!file)
		return NULL;
	text = secret_read(file, limit, &err);
	if (!text)
		cannot_fetch(l, g, path, err.msg);
	if (text && can_be_read_again(file))
		*ret_file = file;
	else
		free(file);
	return text;
}
