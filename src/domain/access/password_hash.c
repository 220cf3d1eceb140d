#include "domain/access/password_hash.h"
#include <crypt.h>
#include <errno.h>
#include "util/base64.h"
#include "util/digest.h"
#include "util/mem.h"
#ifdef HAVE_APRUTIL
#include <apr_md5.h>
#include "util/library.h"
#endif

/* Rounds of SHA-512-crypt: 0 is the format's default, 5000. */
#define ROUNDS 0

/* Of the salt of an {SSHA}. */
#define SSHA_SALT_MAX 256
#define SSHA_BYTES_MAX (DIGEST_SHA1_BYTES + SSHA_SALT_MAX)

_Static_assert(PASSWORD_HASH_PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "libcrypt's limit");

/* ---- the methods ---- */

struct password_method {
    const char *prefix;
    const char *name;
    size_t last;  /* bytes behind the last $, or 0 */
    size_t whole; /* bytes of the whole hash, or 0 */
    bool crypt;   /* libcrypt computes it */
    bool slow;
};

static const struct password_method password_methods[] = {
    {"{PLAIN}", "plain", 0, 0, false, false},
    {"{SHA}", "sha", 0, sizeof "{SHA}" - 1 + 28, false, false},
    {"{SSHA}", "ssha", 0, 0, false, false},
    {"$apr1$", "apr1", 22, 0, false, false},
    {"$6$", "sha512-crypt", 86, 0, true, false},
    {"$5$", "sha256-crypt", 43, 0, true, false},
    {"$y$", "yescrypt", 43, 0, true, true},
    {"$gy$", "gost-yescrypt", 43, 0, true, true},
    {"$7$", "scrypt", 43, 0, true, true},
    {"$2", "bcrypt", 0, 60, true, true},
    {"$1$", "md5-crypt", 22, 0, true, false},
    {"$sha1$", "sha1-crypt", 28, 0, true, false},
    {"$md5", "sunmd5", 22, 0, true, false},
    {"$3$", "nt", 32, 0, true, false},
    {"_", "bsdi-des-crypt", 0, 20, true, false},
    {"", "des-crypt", 0, 13, true, false},
};

static const struct password_method *
find_method(struct bytes hash)
{
    const struct password_method *m = password_methods;

    while (!bytes_start_with(hash, bytes_str(m->prefix)))
        m++;
    return m;
}

static size_t
count_behind_last_dollar(struct bytes hash)
{
    const char *p = hash.p;
    size_t n = 0;

    while (n < hash.n && p[hash.n - 1 - n] != '$')
        n++;
    return n;
}

/* The bytes of an {SSHA}: 20 of SHA-1, then the salt. nginx compares texts, so the text must be
 * padded. */
static bool
decode_ssha(struct bytes hash, uint8_t bytes[SSHA_BYTES_MAX], size_t *n)
{
    struct bytes text = bytes_after(hash, strlen("{SSHA}"));

    return text.n % 4 == 0 && base64_decode(bytes, SSHA_BYTES_MAX, n, text) &&
           *n >= DIGEST_SHA1_BYTES;
}

static bool
libcrypt_knows(struct bytes hash)
{
    char text[CRYPT_OUTPUT_SIZE];
    int known;

    if (hash.n >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)hash.n, (const char *)hash.p);
    known = crypt_checksalt(text);
    return known != CRYPT_SALT_INVALID && known != CRYPT_SALT_METHOD_DISABLED;
}

static bool
is_usable(const struct password_method *m, struct bytes hash)
{
    uint8_t bytes[SSHA_BYTES_MAX];
    size_t n;

    if ((m->whole > 0 && hash.n != m->whole) ||
        (m->last > 0 && count_behind_last_dollar(hash) != m->last))
        return false;
    if (strcmp(m->name, "ssha") == 0)
        return decode_ssha(hash, bytes, &n);
    return !m->crypt || libcrypt_knows(hash);
}

const char *
password_hash_method(struct bytes hash, bool *usable)
{
    const struct password_method *m = find_method(hash);

    *usable = is_usable(m, hash);
    return *m->prefix != '\0' || *usable ? m->name : "unknown";
}

bool
password_hash_is_slow(struct bytes hash)
{
    return find_method(hash)->slow;
}

/* ---- new hashes ---- */

int
password_hash_make(struct buf *out, const char *password, const uint8_t *salt, struct err *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = mem_alloc(sizeof *data); /* 32 KiB: too much for the stack */
    const char *hash = NULL;
    bool good;
    int why;

    if (crypt_gensalt_rn("$6$", ROUNDS, (const char *)salt, PASSWORD_HASH_SALT_BYTES, setting,
                         sizeof setting) != NULL)
        hash = crypt_r(password, setting, data);
    good = hash != NULL && *hash == '$';
    why = errno;
    if (good)
        buf_puts(out, hash);
    explicit_bzero(data, sizeof *data);
    free(data);
    errno = why;
    return good ? 0 : err_errno(err, "cannot hash the password");
}

