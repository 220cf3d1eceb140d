#pragma once

#include <stdbool.h>

/* Structured lines on stderr: level=warn msg="worker died" pid=31 signal=9. Each line is one
 * write(2), so that lines from several processes don't mix. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Parses "error", "warn", "info" or "debug". */
bool log_level_parse(const char *s, enum log_level *out);
void log_set_level(enum log_level level);

/* fields: a format such as "key=%s other=%d", with blanks between the fields, or NULL for none.
 * Values are quoted and escaped where needed (msg always is), so that untrusted text can't forge a
 * line. Conversions: %s %d %u %ld %lu %lld %llu %zu %c. A line is cut at 2000 bytes. */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
