#include "domain/access/sealed_name.h"
#include "domain/access/token_key.h"
#include "util/digest.h"
#include "util/hex.h"
#include "util/random.h"

#define NONCE_BYTES 16
#define NAME_BYTES (RECORD_REPOSITORY_MAX + 1)
#define KEY_BYTES 32
#define BLOCK_BYTES 32 /* of HMAC-SHA256 */

_Static_assert(NAME_BYTES % BLOCK_BYTES == 0, "the key stream has whole blocks");
_Static_assert(SEALED_NAME_BYTES == NONCE_BYTES + NAME_BYTES + BLOCK_BYTES, "nonce, name, MAC");

/* Adds the key stream to the name: HMAC of nonce and block number, which is counter mode with a
 * pseudorandom function. The same again takes it away. */
static bool
mix_name(const struct token_key *key, const uint8_t *nonce, uint8_t *name)
{
    uint8_t secret[KEY_BYTES], counter[NONCE_BYTES + 1], stream[BLOCK_BYTES];

    if (!token_key_derive(key, "sealed name", "stream", secret, sizeof secret))
        return false;
    memcpy(counter, nonce, NONCE_BYTES);
    for (size_t at = 0; at < NAME_BYTES; at += BLOCK_BYTES) {
        counter[NONCE_BYTES] = (uint8_t)(at / BLOCK_BYTES);
        if (!digest_hmac_sha256(stream, bytes_of(secret, sizeof secret),
                                bytes_of(counter, sizeof counter)))
            return false;
        for (size_t i = 0; i < BLOCK_BYTES; i++)
            name[at + i] ^= stream[i];
    }
    return true;
}

static bool
sign_sealed(const struct token_key *key, const uint8_t *sealed, uint8_t mac[BLOCK_BYTES])
{
    uint8_t secret[KEY_BYTES];

    return token_key_derive(key, "sealed name", "signature", secret, sizeof secret) &&
           digest_hmac_sha256(mac, bytes_of(secret, sizeof secret),
                              bytes_of(sealed, NONCE_BYTES + NAME_BYTES));
}

bool
sealed_name_make(const struct registry *reg, const char *name, char out[SEALED_NAME_TEXT])
{
    uint8_t sealed[SEALED_NAME_BYTES] = {0};
    const struct token_key *keys[2];

    token_keys_valid(reg->token_keys, reg->dirfd, keys);
    random_bytes(sealed, NONCE_BYTES);
    memcpy(sealed + NONCE_BYTES, name, strnlen(name, RECORD_REPOSITORY_MAX));
    if (!mix_name(keys[0], sealed, sealed + NONCE_BYTES) ||
        !sign_sealed(keys[0], sealed, sealed + NONCE_BYTES + NAME_BYTES))
        return false;
    hex_encode(out, sealed, sizeof sealed);
    return true;
}

bool
sealed_name_open(const struct registry *reg, const char *text, char name[RECORD_REPOSITORY_MAX + 1])
{
    uint8_t sealed[SEALED_NAME_BYTES], mac[BLOCK_BYTES];
    struct bytes signature = bytes_of(sealed + NONCE_BYTES + NAME_BYTES, BLOCK_BYTES);
    const struct token_key *keys[2];
    size_t n = token_keys_valid(reg->token_keys, reg->dirfd, keys), i = 0;

    if (!hex_decode(sealed, sizeof sealed, text, strlen(text)))
        return false;
    while (i < n && !(sign_sealed(keys[i], sealed, mac) &&
                      digest_secret_equal(bytes_of(mac, sizeof mac), signature)))
        i++;
    if (i == n || !mix_name(keys[i], sealed, sealed + NONCE_BYTES))
        return false;
    memcpy(name, sealed + NONCE_BYTES, NAME_BYTES);
    name[RECORD_REPOSITORY_MAX] = '\0';
    return true;
}
