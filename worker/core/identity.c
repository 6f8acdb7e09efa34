/* Identities, and forms of ids: see identity.h. */
#include "worker/core/identity.h"

#define E164_MAX 16 /* "+" and 15 digits: ITU-T E.164 section 6.2.1 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool identity_equal(struct identity a, struct identity b)
{
	if (a.id.size != b.id.size || !bytes_equal(a.kind, b.kind))
		return false;
	for (size_t i = 0; i < a.id.size; i++)
		if (lower(a.id.data[i]) != lower(b.id.data[i]))
			return false;
	return true;
}

struct bytes identity_lower(struct bytes id, char room[static IDENTITY_ID_SIZE])
{
	for (size_t i = 0; i < id.size; i++)
		room[i] = lower(id.data[i]);
	return (struct bytes){ room, id.size };
}

bool identity_is_call_id(struct bytes id)
{
	if (id.size == 0 || id.size > IDENTITY_CALL_ID_MAX)
		return false;
	for (size_t i = 0; i < id.size; i++) {
		char c = id.data[i];

		if (!is_digit(c) && !is_letter(c) && c != '.' && c != '_' && c != '~' && c != '-')
			return false;
	}
	return !bytes_equal_text(id, ".") && !bytes_equal_text(id, "..");
}

bool identity_is_e164(struct bytes id)
{
	if (id.size < 3 || id.size > E164_MAX || id.data[0] != '+' || id.data[1] == '0')
		return false;
	for (size_t i = 1; i < id.size; i++)
		if (!is_digit(id.data[i]))
			return false;
	return true;
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Dashes stand behind so many digits. */
static bool has_dash_at(size_t digits)
{
	return digits == 8 || digits == 12 || digits == 16 || digits == 20;
}

struct bytes identity_plain(struct bytes id, char room[static IDENTITY_GUID_SIZE])
{
	size_t digits = 0, n = 0;

	for (size_t i = 0; i < id.size; i++) {
		char c = id.data[i];

		if (c == '-' && has_dash_at(digits))
			continue;
		if (!is_hex(c) || digits == IDENTITY_GUID_DIGITS)
			return id;
		if (has_dash_at(digits))
			room[n++] = '-';
		room[n++] = lower(c);
		digits++;
	}
	if (digits != IDENTITY_GUID_DIGITS)
		return id;
	room[n] = '\0';
	return (struct bytes){ room, n };
}
