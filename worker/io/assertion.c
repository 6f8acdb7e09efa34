/* Client assertions by OpenSSL, which reads PEM, and libjose, which signs: see assertion.h. */
#include "worker/io/assertion.h"

#include <jansson.h>
#include <jose/b64.h>
#include <jose/cfg.h>
#include <jose/jws.h>
#include <jose/openssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MIN_KEY_BITS 2048

/* Room for the base64url of a hash, with the final NUL. */
#define THUMBPRINT_SIZE 64

struct assertion_key {
	json_t *jwk; /* Owned; the private key */
	char sha1[THUMBPRINT_SIZE];
	char sha256[THUMBPRINT_SIZE];
	wall_t begins, ends;
};

static const struct {
	const char *name;
	const char *thumbprint; /* Which header names the certificate */
} algorithms[] = {
	[ASSERTION_PS256] = { "PS256", "x5t#S256" },
	[ASSERTION_RS256] = { "RS256", "x5t" },
};

/* OpenSSL would ask on the terminal. */
static int on_password(char *out, int size, int is_writing, void *was_asked)
{
	(void)out;
	(void)size;
	(void)is_writing;
	*(bool *)was_asked = true;
	return -1;
}

static BIO *open_text(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);

	CHECK(bio);
	return bio;
}

static X509 *read_certificate(const char *pem, struct err *err)
{
	bool was_asked = false;
	BIO *bio = open_text(pem);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, on_password, &was_asked);

	BIO_free(bio);
	if (!certificate)
		err_set(err, was_asked ? "the certificate is encrypted, which is not supported"
		                       : "contains no certificate in PEM");
	return certificate;
}

static EVP_PKEY *read_key(const char *pem, struct err *err)
{
	bool was_asked = false;
	BIO *bio = open_text(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &was_asked);

	BIO_free(bio);
	if (key)
		return key;
	if (was_asked)
		err_set(err, "the private key is encrypted, which is not supported");
	else
		err_set(err, "contains no private key in PEM");
	return NULL;
}

static int check_pair(const X509 *certificate, EVP_PKEY *key, struct err *err)
{
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		return err_set(err, "the private key is no RSA key");
	if (EVP_PKEY_get_bits(key) < MIN_KEY_BITS)
		return err_set(err, "the private key has less than %d bits", MIN_KEY_BITS);
	if (X509_check_private_key(certificate, key) != 1)
		return err_set(err, "the private key is not that of the certificate");
	return 0;
}

static bool write_thumbprint(const X509 *certificate, const EVP_MD *hash,
                             char out[static THUMBPRINT_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	size_t written;

	if (X509_digest(certificate, hash, digest, &size) != 1)
		return false;
	written = jose_b64_enc_buf(digest, size, out, THUMBPRINT_SIZE - 1);
	if (written >= THUMBPRINT_SIZE)
		return false;
	out[written] = '\0';
	return true;
}

static bool read_date(const ASN1_TIME *time, wall_t *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	ret->us = (int64_t)timegm(&tm) * 1000000;
	return true;
}

static int fill(struct assertion_key *k, const X509 *certificate, EVP_PKEY *key, struct err *err)
{
	if (check_pair(certificate, key, err) < 0)
		return -1;
	if (!write_thumbprint(certificate, EVP_sha1(), k->sha1) ||
	    !write_thumbprint(certificate, EVP_sha256(), k->sha256) ||
	    !read_date(X509_get0_notBefore(certificate), &k->begins) ||
	    !read_date(X509_get0_notAfter(certificate), &k->ends))
		return err_set(err, "the certificate cannot be used");
	k->jwk = jose_openssl_jwk_from_EVP_PKEY(NULL, key);
	return k->jwk ? 0 : err_set(err, "the private key cannot be used");
}

struct assertion_key *assertion_key_new(const char *certificate_pem, const char *key_pem,
                                        struct err *err)
{
	struct assertion_key *k = calloc(1, sizeof(*k));
	X509 *certificate = read_certificate(certificate_pem, err);
	EVP_PKEY *key = certificate ? read_key(key_pem, err) : NULL;

	CHECK(k);
	if (!key || fill(k, certificate, key, err) < 0) {
		assertion_key_free(k);
		k = NULL;
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return k;
}

void assertion_key_free(struct assertion_key *key)
{
	if (!key)
		return;
	json_decref(key->jwk);
	free(key);
}

wall_t assertion_key_begins(const struct assertion_key *key)
{
	return key->begins;
}

wall_t assertion_key_ends(const struct assertion_key *key)
{
	return key->ends;
}

const char *assertion_key_thumbprint(const struct assertion_key *key)
{
	return key->sha256;
}

/* {"payload": the claims as base64url}: what is to be signed. */
static json_t *make_payload(const struct assertion_claims *claims)
{
	json_int_t now = claims->now.us / 1000000;
	json_int_t until = now + ASSERTION_LIFETIME.us / 1000000;
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "aud", claims->audience,
	                           "iss", claims->client_id, "sub", claims->client_id, "jti",
	                           claims->id, "iat", now, "nbf", now, "exp", until);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_t *payload =
	    text ? json_pack("{s:o}", "payload", jose_b64_enc(text, strlen(text))) : NULL;

	free(text);
	json_decref(object);
	return payload;
}

static json_t *make_header(const struct assertion_key *key, enum assertion_algorithm algorithm)
{
	const char *thumbprint = algorithm == ASSERTION_PS256 ? key->sha256 : key->sha1;

	return json_pack("{s:{s:s, s:s, s:s}}", "protected", "alg", algorithms[algorithm].name,
	                 "typ", "JWT", algorithms[algorithm].thumbprint, thumbprint);
}

static void append_member(const json_t *jws, const char *name, struct buffer *out)
{
	const char *text = json_string_value(json_object_get(jws, name));

	CHECK(text);
	buffer_append_text(out, text);
}

/* What libjose has to say about a failure would go to standard error. */
static void on_jose_error(void *owner, const char *file, int line, uint64_t code,
                          const char *format, va_list args)
{
	(void)owner;
	(void)file;
	(void)line;
	(void)code;
	(void)format;
	(void)args;
}

static bool sign(const struct assertion_key *key, json_t *jws, json_t *header)
{
	jose_cfg_t *jose = jose_cfg();
	bool done;

	CHECK(jose);
	jose_cfg_set_err_func(jose, on_jose_error, NULL);
	done = jose_jws_sig(jose, jws, header, key->jwk);
	jose_cfg_decref(jose);
	return done;
}

int assertion_write(const struct assertion_key *key, enum assertion_algorithm algorithm,
                    const struct assertion_claims *claims, struct buffer *out, struct err *err)
{
	json_t *jws = make_payload(claims);
	json_t *header = make_header(key, algorithm);
	bool is_signed = jws && header && sign(key, jws, header);

	if (is_signed) {
		append_member(jws, "protected", out);
		buffer_append_char(out, '.');
		append_member(jws, "payload", out);
		buffer_append_char(out, '.');
		append_member(jws, "signature", out);
	}
	json_decref(jws);
	json_decref(header);
	ERR_clear_error();
	return is_signed && buffer_ok(out) ? 0 : err_set(err, "the assertion cannot be signed");
}
