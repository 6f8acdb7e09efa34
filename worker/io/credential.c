/* The application's credential: see credential.h. */
#include "worker/io/credential.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* The version of the identity service's API, which has been the same since 2018. */
#define IDENTITY_VERSION "2018-02-01"

/* How every JWT begins. */
#define JWT_BEGIN "eyJ"

#define DEFAULT_SCOPE "/.default"

/* One text, and the file that it is read from again. */
struct text {
	char *text; /* Owned; NULL: none. Never logged */
	char *file; /* Owned; NULL: it never changes */
};

struct credential {
	enum credential_kind kind;
	enum assertion_algorithm algorithm;
	const struct log *log; /* Borrowed */
	struct text secret;
	struct text key;
	struct assertion_key *certificate; /* Owned; of 'secret' and 'key' */
	char *identity_url;                /* Owned */
	uint64_t version;
	struct err problem; /* Why the files were of no use when last read; "": they were */
};

/* The options that the texts come from. */
static const char *const secret_options[] = {
	[CREDENTIAL_CLIENT_SECRET] = "login.client_secret",
	[CREDENTIAL_CERTIFICATE] = "login.certificate",
	[CREDENTIAL_FEDERATED_TOKEN] = "login.federated_token",
	[CREDENTIAL_MANAGED_IDENTITY] = "login",
};

#define KEY_OPTION "login.certificate_key"

static void text_close(struct text *t)
{
	secret_wipe(t->text);
	free(t->file);
	*t = (struct text){ 0 };
}

static char *copy(const char *text)
{
	char *made = text ? strdup(text) : NULL;

	CHECK(made || !text);
	return made;
}

static size_t text_limit(const struct credential *c)
{
	return c->kind == CREDENTIAL_CERTIFICATE ? CREDENTIAL_PEM_MAX : CREDENTIAL_TEXT_MAX;
}

/* What the text is now; a copy when it has no file. */
static char *text_read(const struct text *t, size_t limit, struct err *err)
{
	return t->file ? secret_read(t->file, limit, err) : copy(t->text);
}

