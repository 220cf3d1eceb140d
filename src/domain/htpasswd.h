#ifndef DOMAIN_HTPASSWD_H
#define DOMAIN_HTPASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The password file that nginx reads, run/htpasswd: who was given on the command line, and
 * auth/htpasswd. Its existence is what makes nginx ask for passwords: it is there when anybody was
 * given, or auth/htpasswd is there, even with nobody in it. */

struct htpasswd_state {
    bool closed;  /* passwords are asked for */
    size_t users; /* how many have one */
};

/* The most that auth/htpasswd may have, and that the given users may add up to. */
#define HTPASSWD_MAX (4u * 1024 * 1024)

/* Appends "NAME:HASH\n" to lines: SHA-256-crypt with the fewest rounds, since nginx computes it in
 * its event loop at each request. name has no colon and no control character. */
int htpasswd_add(struct buf *lines, const char *name, const char *password, struct err *err);

/* Writes run/htpasswd from the given lines (of htpasswd_add) and auth/htpasswd, or removes it when
 * there are neither. Who is in both has the given password. Lines that aren't NAME:HASH are left
 * out, with a warning. After a failure the file and *state are as they were. */
int htpasswd_install(int dirfd, struct bytes given, struct htpasswd_state *state, struct err *err);

#endif
