#include "domain/access/bearer.h"
#include "domain/access/token_key.h"
#include "domain/access/user_secret.h"
#include "util/digest.h"
#include "util/pack.h"

_Static_assert(BEARER_MAC_BYTES == DIGEST_HMAC_BYTES, "HMAC-SHA256");
_Static_assert(BASE64_BYTES(BEARER_TEXT_MAX - 1) <= BEARER_BYTES_MAX, "bearer_parse has room");

/* The first byte. A token of another form is invalid, and its client gets a new one. */
#define BEARER_FORM 1

/* ---- the bytes ---- */

static void
pack_bearer(struct buf *out, const struct bearer *b)
{
    pack_u8(out, BEARER_FORM);
    pack_u8(out, (uint8_t)b->kind);
    pack_u64(out, b->issued_s);
    pack_u64(out, b->expiry_s);
    pack_text(out, b->user);
    pack_u8(out, b->grants.lists);
    for (size_t i = 0; i < b->grants.n; i++) {
        pack_u8(out, (uint8_t)b->grants.v[i].actions);
        pack_bytes16(out, b->grants.v[i].repository);
    }
}

static bool
unpack_grants(struct unpack *u, struct bearer_grants *g)
{
    uint8_t lists = unpack_u8(u);

    g->lists = lists == 1;
    while (!u->bad && u->n > 0) {
        uint8_t actions = unpack_u8(u);
        struct bytes repository = unpack_bytes16(u);

        if (u->bad || actions == 0 || actions > BEARER_ACTIONS || repository.n == 0 ||
            repository.n > RECORD_REPOSITORY_MAX || !bearer_grants_add(g, repository, actions))
            return false;
    }
    return lists <= 1;
}

bool
bearer_parse(struct bearer *b, struct bytes text)
{
    struct unpack u;
    size_t n;
    bool good;

    if (text.n >= BEARER_TEXT_MAX || !base64_decode_url(b->bytes, &n, text) || n < BEARER_MAC_BYTES)
        return false;
    b->head = bytes_of(b->bytes, n - BEARER_MAC_BYTES);
    b->mac = bytes_of(b->bytes + b->head.n, BEARER_MAC_BYTES);
    b->grants.n = b->grants.bytes = 0;
    u = unpack_of(b->head);
    good = unpack_u8(&u) == BEARER_FORM;
    b->kind = (enum bearer_kind)unpack_u8(&u);
    b->issued_s = unpack_u64(&u);
    b->expiry_s = unpack_u64(&u);
    unpack_text(&u, b->user, sizeof b->user);
    good = unpack_grants(&u, &b->grants) && good && unpack_done(&u);
    if (b->kind == BEARER_REFRESH)
        return good && b->user[0] != '\0' && b->grants.n == 0 && !b->grants.lists;
    return good && b->kind == BEARER_ACCESS;
}

/* ---- the signature ---- */

static bool
sign_with(const struct token_key *key, const struct bearer *b, struct bytes secret,
          struct bytes head, uint8_t mac[BEARER_MAC_BYTES])
{
    uint8_t derived[BEARER_MAC_BYTES], mixed[BEARER_MAC_BYTES];
    const char *kind = b->kind == BEARER_REFRESH ? "refresh" : "access";

    return token_key_derive(key, "bearer", kind, derived, sizeof derived) &&
           digest_hmac_sha256(mixed, bytes_of(derived, sizeof derived), secret) &&
           digest_hmac_sha256(mac, bytes_of(mixed, sizeof mixed), head);
}

/* *secret: in `room`; nothing for an anonymous client. *until_s: the end of a robot. False: there
 * is no such user. */
static bool
find_bearer_secret(const struct registry *reg, const struct bearer *b,
                   uint8_t room[USER_SECRET_BYTES], struct bytes *secret, uint64_t *until_s)
{
    bool named = b->user[0] != '\0';

    *until_s = UINT64_MAX;
    *secret = bytes_of(room, named ? USER_SECRET_BYTES : 0);
    return !named || user_secret_find(reg, bytes_str(b->user), room, until_s);
}

int
bearer_make(const struct registry *reg, struct bearer *b, char out[BEARER_TEXT_MAX],
            struct err *err)
{
    const struct token_key *keys[2];
    uint8_t mac[BEARER_MAC_BYTES], room[USER_SECRET_BYTES];
    struct bytes secret;
    struct buf bytes;
    uint64_t until_s;
    int rc = 0;

    if (!find_bearer_secret(reg, b, room, &secret, &until_s))
        return err_set(err, ERR_UNAUTHORIZED, "the user was removed just now");
    b->expiry_s = b->expiry_s < until_s ? b->expiry_s : until_s;
    token_keys_valid(reg->token_keys, reg->dirfd, keys);
    buf_init(&bytes, BEARER_BYTES_MAX);
    pack_bearer(&bytes, b);
    if (!sign_with(keys[0], b, secret, buf_bytes(&bytes), mac))
        rc = err_set(err, ERR_SYSTEM, "a token can't be signed");
    buf_put(&bytes, mac, sizeof mac);
    if (rc == 0 && !buf_ok(&bytes))
        rc = err_set(err, ERR_SYSTEM, "a token would be too long");
    if (rc == 0)
        base64_encode_url(out, buf_bytes(&bytes));
    buf_free(&bytes);
    return rc;
}

bool
bearer_check(const struct registry *reg, struct bytes text, enum bearer_kind kind, uint64_t at_s,
             struct bearer *b)
{
    const struct token_key *keys[2];
    uint8_t mac[BEARER_MAC_BYTES], room[USER_SECRET_BYTES];
    struct bytes secret;
    uint64_t until_s;
    bool good = false;
    size_t n;

    if (!bearer_parse(b, text) || b->kind != kind || b->expiry_s <= at_s ||
        !find_bearer_secret(reg, b, room, &secret, &until_s))
        return false;
    n = token_keys_valid(reg->token_keys, reg->dirfd, keys);
    for (size_t i = 0; i < n && !good; i++)
        good = sign_with(keys[i], b, secret, b->head, mac) &&
               digest_secret_equal(b->mac, bytes_of(mac, sizeof mac));
    return good;
}
