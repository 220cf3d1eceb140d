#include "domain/access/token_key.h"
#include <unistd.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/pack.h"
#include "util/random.h"

#define KEY_FILE_MAX 4096

static struct bytes
key_bytes(const struct token_key *key)
{
    return bytes_of(key->bytes, sizeof key->bytes);
}

static void
free_key_file(struct buf *file)
{
    if (file->n > 0)
        explicit_bzero(file->p, file->n);
    buf_free(file);
}

static int
write_new_key(int dirfd, struct token_key *key, struct err *err)
{
    random_bytes(key->bytes, sizeof key->bytes);
    return fdio_replace_file(dirfd, TOKEN_KEY_NAME, 0600, key_bytes(key), err);
}

/* 1, 0: there is no such file, -1. */
static int
read_key(int dirfd, struct token_key *key, struct err *err)
{
    struct buf file;
    int rc;

    buf_init(&file, KEY_FILE_MAX);
    rc = fdio_read_file(dirfd, TOKEN_KEY_NAME, &file, err);
    if (rc == 1 && file.n != sizeof key->bytes)
        rc = err_set(err, ERR_CORRUPT,
                     "%s doesn't have %zu bytes: remove it, and the next start makes a new one; "
                     "all tokens become invalid",
                     TOKEN_KEY_NAME, sizeof key->bytes);
    else if (rc == 1)
        memcpy(key->bytes, file.p, sizeof key->bytes);
    free_key_file(&file);
    return rc;
}

/* A damaged file counts as none: the tokens of the key before end, and their clients get others. */
static void
read_old_key(struct token_keys *k, int dirfd)
{
    struct buf file;
    struct err ignored;

    k->old_until_s = 0;
    buf_init(&file, KEY_FILE_MAX);
    if (fdio_read_file(dirfd, TOKEN_KEY_OLD_NAME, &file, &ignored) == 1 &&
        file.n == sizeof k->old.bytes + 8) {
        memcpy(k->old.bytes, file.p, sizeof k->old.bytes);
        k->old_until_s = unpack_uint_at((const uint8_t *)file.p + sizeof k->old.bytes, 8);
    }
    free_key_file(&file);
}

int
token_keys_open(struct token_keys *k, int dirfd, struct err *err)
{
    int rc;

    fdio_look(dirfd, TOKEN_KEY_NAME, &k->seen); /* first: it may be replaced at any time */
    rc = read_key(dirfd, &k->now, err);
    if (rc == 0)
        rc = write_new_key(dirfd, &k->now, err);
    if (rc < 0)
        return -1;
    read_old_key(k, dirfd);
    return 0;
}

/* A key that is missing now counts as unchanged, since only the next start makes another. */
static void
follow_rotation(struct token_keys *k, int dirfd)
{
    struct token_key key;
    struct err err;

    if (!fdio_has_changed(dirfd, TOKEN_KEY_NAME, &k->seen))
        return;
    if (read_key(dirfd, &key, &err) == 1) {
        k->now = key;
        read_old_key(k, dirfd);
    } else {
        log_line(LOG_WARN, "the replaced key of tokens can't be read; the one before stays",
                 "why=%s", err.message);
    }
}

size_t
token_keys_valid(struct token_keys *k, int dirfd, const struct token_key *valid[2])
{
    follow_rotation(k, dirfd);
    valid[0] = &k->now;
    valid[1] = &k->old;
    return k->old_until_s > clock_wall_ms() / 1000 ? 2 : 1;
}

/* The old key is written first: a process that finds the new one finds the old one, too. */
int
token_keys_rotate(int dirfd, uint64_t old_until_s, struct err *err)
{
    struct token_key key;
    struct buf old;
    int rc = read_key(dirfd, &key, err);

    if (rc <= 0)
        return rc < 0 ? -1
                      : err_set(err, ERR_BAD_REQUEST,
                                "there is no %s yet: the first start of the server makes it",
                                TOKEN_KEY_NAME);
    buf_init(&old, KEY_FILE_MAX);
    buf_put(&old, key.bytes, sizeof key.bytes);
    pack_u64(&old, old_until_s);
    rc = fdio_replace_file(dirfd, TOKEN_KEY_OLD_NAME, 0600, buf_bytes(&old), err);
    if (rc == 0)
        rc = write_new_key(dirfd, &key, err);
    /* From now on nothing reads a key that has ended. */
    if (rc == 0 && old_until_s == 0)
        unlinkat(dirfd, TOKEN_KEY_OLD_NAME, 0);
    free_key_file(&old);
    explicit_bzero(&key, sizeof key);
    return rc;
}

int
token_keys_export(int dirfd, uint8_t out[TOKEN_KEYS_BYTES], struct err *err)
{
    struct token_keys k;
    int rc = read_key(dirfd, &k.now, err);

    if (rc != 1)
        return rc;
    read_old_key(&k, dirfd);
    memset(out, 0, TOKEN_KEYS_BYTES);
    memcpy(out, k.now.bytes, sizeof k.now.bytes);
    if (k.old_until_s > 0)
        memcpy(out + sizeof k.now.bytes, k.old.bytes, sizeof k.old.bytes);
    pack_uint_at(out + 2 * sizeof k.now.bytes, k.old_until_s, 8);
    explicit_bzero(&k, sizeof k);
    return 1;
}

int
token_keys_import(int dirfd, const uint8_t in[TOKEN_KEYS_BYTES], struct err *err)
{
    const size_t n = sizeof(struct token_key);

    if (unpack_uint_at(in + 2 * n, 8) == 0)
        unlinkat(dirfd, TOKEN_KEY_OLD_NAME, 0);
    else if (fdio_replace_file(dirfd, TOKEN_KEY_OLD_NAME, 0600, bytes_of(in + n, n + 8), err) != 0)
        return -1;
    return fdio_replace_file(dirfd, TOKEN_KEY_NAME, 0600, bytes_of(in, n), err);
}

bool
token_key_derive(const struct token_key *key, const char *purpose, const char *name, uint8_t *out,
                 size_t n)
{
    uint8_t first[DIGEST_HMAC_BYTES], second[DIGEST_HMAC_BYTES];

    if (!digest_hmac_sha256(first, key_bytes(key), bytes_str(purpose)) ||
        !digest_hmac_sha256(second, bytes_of(first, sizeof first), bytes_str(name)))
        return false;
    memcpy(out, second, n);
    return true;
}
