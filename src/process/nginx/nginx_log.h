#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "domain/metrics/metrics.h"
#include "process/nginx/guessers.h"
#include "process/nginx/wrong_passwords.h"

/* Lines on nginx's stderr become lines of our log. A client can cause such a line with each
 * request, so they go through the throttle of util/log.h. */

#define NGINX_LOG_LINE_MAX 1024

struct nginx_log {
    int fd; /* to read from, not blocking; -1: closed */
    char line[NGINX_LOG_LINE_MAX];
    size_t n;
    bool cutting_off;               /* nginx was told to cut off what is open */
    char worst[NGINX_LOG_LINE_MAX]; /* the last line at [emerg], or "" */
    struct wrong_passwords wrong;
    int audit;                       /* the data directory, for audit/logins; -1: none is written */
    struct wrong_passwords to_audit; /* as `wrong`, with hours instead of minutes */
    struct guessers guessers;
    struct metrics_place *counts; /* of the master */
};

/* dirfd: of the data directory; -1: it can't be written. */
void nginx_log_init(struct nginx_log *l, int dirfd, struct metrics_place *counts);
void nginx_log_open(struct nginx_log *l, int fd);
/* Reads the lines that are available. */
void nginx_log_read(struct nginx_log *l);
/* Call it now and then: logs what was counted. */
void nginx_log_tend(struct nginx_log *l);
/* Reads the rest too, and closes. */
void nginx_log_close(struct nginx_log *l);

/* Splits a line without its end: removes the parts that our log adds itself. Returns the text, and
 * sets *severity to "warn" and the like, "" if there is none; both point into line. */
char *nginx_log_split(char *line, const char **severity);
