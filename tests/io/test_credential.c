/* What each kind of credential sends, when it is read again, and what an assertion consists of. */
#include "worker/io/credential.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <jose/b64.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define PEM_SIZE 8192

/* 2026-01-31T12:00:00Z */
#define NOW ((wall_t){ INT64_C(1769860800) * 1000000 })

/* A certificate and its key. */
struct pair {
	EVP_PKEY *key;
	X509 *certificate;
	char certificate_pem[PEM_SIZE];
	char key_pem[PEM_SIZE];
	char both[2 * PEM_SIZE];
};

struct world {
	struct pair pair, other;
	struct log log;
	char *log_text;
	size_t log_size;
	char file[64];     /* In a directory of the test's own */
	char key_file[64]; /* Likewise */
	char directory[32];
};

static void read_bio(BIO *bio, char text[static PEM_SIZE])
{
	int size = BIO_read(bio, text, PEM_SIZE - 1);

	assert_true(size > 0);
	text[size] = '\0';
	BIO_free(bio);
}

/* Valid from a day before now to a day after. */
static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	ASN1_TIME_set(X509_getm_notBefore(x), NOW.us / 1000000 - 86400);
	ASN1_TIME_set(X509_getm_notAfter(x), NOW.us / 1000000 + 86400);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void pair_make(struct pair *p, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	p->key = key;
	p->certificate = make_certificate(key);
	PEM_write_bio_X509(bio, p->certificate);
	read_bio(bio, p->certificate_pem);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	read_bio(bio, p->key_pem);
	snprintf(p->both, sizeof(p->both), "%s%s", p->key_pem, p->certificate_pem);
}

