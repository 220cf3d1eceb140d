#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Structured lines on stderr: time=2026-11-23T17:01:01.234Z level=warn msg="worker died" pid=31.
 * If stderr is the journal, there is no time, and in front of the line its priority for the journal
 * (<4>, see sd-daemon(3)). Each line is one write(2), so that lines from several processes don't
 * mix. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Parses "error", "warn", "info" or "debug". */
bool log_level_parse(const char *s, enum log_level *out);
void log_set_level(enum log_level level);

/* Each line becomes an object of JSON with the same members: {"time":"...","level":"warn",...}. */
void log_set_json(bool json);

/* Lines go to syslog by the socket of that name; those that can't be sent go to
 * stderr. NULL: to stderr. The text is not copied. */
void log_set_syslog(const char *socket);

/* The id of the request that this process works on, in each line: request=ID. "": none. */
#define LOG_REQUEST_MAX 64
void log_set_request(const char *id);

/* fields: a format such as "key=%s other=%d", with blanks between the fields, or NULL for none.
 * Values are quoted and escaped where needed (msg always is), so that untrusted text can't forge a
 * line. Conversions: %s %d %u %ld %lu %lld %llu %zu %c. A line is cut at 2000 bytes. */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Lines that a client can cause with each request go through one throttle, so that no client fills
 * the disk: a burst of lines, and then one at each interval. Errors have a burst of their own, so
 * that warnings cannot hide them. The number of lines that were left out is logged. */
#define LOG_CLIENT_BURST 100
#define LOG_CLIENT_EVERY_MS 10000

/* Sets burst and interval, which begin anew. Processes that are forked later share the throttle.
 * Before the first call each process has a throttle of its own, with the numbers above. */
void log_limit_client_lines(uint64_t burst, uint64_t every_ms);

/* log_line, through the throttle. Not for confined processes (util/confined.h), which have no
 * shared memory. */
void log_client_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Logs how many lines were left out, if another line could be logged now. log_client_line does this
 * too; call it now and then, for the time after a flood. */
void log_count_client_lines(void);
