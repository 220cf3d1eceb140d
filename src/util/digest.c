#include "util/digest.h"
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include "util/fdio.h"
#include "util/hex.h"
#include "util/mem.h"

#define READ_SIZE ((size_t)1 << 20)
/* Bytes after which the kernel is asked to begin writing to the disk. */
#define WRITEBACK_SIZE ((uint64_t)8 << 20)

struct digest_state {
    EVP_MD_CTX *ctx;
    enum digest_algo algo;
    bool failed;
};

size_t
digest_size(enum digest_algo algo)
{
    switch (algo) {
    case DIGEST_SHA256:
    case DIGEST_V1_ID:
        return 32;
    case DIGEST_SHA512:
        return 64;
    case DIGEST_NONE:
        break;
    }
    return 0;
}

const char *
digest_algo_name(enum digest_algo algo)
{
    switch (algo) {
    case DIGEST_SHA256:
        return "sha256";
    case DIGEST_SHA512:
        return "sha512";
    case DIGEST_V1_ID:
        return "v1";
    case DIGEST_NONE:
        break;
    }
    return "none";
}

enum digest_algo
digest_algo_named(struct bytes name)
{
    static const enum digest_algo algos[] = {DIGEST_SHA256, DIGEST_SHA512};

    for (size_t i = 0; i < sizeof algos / sizeof *algos; i++)
        if (bytes_equal(name, bytes_str(digest_algo_name(algos[i]))))
            return algos[i];
    return DIGEST_NONE;
}

/* Bytes of a stranger's text that go into a message: at most the length of a sha512. */
static int
shown_length(size_t n)
{
    return n < DIGEST_TEXT_MAX ? (int)n : DIGEST_TEXT_MAX - 1;
}

static int
parse_digest_hex(struct digest *d, enum digest_algo algo, struct bytes hex)
{
    *d = (struct digest){.algo = algo};
    if (!hex_decode(d->bytes, digest_size(algo), hex.p, hex.n)) {
        *d = (struct digest){.algo = DIGEST_NONE};
        return -1;
    }
    return 0;
}

int
digest_parse(struct digest *d, const char *text, size_t n, struct err *err)
{
    const char *colon = memchr(text, ':', n);
    struct bytes name = bytes_of(text, colon != NULL ? (size_t)(colon - text) : 0);
    enum digest_algo algo = digest_algo_named(name);

    *d = (struct digest){.algo = DIGEST_NONE};
    if (algo == DIGEST_NONE)
        return err_set(err, ERR_BAD_DIGEST,
                       "digest \"%.*s\": must begin with sha256: or sha512:", shown_length(n),
                       text);
    if (parse_digest_hex(d, algo, bytes_after(bytes_of(text, n), name.n + 1)) == 0)
        return 0;
    return err_set(err, ERR_BAD_DIGEST,
                   "digest \"%.*s\": %s: must be followed by %zu lowercase hex digits",
                   shown_length(n), text, digest_algo_name(algo), 2 * digest_size(algo));
}

int
digest_parse_v1_id(struct digest *d, const char *text, size_t n, struct err *err)
{
    if (parse_digest_hex(d, DIGEST_V1_ID, bytes_of(text, n)) != 0) {
        return err_set(err, ERR_BAD_DIGEST, "image id \"%.*s\": not 64 lowercase hex digits",
                       shown_length(n), text);
    }
    return 0;
}

void
digest_hex(char out[DIGEST_TEXT_MAX], const struct digest *d)
{
    hex_encode(out, d->bytes, digest_size(d->algo));
}

void
digest_text(char out[DIGEST_TEXT_MAX], const struct digest *d)
{
    if (d->algo == DIGEST_SHA256 || d->algo == DIGEST_SHA512) {
        const char *name = digest_algo_name(d->algo);
        size_t n = strlen(name);

        memcpy(out, name, n);
        out[n] = ':';
        out += n + 1;
    }
    hex_encode(out, d->bytes, digest_size(d->algo));
}

void
digest_path(char out[DIGEST_PATH_MAX], const struct digest *d)
{
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, d);
    snprintf(out, DIGEST_PATH_MAX, "%s/%.2s/%s", digest_algo_name(d->algo), hex, hex);
}

enum digest_algo
digest_directory(char out[DIGEST_PATH_MAX], unsigned n)
{
    enum digest_algo algo = n < 256 ? DIGEST_SHA256 : DIGEST_SHA512;

    snprintf(out, DIGEST_PATH_MAX, "%s/%02x", digest_algo_name(algo), n % 256);
    return algo;
}

unsigned
digest_directory_of(const struct digest *d)
{
    return (d->algo == DIGEST_SHA512 ? 256 : 0) + (unsigned)d->bytes[0];
}

bool
digest_equal(const struct digest *a, const struct digest *b)
{
    return digest_compare(a, b) == 0;
}

int
digest_compare(const struct digest *a, const struct digest *b)
{
    if (a->algo != b->algo)
        return a->algo < b->algo ? -1 : 1;
    return memcmp(a->bytes, b->bytes, digest_size(a->algo));
}

int
digest_order(const void *a, const void *b)
{
    return digest_compare(a, b);
}

bool
digest_hmac_sha256(uint8_t out[DIGEST_HMAC_BYTES], struct bytes key, struct bytes message)
{
    unsigned n = DIGEST_HMAC_BYTES;

    return key.n <= INT_MAX &&
           HMAC(EVP_sha256(), key.p, (int)key.n, message.p, message.n, out, &n) != NULL;
}

