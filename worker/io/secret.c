/* Secrets in files: see secret.h. */
#include "worker/io/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first 'size' bytes of a file, or NULL and errno. */
static char *read_whole(const char *path, size_t size, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *text;

	if (!file)
		return NULL;
	/* Without a buffer no copy is left behind. */
	setvbuf(file, NULL, _IONBF, 0);
	text = calloc(size + 1, 1);
	CHECK(text);
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

/* Drop one newline at the end. */
static void trim(char *text, size_t *size)
{
	if (*size && text[*size - 1] == '\n')
		text[--*size] = '\0';
	if (*size && text[*size - 1] == '\r')
		text[--*size] = '\0';
}

static int check(const char *text, size_t size, size_t limit, struct err *err)
{
	if (strlen(text) != size)
		return err_set(err, "the file contains the character NUL");
	if (size == 0)
		return err_set(err, "is empty");
	if (size > limit)
		return err_set(err, "is longer than %zu bytes", limit);
	return 0;
}

char *secret_read(const char *file, size_t limit, struct err *err)
{
	size_t size = 0;
	char *text = read_whole(file, limit + 3, &size);

	if (!text) {
		err_set(err, "the file that it names cannot be read: %s", strerror(errno));
		return NULL;
	}
	trim(text, &size);
	if (check(text, size, limit, err) == 0)
		return text;
	explicit_bzero(text, limit + 3);
	free(text);
	return NULL;
}

void secret_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}
