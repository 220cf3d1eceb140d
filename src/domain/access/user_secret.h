#pragma once

#include "domain/registry.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* What is known of a user to nobody but the server, and changes with the password: the line in
 * run/htpasswd. Tokens are signed with it, so they end with it. */

/* Bytes of the longest one. */
#define USER_SECRET_MAX (64u * 1024 * 1024)

/* Appends the user's secret to *secret. 1; 0: there is no such user, or the users are not the
 * registry's own; -1. */
int user_secret_find(const struct registry *reg, struct bytes user, struct buf *secret,
                     struct err *err);