static bool same(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

int credential_check_token(const char *text, struct err *err)
{
	for (const char *p = text; *p; p++) {
		if (!isgraph((unsigned char)*p))
			return err_set(err, "contains a space, a newline or something else that is "
			                    "not plain ASCII");
	}
	return 0;
}

/* Take over new texts, which the credential owns from now on, if they can be used. */
static int adopt(struct credential *c, char *secret, char *key, struct err *err)
{
	struct assertion_key *certificate = NULL;
	int result = 0;

	if (c->kind == CREDENTIAL_FEDERATED_TOKEN) {
		result = credential_check_token(secret, err);
	} else if (c->kind == CREDENTIAL_CERTIFICATE) {
		certificate = assertion_key_new(secret, key ? key : secret, err);
		result = certificate ? 0 : -1;
	}
	if (result < 0) {
		secret_wipe(secret);
		secret_wipe(key);
		return -1;
	}
	assertion_key_free(c->certificate);
	secret_wipe(c->secret.text);
	secret_wipe(c->key.text);
	c->certificate = certificate;
	c->secret.text = secret;
	c->key.text = key;
	c->version++;
	return 0;
}

static void log_certificate(const struct credential *c)
{
	char until[WALL_TEXT_SIZE];

	wall_format(assertion_key_ends(c->certificate), until);
	log_info(c->log, "credential.certificate", "thumbprint=%s valid_until=%s",
	         assertion_key_thumbprint(c->certificate), until);
}

/* Read both texts. 0 when they are what they were, too. */
static int read_again(struct credential *c, struct err *err)
{
	const char *option = secret_options[c->kind];
	char *secret = text_read(&c->secret, text_limit(c), err);
	char *key = NULL;

	if (!secret)
		return err_wrap(err, "%s", option);
	if (c->key.text) {
		key = text_read(&c->key, text_limit(c), err);
		if (!key) {
			secret_wipe(secret);
			return err_wrap(err, KEY_OPTION);
		}
	}
	if (!same(secret, c->secret.text) || !same(key, c->key.text)) {
		if (adopt(c, secret, key, err) < 0)
			return err_wrap(err, "%s", option);
		log_info(c->log, "credential.changed", "version=%llu",
		         (unsigned long long)c->version);
		if (c->certificate)
			log_certificate(c);
		return 0;
	}
	secret_wipe(secret);
	secret_wipe(key);
	return 0;
}

bool credential_is_watched(const struct credential *c)
{
	return c->secret.file || c->key.file;
}

/* A problem is told once, as long as it is the same. */
uint64_t credential_refresh(struct credential *c)
{
	char quoted[LOG_QUOTE_SIZE];
	struct err err = { "" };

	if (!credential_is_watched(c))
		return c->version;
	if (read_again(c, &err) < 0 && strcmp(err.msg, c->problem.msg) != 0)
		log_warn(c->log, "credential.unreadable", "problem=%s",
		         log_quote(bytes_of(err.msg), quoted));
	c->problem = err;
	return c->version;
}

struct credential *credential_new(const struct credential_options *options, const struct log *log,
                                  struct err *err)
{
	struct credential *c = calloc(1, sizeof(*c));
	bool is_managed = options->kind == CREDENTIAL_MANAGED_IDENTITY;

	CHECK(c);
	c->kind = options->kind;
	c->algorithm = options->algorithm;
	c->log = log;
	c->identity_url = copy(options->identity_url);
	c->secret.file = copy(options->secret.file);
	c->key.file = copy(options->key.file);
	if (is_managed ? !c->identity_url : !options->secret.text || !*options->secret.text) {
		err_set(err, "the credential is empty");
	} else if (is_managed ||
	           adopt(c, copy(options->secret.text), copy(options->key.text), err) == 0) {
		if (c->certificate)
			log_certificate(c);
		return c;
	}
	credential_free(c);
	return NULL;
}

void credential_free(struct credential *c)
{
	if (!c)
		return;
	text_close(&c->secret);
	text_close(&c->key);
	assertion_key_free(c->certificate);
	free(c->identity_url);
	free(c);
}

bool credential_is_in(const struct credential *c, const char *text)
{
	return strstr(text, JWT_BEGIN) || (c->secret.text && strstr(text, c->secret.text));
}

/* A form (application/x-www-form-urlencoded) or a query. */
static void append_field(struct buffer *out, const char *name, const char *value)
{
	buffer_append_text(out, name);
	buffer_append_char(out, '=');
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (isalnum(c) || strchr("-._~", c))
			buffer_append_char(out, *value);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

static int append_assertion(const struct credential *c, const struct credential_ask *ask,
                            struct buffer *form, struct err *err)
{
	const struct assertion_claims claims = { .audience = ask->endpoint,
		                                 .client_id = ask->client_id,
		                                 .id = ask->id,
		                                 .now = ask->now };

	append_field(form, "client_assertion_type", ASSERTION_TYPE);
	if (c->kind == CREDENTIAL_FEDERATED_TOKEN) {
		append_field(form, "&client_assertion", c->secret.text);
		return 0;
	}
	/* What base64url and dots consist of needs no escapes. */
	buffer_append_text(form, "&client_assertion=");
	return assertion_write(c->certificate, c->algorithm, &claims, form, err);
}

static int write_form(const struct credential *c, const struct credential_ask *ask,
                      struct buffer *form, struct err *err)
{
	append_field(form, "client_id", ask->client_id);
	append_field(form, "&scope", ask->scope);
	buffer_append_char(form, '&');
	if (c->kind == CREDENTIAL_CLIENT_SECRET)
		append_field(form, "client_secret", c->secret.text);
	else if (append_assertion(c, ask, form, err) < 0)
		return -1;
	append_field(form, "&grant_type", "client_credentials");
	return buffer_ok(form) ? 0 : err_set(err, "the credential is too long");
}

/* The service knows resources, which are scopes without their end. */
static int write_query(const struct credential *c, const struct credential_ask *ask,
                       struct buffer *url, struct err *err)
{
	size_t size = strlen(ask->scope), end = strlen(DEFAULT_SCOPE);
	char *resource = copy(ask->scope);

	if (size > end && strcmp(resource + size - end, DEFAULT_SCOPE) == 0)
		resource[size - end] = '\0';
	buffer_append_text(url, c->identity_url);
	append_field(url, "?api-version", IDENTITY_VERSION);
	append_field(url, "&resource", resource);
	if (*ask->client_id)
		append_field(url, "&client_id", ask->client_id);
	free(resource);
	return buffer_ok(url) ? 0 : err_set(err, "the URL of the identity service is too long");
}

/* The header shows the identity service that nobody was lured into asking. */
static int write_identity_request(const struct credential *c, const struct credential_ask *ask,
                                  struct buffer *text, struct http_request *request,
                                  struct err *err)
{
	if (write_query(c, ask, text, err) < 0)
		return -1;
	request->method = HTTP_GET;
	request->url = text->data;
	request->headers[0] = (struct http_header){ .name = "Metadata", .value = bytes_of("true") };
	request->n_headers = 1;
	request->is_direct = true;
	return 0;
}

int credential_write(const struct credential *c, const struct credential_ask *ask,
                     struct buffer *text, struct http_request *request, struct err *err)
{
	if (c->kind == CREDENTIAL_MANAGED_IDENTITY)
		return write_identity_request(c, ask, text, request, err);
	if (write_form(c, ask, text, err) < 0)
		return -1;
	request->method = HTTP_POST;
	request->url = ask->endpoint;
	request->headers[0] =
	    (struct http_header){ .name = "Accept", .value = bytes_of("application/json") };
	request->n_headers = 1;
	request->body = buffer_bytes(text);
	request->content_type = "application/x-www-form-urlencoded";
	return 0;
}
