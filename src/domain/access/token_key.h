#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "util/err.h"

/* The key that tokens of both APIs are signed with. It is kept, so that tokens stay valid after a
 * restart. After it was replaced, the one before stays valid for a time. */

#define TOKEN_KEY_NAME "auth/token.key"
#define TOKEN_KEY_OLD_NAME "auth/token.key.old" /* the key before, and 8 bytes: until when */

struct token_key {
    uint8_t bytes[64];
};

/* The keys as this process knows them. */
struct token_keys {
    struct token_key now, old;
    uint64_t old_until_s; /* since 1970; 0: there is no old key */
    struct stat seen;     /* TOKEN_KEY_NAME as it was read */
};

/* Reads the keys below dirfd. If there is none, makes one and writes it, durably and with mode
 * 0600. */
int token_keys_open(struct token_keys *k, int dirfd, struct err *err);

/* The keys that are valid now: the one that signs, and perhaps the one before. Returns their
 * number. Reads them again if they were replaced; if that fails, those of before stay. */
size_t token_keys_valid(struct token_keys *k, int dirfd, const struct token_key *valid[2]);

/* Replaces the key by a new one. The old one stays valid until then, in seconds since 1970; 0: it
 * ends at once. ERR_BAD_REQUEST: there is no key yet. */
int token_keys_rotate(int dirfd, uint64_t old_until_s, struct err *err);

/* Both keys as bytes, for other servers of the same registry. 1, 0: there is no key, -1. */
#define TOKEN_KEYS_BYTES 136
int token_keys_export(int dirfd, uint8_t out[TOKEN_KEYS_BYTES], struct err *err);
int token_keys_import(int dirfd, const uint8_t in[TOKEN_KEYS_BYTES], struct err *err);

/* Derives a secret of n (at most 32) bytes from the key and two texts. False: the crypto library
 * failed. */
bool token_key_derive(const struct token_key *key, const char *purpose, const char *name,
                      uint8_t *out, size_t n);
