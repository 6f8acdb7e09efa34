/* Base URLs of services, taken apart by libcurl: see url.h. */
#include "worker/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

int url_check(const char *text, struct err *err)
{
	CURLU *url;
	int result = 0;

	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return err_set(err, "expected a URL that begins with http:// or https://");
	if (strpbrk(text, "?#"))
		return err_set(err, "expected a URL without '?' and '#'");
	url = curl_url();
	CHECK(url);
	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
		result = err_set(err, "is not a valid URL");
	else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		result = err_set(err, "a URL with a user or a password is not supported");
	curl_url_cleanup(url);
	return result;
}

bool url_is_loopback(const char *url)
{
	CURLU *parts = curl_url();
	unsigned char address[sizeof(struct in_addr)];
	char *host = NULL;
	bool result;

	CHECK(parts);
	CHECK(curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK);
	CHECK(curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK);
	result = strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	         (inet_pton(AF_INET, host, address) == 1 && address[0] == 127);
	curl_free(host);
	curl_url_cleanup(parts);
	return result;
}

size_t url_origin_size(const char *url)
{
	const char *host = strstr(url, "://");

	CHECK(host);
	host += strlen("://");
	return (size_t)(host - url) + strcspn(host, "/");
}
