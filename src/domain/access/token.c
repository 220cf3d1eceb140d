#include "domain/access/token.h"
#include "domain/access/token_key.h"
#include "domain/access/user_secret.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/parse.h"

_Static_assert(TOKEN_MAC_BYTES == DIGEST_HMAC_BYTES, "HMAC-SHA256");

#define MAC_TEXT (BASE64_TEXT(TOKEN_MAC_BYTES) - 1)

/* ---- the text ---- */

/* The position of the last dot in b; b.n when there is none. */
static size_t
find_last_dot(struct bytes b)
{
    const char *p = b.p;
    size_t n = b.n;

    while (n > 0 && p[n - 1] != '.')
        n--;
    return n > 0 ? n - 1 : b.n;
}

bool
token_parse(struct token *t, struct bytes text)
{
    const char *p = text.p;
    size_t head = find_last_dot(text);
    size_t user = find_last_dot(bytes_of(p, head));

    if (head == text.n || user == head || user == 0 || user > RECORD_ACTOR_MAX ||
        text.n - head - 1 != MAC_TEXT || memchr(p, '\0', user) != NULL ||
        !parse_u64(p + user + 1, head - user - 1, &t->expiry))
        return false;
    t->user = bytes_of(p, user);
    t->head = bytes_of(p, head);
    t->mac = bytes_of(p + head + 1, MAC_TEXT);
    return true;
}

/* ---- the signature ---- */

/* secret: the user's, or nothing. */
static bool
sign_token(const struct token_key *key, struct bytes secret, struct bytes head,
           char out[MAC_TEXT + 1])
{
    uint8_t mixed[TOKEN_MAC_BYTES], mac[TOKEN_MAC_BYTES];
    struct bytes with = bytes_of(key->bytes, sizeof key->bytes);

    if (secret.n > 0) {
        if (!digest_hmac_sha256(mixed, with, secret))
            return false;
        with = bytes_of(mixed, sizeof mixed);
    }
    if (!digest_hmac_sha256(mac, with, head))
        return false;
    base64_encode(out, bytes_of(mac, sizeof mac));
    return true;
}

int
token_make(const struct registry *reg, const char *user, char out[TOKEN_TEXT_MAX], struct err *err)
{
    const struct token_key *keys[2];
    char mac[MAC_TEXT + 1];
    uint8_t secret[USER_SECRET_BYTES];
    uint64_t until_s;
    bool known = user_secret_find(reg, bytes_str(user), secret, &until_s);
    int n = snprintf(out, TOKEN_TEXT_MAX, "%s.%llu", user,
                     (unsigned long long)(clock_wall_ms() / 1000 + TOKEN_LIFETIME_S));

    token_keys_valid(reg->token_keys, reg->dirfd, keys);
    if (n < 0 || (size_t)n + 1 + MAC_TEXT >= TOKEN_TEXT_MAX)
        return err_set(err, ERR_SYSTEM, "this user name is too long for a token");
    if (!sign_token(keys[0], bytes_of(secret, known ? sizeof secret : 0), bytes_of(out, (size_t)n),
                    mac))
        return err_set(err, ERR_SYSTEM, "a token can't be signed");
    snprintf(out + n, TOKEN_TEXT_MAX - (size_t)n, ".%s", mac);
    return 0;
}

bool
token_check(const struct registry *reg, struct bytes text, uint64_t at_s,
            char user[RECORD_ACTOR_MAX + 1])
{
    const struct token_key *keys[2];
    char mac[MAC_TEXT + 1];
    uint8_t secret[USER_SECRET_BYTES];
    uint64_t until_s;
    struct token t;
    bool good = false;
    size_t n;

    if (!token_parse(&t, text) || t.expiry <= at_s ||
        !user_secret_find(reg, t.user, secret, &until_s))
        return false;
    n = token_keys_valid(reg->token_keys, reg->dirfd, keys);
    for (size_t i = 0; i < n && !good; i++)
        good = sign_token(keys[i], bytes_of(secret, sizeof secret), t.head, mac) &&
               digest_secret_equal(t.mac, bytes_of(mac, MAC_TEXT));
    if (good) {
        memcpy(user, t.user.p, t.user.n);
        user[t.user.n] = '\0';
    }
    return good;
}
