#include "domain/access/login_cache.h"
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include "domain/access/user_secret.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/random.h"

#define SCHEME "basic"
#define HASH_BYTES 32 /* of HMAC-SHA256; the first half is kept */

int
login_cache_make(struct login_cache *cache, struct err *err)
{
    void *slots = mmap(NULL, LOGIN_CACHE_SLOTS * sizeof *cache->slots, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    *cache = (struct login_cache){.slots = slots != MAP_FAILED ? slots : NULL};
    if (slots == MAP_FAILED)
        return err_errno(err, "cannot share memory between the workers");
    random_bytes(cache->key, sizeof cache->key);
    return 0;
}

void
login_cache_close(struct login_cache *cache)
{
    if (cache->slots != NULL)
        munmap(cache->slots, LOGIN_CACHE_SLOTS * sizeof *cache->slots);
    cache->slots = NULL;
}

/* ---- credentials ---- */

/* RFC 7617: base64 of the name, a colon, and the password. */
bool
login_cache_parse(struct login *l, const char *header)
{
    char text[sizeof l->user + sizeof l->password];
    const char *colon;
    size_t n, name;
    bool good = false;

    if (strncasecmp(header, SCHEME, strlen(SCHEME)) != 0 || header[strlen(SCHEME)] != ' ')
        return false;
    header += strlen(SCHEME);
    header += strspn(header, " ");
    if (base64_decode(text, sizeof text, &n, bytes_str(header)) &&
        (colon = memchr(text, ':', n)) != NULL && memchr(text, '\0', n) == NULL) {
        name = (size_t)(colon - text);
        good = name < sizeof l->user && n - name - 1 < sizeof l->password;
        if (good) {
            memcpy(l->user, text, name);
            l->user[name] = '\0';
            memcpy(l->password, colon + 1, n - name - 1);
            l->password[n - name - 1] = '\0';
        }
    }
    explicit_bzero(text, sizeof text);
    return good;
}

/* ---- the memory ---- */

/* False: there is no such user. */
static bool
hash_login(const struct registry *reg, const struct login *l, uint64_t hash[2])
{
    uint8_t secret[USER_SECRET_BYTES],
        text[USER_SECRET_BYTES + sizeof l->user + sizeof l->password];
    uint8_t whole[HASH_BYTES];
    size_t user = strlen(l->user) + 1, password = strlen(l->password), n = 0;
    uint64_t until_s;
    bool done;

    if (!user_secret_find(reg, bytes_str(l->user), secret, &until_s))
        return false;
    memcpy(text, secret, sizeof secret);
    n += sizeof secret;
    memcpy(text + n, l->user, user);
    n += user;
    memcpy(text + n, l->password, password);
    n += password;
    done = digest_hmac_sha256(whole, bytes_of(reg->login_cache->key, sizeof reg->login_cache->key),
                              bytes_of(text, n));
    memcpy(hash, whole, 2 * sizeof *hash);
    explicit_bzero(text, sizeof text);
    return done;
}

static struct login_cache_slot *
slot_of_login(const struct registry *reg, const uint64_t hash[2])
{
    return &reg->login_cache->slots[hash[0] % LOGIN_CACHE_SLOTS];
}

bool
login_cache_has(const struct registry *reg, const struct login *l)
{
    struct login_cache_slot *slot;
    uint64_t hash[2], there[2];

    if (reg->login_cache == NULL || !hash_login(reg, l, hash))
        return false;
    slot = slot_of_login(reg, hash);
    there[0] = atomic_load(&slot->hash[0]);
    there[1] = atomic_load(&slot->hash[1]);
    return digest_secret_equal(bytes_of(hash, sizeof hash), bytes_of(there, sizeof there)) &&
           clock_mono_ms() < atomic_load(&slot->until_ms);
}

void
login_cache_put(const struct registry *reg, const struct login *l)
{
    struct login_cache_slot *slot;
    uint64_t hash[2];

    if (reg->login_cache == NULL || !hash_login(reg, l, hash))
        return;
    slot = slot_of_login(reg, hash);
    atomic_store(&slot->until_ms, clock_mono_ms() + LOGIN_CACHE_MS);
    atomic_store(&slot->hash[0], hash[0]);
    atomic_store(&slot->hash[1], hash[1]);
}
