#pragma once

#include <stddef.h>
#include <stdint.h>

/* Lines on nginx's stderr become lines of our log. A client can cause such a line with each
 * request, so lines are counted: beyond a burst they are dropped, and their number is logged. */

#define NGINX_LOG_LINE_MAX 1024

struct nginx_log {
    int fd; /* to read from, not blocking; -1: closed */
    char line[NGINX_LOG_LINE_MAX];
    size_t n;
    uint64_t tokens;
    uint64_t since_ms;
    uint64_t dropped;
    char worst[NGINX_LOG_LINE_MAX]; /* the last line at [emerg], or "" */
};

void nginx_log_open(struct nginx_log *l, int fd, uint64_t now_ms);
/* Reads the lines that are available. */
void nginx_log_read(struct nginx_log *l, uint64_t now_ms);
/* Reads the rest too, and closes. */
void nginx_log_close(struct nginx_log *l, uint64_t now_ms);

/* Splits a line without its end: removes the parts that our log adds itself. Returns the text, and
 * sets *severity to "warn" and the like, "" if there is none; both point into line. */
char *nginx_log_split(char *line, const char **severity);
