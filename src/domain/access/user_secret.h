#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access_table.h"
#include "domain/registry.h"
#include "util/bytes.h"

/* The stamp of a user in run/access, which changes with the password. Tokens are signed with the
 * stamp, so they end when the password changes. */

#define USER_SECRET_BYTES ACCESS_STAMP_BYTES

/* False: there is no such user, a robot has expired, or the users are not the registry's own.
 * *until_s: when a robot expires, in seconds since 1970; UINT64_MAX: never. */
bool user_secret_find(const struct registry *reg, struct bytes user,
                      uint8_t secret[USER_SECRET_BYTES], uint64_t *until_s);
