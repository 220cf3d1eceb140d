#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* Remembers which users and passwords nginx has found right, so that a client that asks for a token
 * again costs no password hash. A hash takes 1.4 ms of nginx's event loop, or 60 with bcrypt, and
 * clients ask once for each image.
 *
 * All workers share the memory. It has no password, but a keyed hash of name, password and the
 * user's stamp (access_table.h), with a key that ends with the server. So an entry ends with the
 * password, and with the user. */

#define LOGIN_CACHE_SLOTS 4096
#define LOGIN_CACHE_MS (10 * UINT64_C(60000)) /* an entry is valid this long */
#define LOGIN_CACHE_KEY_BYTES 32

/* The longest password that is remembered, in bytes: nginx's library takes no longer one. */
#define LOGIN_CACHE_PASSWORD_MAX 511

/* The parts of an entry are written one after the other. A reader that sees parts of two entries
 * sees none, since a hash that is put together of two is none of a password. */
struct login_cache_slot {
    _Atomic uint64_t hash[2];
    _Atomic uint64_t until_ms; /* clock_mono_ms() */
};

struct login_cache {
    struct login_cache_slot *slots; /* shared */
    uint8_t key[LOGIN_CACHE_KEY_BYTES];
};

/* Name and password of a client, from `Authorization: Basic`. */
struct login {
    char user[RECORD_ACTOR_MAX + 1];
    char password[LOGIN_CACHE_PASSWORD_MAX + 1];
};

/* Call it before the processes are forked that share it. */
int login_cache_make(struct login_cache *cache, struct err *err);
void login_cache_close(struct login_cache *cache);

/* Takes the credentials of a header "Basic …"; some clients that have none send an empty name and
 * password. False: the header is another, or they are longer than a right one can be. The caller
 * clears *l with explicit_bzero. */
bool login_cache_parse(struct login *l, const char *header);

/* Did nginx find them right a while ago? reg->login_cache may be NULL: then never. */
bool login_cache_has(const struct registry *reg, const struct login *l);
/* nginx has just found them right. */
void login_cache_put(const struct registry *reg, const struct login *l);
