#pragma once

#include <stddef.h>
#include "domain/access/htpasswd.h"
#include "util/err.h"

struct password {
    char text[HTPASSWD_PASSWORD_MAX + 2]; /* ends with a NUL */
    size_t n;
};

/* Reads a new password for a user: twice and without echo from a terminal, otherwise the first line
 * of standard input. The password has passed htpasswd_check_password. If a signal ends the program,
 * the terminal's echo is restored first. The caller wipes *p, also after a failure. */
int password_read(struct password *p, const char *name, struct err *err);

/* The same for a password that is only checked: asked for once. */
int password_ask(struct password *p, const char *name, struct err *err);

/* "drs_" and 256 random bits by RFC 4648 section 5, without padding. */
#define PASSWORD_SECRET_MAX 64
void password_generate_secret(char out[PASSWORD_SECRET_MAX]);

/* 125 random bits that people can type: five groups of five lowercase letters and digits. */
void password_generate(char out[PASSWORD_SECRET_MAX]);
