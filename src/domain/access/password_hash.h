#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The hashes that nginx's auth_basic understands. Those that begin with a brace, and $apr1$, are
 * nginx's own; for all others it asks libcrypt, as we do. */

/* Bytes of a password: libcrypt takes no more. */
#define PASSWORD_HASH_PASSWORD_MAX 511
#define PASSWORD_HASH_SALT_BYTES 16

/* Appends a hash for a password that a person chose: SHA-512-crypt with the format's default of
 * rounds, and no more, because nginx computes it in its event loop. The same salt and password give
 * the same hash. salt: PASSWORD_HASH_SALT_BYTES that cannot be guessed. */
int password_hash_make(struct buf *out, const char *password, const uint8_t *salt, struct err *err);

/* Appends a hash for a secret of 128 random bits or more: one salted SHA-1 ({SSHA}), which nobody
 * can reverse for such a secret, and which costs nginx nothing. */
int password_hash_make_cheap(struct buf *out, const char *secret, const uint8_t *salt,
                             struct err *err);

/* The name of the hash's method, such as "sha512-crypt". *usable: there is a password that nginx
 * accepts for it. The name of an unknown method is "unknown". */
const char *password_hash_method(struct bytes hash, bool *usable);

/* Does it take a tenth of a second or more, during which nginx answers no other request? */
bool password_hash_is_slow(struct bytes hash);

/* 1: the password is right for the hash. 0: it is wrong, or no password is right. -1: this program
 * can't tell. The password has at most PASSWORD_HASH_PASSWORD_MAX bytes. */
int password_hash_check(struct bytes hash, const char *password, struct err *err);
