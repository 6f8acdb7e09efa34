/* Values that may come from a file or a credential of systemd: see loader.h. */
#include "worker/config/loader.h"
#include "worker/config/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	names_wipe(g->text);
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

/* The first 'size' bytes of a file, or NULL and errno. */
static char *read_whole(const char *path, size_t size, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *text;

	if (!file)
		return NULL;
	setvbuf(file, NULL, _IONBF, 0);
	text = names_allocate(size + 1, 1);
	errno = 0;
	*ret_size = fread(text, 1, size, file);
	if (ferror(file)) {
		free(text);
		text = NULL;
		errno = errno ? errno : EIO;
	}
	fclose(file);
	return text;
}

/* Messages do not repeat the path: it might be the secret itself, written in the wrong place. */
static char *fetch_file(struct loader *l, const struct given *g, const char *path, size_t limit,
                        const char *file)
{
	size_t size = 0;
	char *text = read_whole(file, limit + 3, &size);

	if (!text) {
		problems_add(l->problems, SEVERITY_MISTAKE, &g->place, path,
		             "the file that it names cannot be read: %s", strerror(errno));
		return NULL;
	}
	if (memchr(text, '\0', size)) {
		explicit_bzero(text, size);
		free(text);
		cannot_fetch(l, g, path, "the file contains the character NUL");
		return NULL;
	}
	if (size && text[size - 1] == '\n')
		text[--size] = '\0';
	if (size && text[size - 1] == '\r')
		text[--size] = '\0';
	return text;
}

static char *fetch_credential(struct loader *l, const struct given *g, const char *path,
                              size_t limit)
{
	const char *directory = loader_variable(l, "CREDENTIALS_DIRECTORY");
	char *file = NULL, *text;

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
	text = fetch_file(l, g, path, limit, file);
	free(file);
	return text;
}

char *given_fetch(struct loader *l, const struct given *g, const char *path, size_t limit)
{
	char *text = NULL;

	if (g->source == GIVEN_LITERAL)
		text = names_copy(g->text, strlen(g->text));
	else if (g->source == GIVEN_FILE)
		text = fetch_file(l, g, path, limit, g->text);
	else if (g->source == GIVEN_CREDENTIAL)
		text = fetch_credential(l, g, path, limit);
	if (!text)
		return NULL;
	if (text[0] && strlen(text) <= limit)
		return text;
	if (text[0])
		problems_add(l->problems, SEVERITY_MISTAKE, &g->place, path,
		             "is longer than %zu bytes", limit);
	else
		cannot_fetch(l, g, path, "is empty");
	names_wipe(text);
	return NULL;
}
