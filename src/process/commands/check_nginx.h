#pragma once

#include "process/server/server.h"
#include "process/server/tls_files.h"
#include "util/err.h"

/* Would nginx take the configuration that a start makes for it? A part of the command "check". */

/* A directory below $TMPDIR (/tmp) that stands for the data directory. */
struct check_nginx_scratch {
    char *path; /* NULL: there is none */
    int fd;     /* or -1 */
};

int check_nginx_begin(struct check_nginx_scratch *scratch, struct err *err);
/* Removes it. */
void check_nginx_end(struct check_nginx_scratch *scratch);

/* Runs nginx -t there, with the sockets of s->listeners, so that it doesn't listen. tls: what was
 * read, if the options name a certificate. The message is nginx's. */
int check_nginx_test(const struct server *s, const struct tls_files *tls, int scratch,
                     struct err *err);
