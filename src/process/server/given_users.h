#pragma once

#include "domain/access/token_key.h"
#include "process/options/options.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The users of --user become lines of a password file. */

/* Appends a line for each. A password must have the same hash at the next start, because tokens
 * depend on it. known: the lines of an earlier call, for passwords of the command line, which have
 * been overwritten since. */
int given_users_hash(const struct options *o, const struct token_keys *keys, struct bytes known,
                     struct buf *out, struct err *err);