bool
digest_sha1(uint8_t out[DIGEST_SHA1_BYTES], struct bytes b)
{
    return EVP_Digest(b.p, b.n, out, NULL, EVP_sha1(), NULL) == 1;
}

bool
digest_secret_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

struct digest_state *
digest_begin(enum digest_algo algo)
{
    const EVP_MD *md = algo == DIGEST_SHA256   ? EVP_sha256()
                       : algo == DIGEST_SHA512 ? EVP_sha512()
                                               : NULL;
    struct digest_state *s = mem_alloc(sizeof *s);

    s->algo = algo;
    s->ctx = EVP_MD_CTX_new();
    if (s->ctx == NULL)
        mem_exhausted();
    s->failed = md == NULL || EVP_DigestInit_ex(s->ctx, md, NULL) != 1;
    return s;
}

void
digest_update(struct digest_state *s, const void *p, size_t n)
{
    if (!s->failed && n > 0 && EVP_DigestUpdate(s->ctx, p, n) != 1)
        s->failed = true;
}

void
digest_end(struct digest_state *s, struct digest *d)
{
    if (d != NULL) {
        *d = (struct digest){.algo = s->algo};
        if (s->failed || EVP_DigestFinal_ex(s->ctx, d->bytes, NULL) != 1)
            *d = (struct digest){.algo = DIGEST_NONE};
    }
    EVP_MD_CTX_free(s->ctx);
    free(s);
}

void
digest_of(struct digest *d, enum digest_algo algo, struct bytes b)
{
    struct digest_state *s = digest_begin(algo);

    digest_update(s, b.p, b.n);
    digest_end(s, d);
}

/* What is fed with a file; those that are NULL are not. */
struct digest_feed {
    struct digest_state *state, *also;
    struct digest_begun *begun;
};

/* Feeds the file from *size to its end. 0, or -1 and errno. */
static int
feed_file(const struct digest_feed *to, int fd, unsigned char *block, uint64_t *size)
{
    uint64_t asked = *size;
    ssize_t n;

    while ((n = fdio_read_at(fd, block, READ_SIZE, *size)) > 0) {
        if (to->state != NULL)
            digest_update(to->state, block, (size_t)n);
        if (to->also != NULL)
            digest_update(to->also, block, (size_t)n);
        if (to->begun != NULL)
            digest_begun_update(to->begun, block, (size_t)n);
        *size += (uint64_t)n;
        if (*size - asked >= WRITEBACK_SIZE) {
            /* This only saves time: a failure shows in the fsync. */
            sync_file_range(fd, (off_t)asked, (off_t)(*size - asked), SYNC_FILE_RANGE_WRITE);
            asked = *size;
        }
    }
    return (int)n;
}

int
digest_of_fd(struct digest *d, enum digest_algo algo, int fd, uint64_t *size, struct err *err)
{
    return digest_of_fd_with(d, algo, NULL, fd, size, err);
}

int
digest_of_fd_with(struct digest *d, enum digest_algo algo, struct digest_state *also, int fd,
                  uint64_t *size, struct err *err)
{
    /* Into memory that doesn't begin at a page, the kernel's copy takes three times as long on some
     * processors: half a second a GiB. */
    unsigned char *block = mem_pages(READ_SIZE);
    struct digest_state *s = digest_begin(algo);
    int rc = 0;

    *size = 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (feed_file(&(struct digest_feed){.state = s, .also = also}, fd, block, size) != 0)
        rc = err_errno(err, "cannot read a file to hash it");
    digest_end(s, d);
    if (rc == 0 && d->algo == DIGEST_NONE)
        rc = err_set(err, ERR_SYSTEM, "the %s digest failed", digest_algo_name(algo));
    if (rc != 0)
        *d = (struct digest){.algo = DIGEST_NONE};
    free(block);
    return rc;
}

/* ---- a beginning ---- */

/* OpenSSL has nothing else whose state can be copied between processes. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct digest_begun *)NULL)->words),
               "a SHA-256 fits into a digest_begun");

void
digest_begun_init(struct digest_begun *b)
{
    SHA256_CTX c;

    *b = (struct digest_begun){.size = 0};
    SHA256_Init(&c);
    memcpy(b->words, &c, sizeof c);
}

void
digest_begun_update(struct digest_begun *b, const void *p, size_t n)
{
    SHA256_CTX c;

    memcpy(&c, b->words, sizeof c);
    SHA256_Update(&c, p, n);
    memcpy(b->words, &c, sizeof c);
    b->size += n;
}

int
digest_of_fd_begun(struct digest *d, const struct digest_begun *begun, int fd, uint64_t *size,
                   struct err *err)
{
    unsigned char *block = mem_pages(READ_SIZE);
    struct digest_begun b = *begun;
    SHA256_CTX c;
    int rc;

    *size = b.size;
    *d = (struct digest){.algo = DIGEST_SHA256};
    rc = feed_file(&(struct digest_feed){.begun = &b}, fd, block, size);
    if (rc == 0) {
        memcpy(&c, b.words, sizeof c);
        SHA256_Final(d->bytes, &c);
    } else {
        *d = (struct digest){.algo = DIGEST_NONE};
        err_errno(err, "cannot read a file to hash it");
    }
    free(block);
    return rc;
}
