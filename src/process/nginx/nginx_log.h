#ifndef PROCESS_NGINX_NGINX_LOG_H
#define PROCESS_NGINX_NGINX_LOG_H

#include <stddef.h>
#include <stdint.h>

/* What nginx says on its stderr becomes lines of our log. A stranger can make nginx say something
 * with each request, so lines are counted: past a burst they are dropped, and their number told. */

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
/* Takes what is there to read. */
void nginx_log_read(struct nginx_log *l, uint64_t now_ms);
/* Takes the rest, too, and closes. */
void nginx_log_close(struct nginx_log *l, uint64_t now_ms);

/* One line without its end: splits off what the log gives anyway. Returns the text, and sets
 * *severity to "warn" and the like, "" when there is none; both inside of line. */
char *nginx_log_split(char *line, const char **severity);

#endif
