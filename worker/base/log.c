/* One line per event, safe to read and to parse: see log.h. */
#include "worker/base/log.h"

#include <stdarg.h>
#include <time.h>

static const char *const level_names[LOG_LEVELS] = { "error", "warn", "info", "debug" };

static wall_t system_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (wall_t){ (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 };
}

void log_init(struct log *log, FILE *file, enum log_level level)
{
	*log = (struct log){ .file = file, .level = level, .clock = system_clock };
}

bool log_level_parse(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < LOG_LEVELS; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* Write the whole line at once, so that lines of several threads do not mix. */
PRINTF_LIKE(4, 0)
static void write_line(const struct log *log, enum log_level level, const char *id,
                       const char *format, va_list args)
{
	char date[WALL_TEXT_SIZE];
	char line[2048];
	int head, rest;
	size_t size;

	if (!log_enabled(log, level))
		return;
	wall_format(log->clock(), date);
	head = snprintf(line, sizeof(line), "%s %s %s%s", date, level_names[level], id,
	                *format ? " " : "");
	if (head < 0 || (size_t)head >= sizeof(line))
		return;
	rest = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, format, args);
	size = (size_t)head + (rest < 0 ? 0 : (size_t)rest);
	if (size > sizeof(line) - 2)
		size = sizeof(line) - 2;
	line[size++] = '\n';
	fwrite(line, 1, size, log->file);
	fflush(log->file);
}

#define LOG_FUNCTION(name, level)                                                                  \
	void name(const struct log *log, const char *id, const char *format, ...)                  \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		va_start(args, format);                                                            \
		write_line(log, level, id, format, args);                                          \
		va_end(args);                                                                      \
	}

LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warn, LOG_WARN)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)
#undef LOG_FUNCTION

static bool is_plain(struct bytes text)
{
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return text.size > 0;
}

const char *log_quote(struct bytes text, char out[static LOG_QUOTE_SIZE])
{
	static const char ellipsis[] = "\xE2\x80\xA6";
	size_t limit = LOG_QUOTE_SIZE - sizeof("\\x00\"") - sizeof(ellipsis);
	size_t n = 0;

	if (is_plain(text) && text.size < LOG_QUOTE_SIZE) {
		memcpy(out, text.data, text.size);
		out[text.size] = '\0';
		return out;
	}
	out[n++] = '"';
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (n > limit) {
			memcpy(out + n, ellipsis, sizeof(ellipsis) - 1);
			n += sizeof(ellipsis) - 1;
			break;
		}
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, LOG_QUOTE_SIZE - n, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
