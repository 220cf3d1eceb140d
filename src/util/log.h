#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>

/* Structured lines on stderr: level=warn msg="worker died" pid=31 signal=9. One write(2) a line, so
 * that the lines of many processes don't mix. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* From "error", "warn", "info", "debug". */
bool log_level_parse(const char *s, enum log_level *out);
void log_set_level(enum log_level level);

/* fields: "key=%s other=%d", blank between; NULL for none. Values are quoted and escaped where they
 * need it (msg is quoted always), so what strangers sent can't forge a line. Conversions: %s %d %u
 * %ld %lu %lld %llu %zu %c. A line is cut at 2000 bytes. */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#endif