static void pair_free(struct pair *p)
{
	X509_free(p->certificate);
	EVP_PKEY_free(p->key);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* Keys take long to make: they are the same for all tests. */
static int setup_keys(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	pair_make(&w->pair, EVP_RSA_gen(2048));
	pair_make(&w->other, EVP_RSA_gen(2048));
	*state = w;
	return 0;
}

static int teardown_keys(void **state)
{
	struct world *w = *state;

	pair_free(&w->pair);
	pair_free(&w->other);
	free(w);
	return 0;
}

static int setup(void **state)
{
	struct world *w = *state;

	log_init(&w->log, open_memstream(&w->log_text, &w->log_size), LOG_DEBUG);
	snprintf(w->directory, sizeof(w->directory), "/tmp/credential-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	snprintf(w->file, sizeof(w->file), "%s/secret", w->directory);
	snprintf(w->key_file, sizeof(w->key_file), "%s/key", w->directory);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	unlink(w->file);
	unlink(w->key_file);
	rmdir(w->directory);
	fclose(w->log.file);
	free(w->log_text);
	return 0;
}

static struct credential *make(struct world *w, const struct credential_options *options)
{
	struct err err = { "" };
	struct credential *c = credential_new(options, &w->log, &err);

	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

static void write_request(const struct credential *c, const char *client_id, struct buffer *text,
                          struct http_request *request)
{
	const struct credential_ask ask = { .endpoint = "https://login/t/oauth2/v2.0/token",
		                            .client_id = client_id,
		                            .scope = "https://graph/.default",
		                            .id = "id-1",
		                            .now = NOW };
	struct err err = { "" };

	*request = (struct http_request){ .n_headers = 0 };
	buffer_init(text, 65536);
	if (credential_write(c, &ask, text, request, &err) < 0)
		fail_msg("%s", err.msg);
}

/* The assertion of a form, which is the last field but one. The caller frees it. */
static char *assertion_of(const struct buffer *form)
{
	const char *at = strstr(form->data, "&client_assertion=");

	assert_non_null(at);
	at += strlen("&client_assertion=");
	return strndup(at, strcspn(at, "&"));
}

static json_t *decode(const char *from, size_t size)
{
	char text[2048];
	size_t n = jose_b64_dec_buf(from, size, text, sizeof(text));
	json_t *value;

	assert_true(n <= sizeof(text));
	value = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(value);
	return value;
}

static void expect_text(const json_t *object, const char *name, const char *text)
{
	assert_string_equal(json_string_value(json_object_get(object, name)), text);
}

static void expect_number(const json_t *object, const char *name, int64_t number)
{
	assert_int_equal(json_integer_value(json_object_get(object, name)), number);
}

/* By OpenSSL, not by what has made it. */
static bool is_signed_by(EVP_PKEY *key, int padding, const char *jwt)
{
	const char *dot = strrchr(jwt, '.');
	unsigned char signature[512];
	size_t size = jose_b64_dec_buf(dot + 1, strlen(dot + 1), signature, sizeof(signature));
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL;
	bool is_good;

	assert_int_equal(EVP_DigestVerifyInit(context, &options, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, padding), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
	is_good = EVP_DigestVerify(context, signature, size, (const unsigned char *)jwt,
	                           (size_t)(dot - jwt)) == 1;
	EVP_MD_CTX_free(context);
	return is_good;
}

static void a_client_secret_is_a_field_of_the_form(void **state)
{
	struct credential_options options = { .secret = { .text = "s+cr&t" } };
	struct credential *c = make(*state, &options);
	struct http_request request;
	struct buffer text;

	write_request(c, "client 1", &text, &request);
	assert_int_equal(request.method, HTTP_POST);
	assert_string_equal(request.url, "https://login/t/oauth2/v2.0/token");
	assert_string_equal(text.data, "client_id=client%201&scope=https%3A%2F%2Fgraph%2F.default&"
	                               "client_secret=s%2Bcr%26t&grant_type=client_credentials");
	assert_false(credential_is_watched(c));
	buffer_close(&text);
	credential_free(c);
}

static void expect_assertion(struct world *w, enum assertion_algorithm algorithm)
{
	struct credential_options options = { .kind = CREDENTIAL_CERTIFICATE,
		                              .algorithm = algorithm,
		                              .secret = { .text = w->pair.certificate_pem },
		                              .key = { .text = w->pair.key_pem } };
	bool is_pss = algorithm == ASSERTION_PS256;
	struct credential *c = make(w, &options);
	int padding = is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
	struct http_request request;
	struct buffer form;
	char *jwt;
	json_t *header, *claims;

	write_request(c, "app", &form, &request);
	assert_non_null(strstr(form.data, "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
	                                  "client-assertion-type%3Ajwt-bearer&"));
	jwt = assertion_of(&form);
	header = decode(jwt, strcspn(jwt, "."));
	expect_text(header, "alg", is_pss ? "PS256" : "RS256");
	expect_text(header, "typ", "JWT");
	assert_int_equal(json_string_length(json_object_get(header, is_pss ? "x5t#S256" : "x5t")),
	                 is_pss ? 43 : 27);
	assert_int_equal(json_object_size(header), 3);
	claims = decode(strchr(jwt, '.') + 1, strcspn(strchr(jwt, '.') + 1, "."));
	expect_text(claims, "aud", "https://login/t/oauth2/v2.0/token");
	expect_text(claims, "iss", "app");
	expect_text(claims, "sub", "app");
	expect_text(claims, "jti", "id-1");
	expect_number(claims, "nbf", NOW.us / 1000000);
	expect_number(claims, "iat", NOW.us / 1000000);
	expect_number(claims, "exp", NOW.us / 1000000 + 600);
	assert_true(is_signed_by(w->pair.key, padding, jwt));
	assert_false(is_signed_by(w->other.key, padding, jwt));
	json_decref(header);
	json_decref(claims);
	free(jwt);
	buffer_close(&form);
	credential_free(c);
}

static void a_certificate_signs_an_assertion_by_ps256(void **state)
{
	expect_assertion(*state, ASSERTION_PS256);
}

static void a_certificate_signs_an_assertion_by_rs256_for_older_services(void **state)
{
	expect_assertion(*state, ASSERTION_RS256);
}

static void certificate_and_key_may_be_one_text_in_any_order(void **state)
{
	struct world *w = *state;
	struct credential_options options = { .kind = CREDENTIAL_CERTIFICATE,
		                              .secret = { .text = w->pair.both } };

	credential_free(make(w, &options));
}

static void a_federated_token_is_the_assertion(void **state)
{
	struct credential_options options = { .kind = CREDENTIAL_FEDERATED_TOKEN,
		                              .secret = { .text = "eyJh.eyJi.c-_" } };
	struct credential *c = make(*state, &options);
	struct http_request request;
	struct buffer form;
	char *jwt;

	write_request(c, "app", &form, &request);
	jwt = assertion_of(&form);
	assert_string_equal(jwt, "eyJh.eyJi.c-_");
	free(jwt);
	buffer_close(&form);
	credential_free(c);
}

static void a_managed_identity_asks_the_machine_past_the_proxy(void **state)
{
	struct credential_options options = { .kind = CREDENTIAL_MANAGED_IDENTITY,
		                              .identity_url = "http://machine/token" };
	struct credential *c = make(*state, &options);
	struct http_request request;
	struct buffer url;

	write_request(c, "", &url, &request);
	assert_int_equal(request.method, HTTP_GET);
	assert_string_equal(request.url, "http://machine/token?api-version=2018-02-01&"
	                                 "resource=https%3A%2F%2Fgraph");
	assert_string_equal(request.headers[0].name, "Metadata");
	assert_true(bytes_equal_text(request.headers[0].value, "true"));
	assert_true(request.is_direct);
	buffer_close(&url);
	write_request(c, "mine", &url, &request);
	assert_non_null(strstr(request.url, "&client_id=mine"));
	buffer_close(&url);
	credential_free(c);
}

static int write_der(const void *certificate, unsigned char **out)
{
	return i2d_X509(certificate, out);
}

static void what_cannot_be_used_is_refused_with_its_reason(void **state)
{
	struct world *w = *state;
	EVP_PKEY *small = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-256");
	struct pair weak, elliptic;
	unsigned char password[] = "abcd";
	char encrypted_key[PEM_SIZE], encrypted[PEM_SIZE];
	BIO *bio = BIO_new(BIO_s_mem());
	struct assertion_key *key;
	struct err err;

	pair_make(&weak, small);
	pair_make(&elliptic, curve);
	PEM_write_bio_PrivateKey(bio, w->pair.key, EVP_aes_128_cbc(), password, 4, NULL, NULL);
	read_bio(bio, encrypted_key);
	bio = BIO_new(BIO_s_mem());
	PEM_ASN1_write_bio(write_der, PEM_STRING_X509, bio, w->pair.certificate, EVP_aes_128_cbc(),
	                   password, 4, NULL, NULL);
	read_bio(bio, encrypted);
	const struct {
		const char *certificate, *key, *reason;
	} cases[] = {
		{ w->pair.key_pem, w->pair.key_pem, "contains no certificate in PEM" },
		{ w->pair.certificate_pem, w->pair.certificate_pem,
		  "contains no private key in PEM" },
		{ w->pair.certificate_pem, "", "contains no private key in PEM" },
		{ encrypted, w->pair.key_pem, "the certificate is encrypted" },
		{ w->pair.certificate_pem, encrypted_key, "the private key is encrypted" },
		{ w->pair.certificate_pem, w->other.key_pem, "is not that of the certificate" },
		{ weak.certificate_pem, weak.key_pem, "less than 2048 bits" },
		{ elliptic.certificate_pem, elliptic.key_pem, "is no RSA key" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		key = assertion_key_new(cases[i].certificate, cases[i].key, &err);
		assert_null(key);
		if (!strstr(err.msg, cases[i].reason))
			fail_msg("\"%s\" is not in \"%s\"", cases[i].reason, err.msg);
	}
	pair_free(&weak);
	pair_free(&elliptic);
}

static void a_certificate_tells_from_when_to_when_it_is_valid(void **state)
{
	struct world *w = *state;
	struct assertion_key *key = assertion_key_new(w->pair.both, w->pair.both, NULL);

	assert_int_equal(assertion_key_begins(key).us, NOW.us - INT64_C(86400) * 1000000);
	assert_int_equal(assertion_key_ends(key).us, NOW.us + INT64_C(86400) * 1000000);
	assert_int_equal(strlen(assertion_key_thumbprint(key)), 43);
	assertion_key_free(key);
}

static void a_file_that_changes_gives_a_new_version(void **state)
{
	struct world *w = *state;
	struct credential_options options = { .secret = { .text = "one", .file = w->file } };
	struct credential *c = make(w, &options);
	uint64_t version = credential_refresh(c);
	struct http_request request;
	struct buffer form;

	write_file(w->file, "one\n");
	assert_true(credential_is_watched(c));
	assert_int_equal(credential_refresh(c), version);
	write_file(w->file, "two\n");
	assert_int_not_equal(credential_refresh(c), version);
	assert_int_equal(credential_refresh(c), version + 1);
	write_request(c, "app", &form, &request);
	assert_non_null(strstr(form.data, "client_secret=two&"));
	buffer_close(&form);
	fflush(w->log.file);
	assert_non_null(strstr(w->log_text, "credential.changed"));
	assert_null(strstr(w->log_text, "two"));
	credential_free(c);
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
		n++;
	return n;
}

static void a_file_of_no_use_leaves_the_last_good_secret_and_is_told_once(void **state)
{
	struct world *w = *state;
	struct credential_options options = { .secret = { .text = "one", .file = w->file } };
	struct credential *c = make(w, &options);
	uint64_t version = credential_refresh(c);
	struct http_request request;
	struct buffer form;

	credential_refresh(c);
	write_file(w->file, "\n");
	assert_int_equal(credential_refresh(c), version);
	assert_int_equal(credential_refresh(c), version);
	write_request(c, "app", &form, &request);
	assert_non_null(strstr(form.data, "client_secret=one&"));
	buffer_close(&form);
	fflush(w->log.file);
	assert_int_equal(count(w->log_text, "cannot be read"), 1);
	assert_int_equal(count(w->log_text, "login.client_secret: is empty"), 1);
	credential_free(c);
}

/* Two files are read one after the other while somebody exchanges them. */
static void half_of_a_new_pair_leaves_the_old_one(void **state)
{
	struct world *w = *state;
	struct credential_options options = {
		.kind = CREDENTIAL_CERTIFICATE,
		.secret = { .text = w->pair.certificate_pem, .file = w->file },
		.key = { .text = w->pair.key_pem, .file = w->key_file },
	};
	struct credential *c = make(w, &options);
	uint64_t version;

	write_file(w->file, w->pair.certificate_pem);
	write_file(w->key_file, w->pair.key_pem);
	version = credential_refresh(c);
	write_file(w->file, w->other.certificate_pem);
	assert_int_equal(credential_refresh(c), version);
	write_file(w->key_file, "");
	assert_int_equal(credential_refresh(c), version);
	write_file(w->key_file, w->other.key_pem);
	assert_int_equal(credential_refresh(c), version + 1);
	fflush(w->log.file);
	assert_non_null(strstr(w->log_text, "login.certificate: the private key is not that of"));
	assert_non_null(strstr(w->log_text, "login.certificate_key: is empty"));
	credential_free(c);
}

static void what_it_contains_is_found_in_a_text(void **state)
{
	struct credential_options options = { .secret = { .text = "hush" } };
	struct credential *c = make(*state, &options);

	assert_true(credential_is_in(c, "AADSTS7000215: Invalid client secret 'hush'."));
	assert_true(credential_is_in(c, "the assertion eyJhbGciOi is not good"));
	assert_false(credential_is_in(c, "AADSTS7000215: Invalid client secret."));
	credential_free(c);
}

static void an_empty_credential_is_none(void **state)
{
	struct world *w = *state;
	struct credential_options nothing = { .secret = { .text = "" } };
	struct credential_options spaces = { .kind = CREDENTIAL_FEDERATED_TOKEN,
		                             .secret = { .text = "a b" } };

	assert_null(credential_new(&nothing, &w->log, NULL));
	assert_null(credential_new(&spaces, &w->log, NULL));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_secret_is_a_field_of_the_form),
		TEST(a_certificate_signs_an_assertion_by_ps256),
		TEST(a_certificate_signs_an_assertion_by_rs256_for_older_services),
		TEST(certificate_and_key_may_be_one_text_in_any_order),
		TEST(a_federated_token_is_the_assertion),
		TEST(a_managed_identity_asks_the_machine_past_the_proxy),
		TEST(what_cannot_be_used_is_refused_with_its_reason),
		TEST(a_certificate_tells_from_when_to_when_it_is_valid),
		TEST(a_file_that_changes_gives_a_new_version),
		TEST(a_file_of_no_use_leaves_the_last_good_secret_and_is_told_once),
		TEST(half_of_a_new_pair_leaves_the_old_one),
		TEST(what_it_contains_is_found_in_a_text),
		TEST(an_empty_credential_is_none),
	};

	return cmocka_run_group_tests(tests, setup_keys, teardown_keys);
}
