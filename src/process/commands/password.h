#pragma once

#include <stddef.h>
#include "domain/access/htpasswd.h"
#include "util/err.h"

struct password {
    char text[HTPASSWD_PASSWORD_MAX + 2]; /* ends with a NUL */
    size_t n;
};

/* A new password for this user, from standard input: asked for twice without an echo when that is a
 * terminal, else its first line. It has passed htpasswd_check_password. A signal that ends the
 * program gives the terminal its echo back first. The caller wipes *p, also after a failure. */
int password_read(struct password *p, const char *name, struct err *err);