/* SHA-1 of the password and the salt. */
static bool
hash_with_salt(uint8_t out[DIGEST_SHA1_BYTES], const char *password, struct bytes salt)
{
    char text[PASSWORD_HASH_PASSWORD_MAX + SSHA_SALT_MAX];
    size_t n = strlen(password);
    bool good;

    if (n > PASSWORD_HASH_PASSWORD_MAX)
        return false;
    memcpy(text, password, n);
    if (salt.n > 0)
        memcpy(text + n, salt.p, salt.n);
    good = digest_sha1(out, bytes_of(text, n + salt.n));
    explicit_bzero(text, sizeof text);
    return good;
}

int
password_hash_make_cheap(struct buf *out, const char *secret, const uint8_t *salt, struct err *err)
{
    uint8_t bytes[DIGEST_SHA1_BYTES + PASSWORD_HASH_SALT_BYTES];
    char text[BASE64_TEXT(sizeof bytes)];

    _Static_assert(sizeof bytes % 3 == 0, "no padding, which base64_encode leaves out");
    memcpy(bytes + DIGEST_SHA1_BYTES, salt, PASSWORD_HASH_SALT_BYTES);
    if (!hash_with_salt(bytes, secret, bytes_of(salt, PASSWORD_HASH_SALT_BYTES)))
        return err_set(err, ERR_SYSTEM, "cannot hash the secret");
    base64_encode(text, bytes_of(bytes, sizeof bytes));
    buf_putf(out, "{SSHA}%s", text);
    return 0;
}

/* ---- checking ---- */

static bool
check_ssha(struct bytes hash, const char *password)
{
    uint8_t bytes[SSHA_BYTES_MAX], sha[DIGEST_SHA1_BYTES];
    size_t n;

    return decode_ssha(hash, bytes, &n) &&
           hash_with_salt(sha, password,
                          bytes_of(bytes + DIGEST_SHA1_BYTES, n - DIGEST_SHA1_BYTES)) &&
           digest_secret_equal(bytes_of(sha, sizeof sha), bytes_of(bytes, sizeof sha));
}

static bool
check_sha(struct bytes hash, const char *password)
{
    uint8_t sha[DIGEST_SHA1_BYTES];
    char text[BASE64_TEXT(DIGEST_SHA1_BYTES) + 1];

    if (!hash_with_salt(sha, password, bytes_of(NULL, 0)))
        return false;
    base64_encode(text, bytes_of(sha, sizeof sha));
    text[sizeof text - 2] = '=';
    return digest_secret_equal(bytes_after(hash, strlen("{SHA}")), bytes_of(text, sizeof text - 1));
}

static bool
check_by_libcrypt(const char *hash, const char *password)
{
    struct crypt_data *data = mem_alloc(sizeof *data);
    const char *again = crypt_r(password, hash, data);
    bool good = again != NULL && digest_secret_equal(bytes_str(again), bytes_str(hash));

    explicit_bzero(data, sizeof *data);
    free(data);
    return good;
}

#ifdef HAVE_APRUTIL
/* Loaded for the first such password: only "user verify" needs it. */
static struct apr_library {
    __typeof__(apr_password_validate) *apr_password_validate;
} apr_library;

static int
check_apr1(const char *hash, const char *password, struct err *err)
{
    static const struct library_function function =
        LIBRARY_FUNCTION(apr_library, apr_password_validate);
    static const struct library library = {
        "libaprutil, which checks $apr1$,", "libaprutil1", {"libaprutil-1.so.0"}, &function, 1};

    if (apr_library.apr_password_validate == NULL && library_load(&library, &apr_library, err) != 0)
        return -1;
    return apr_library.apr_password_validate(password, hash) == APR_SUCCESS;
}
#else
static int
check_apr1(const char *hash, const char *password, struct err *err)
{
    (void)hash, (void)password;
    return err_set(err, ERR_UNSUPPORTED,
                   "this program was built without libaprutil, which checks $apr1$");
}
#endif

int
password_hash_check(struct bytes hash, const char *password, struct err *err)
{
    const struct password_method *m = find_method(hash);
    char text[CRYPT_OUTPUT_SIZE];

    if (!is_usable(m, hash))
        return 0;
    if (strcmp(m->name, "plain") == 0)
        return digest_secret_equal(bytes_after(hash, strlen("{PLAIN}")), bytes_str(password));
    if (strcmp(m->name, "sha") == 0)
        return check_sha(hash, password);
    if (strcmp(m->name, "ssha") == 0)
        return check_ssha(hash, password);
    snprintf(text, sizeof text, "%.*s", (int)hash.n, (const char *)hash.p);
    return strcmp(m->name, "apr1") == 0 ? check_apr1(text, password, err)
                                        : check_by_libcrypt(text, password);
}
