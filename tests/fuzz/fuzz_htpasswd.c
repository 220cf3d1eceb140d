/* A line with a user's name, and a password file. */
#include "domain/access/htpasswd.h"
#include "fuzz.h"

static bool
is_name(struct bytes name)
{
    struct err err = {0};
    bool good = htpasswd_check_name(name, &err) == 0;
    MUST(good || (err.code == ERR_BAD_REQUEST && err.message[0] != '\0'));
    return good;
}

static bool
same(struct bytes a, struct bytes b)
{
    return bytes_equal(a, b) && (a.p == NULL) == (b.p == NULL);
}

/* The fields stand in the line, in this order. A hash that nginx can't check fits no password. Slow
 * hashes are not computed. */
static void
check_user(struct bytes line, struct bytes name)
{
    struct htpasswd_user u;
    struct err err = {0};
    bool usable;
    const char *end = (const char *)line.p + line.n;

    htpasswd_parse(&u, line);
    MUST(bytes_equal(u.name, name));
    MUST((const char *)u.hash.p == (const char *)line.p + name.n + 1);
    MUST((const char *)u.hash.p + u.hash.n <= end && memchr(u.hash.p, ':', u.hash.n) == NULL);
    MUST(u.robot || u.expiry_s == 0);
    MUST(htpasswd_has_expired(&u, UINT64_MAX) == (u.expiry_s > 0));
    MUST(*password_hash_method(u.hash, &usable) != '\0');
    if (!usable)
        MUST(password_hash_check(u.hash, "secret", &err) == 0);
    else if (bytes_start_with(u.hash, bytes_str("{")))
        MUST(password_hash_check(u.hash, "secret", &err) >= 0);
}

/* Each line that counts names somebody who may be one, and its end isn't part of it. */
static void
check_lines(struct bytes file)
{
    struct bytes rest = file, line, name;
    const char *before = file.p;
    while (htpasswd_next(&rest, &line, &name)) {
        const char *p = line.p;
        MUST(p >= before && p + line.n <= (const char *)file.p + file.n);
        MUST(memchr(p, '\n', line.n) == NULL);
        MUST(name.p == line.p && name.n + 1 < line.n && p[name.n] == ':');
        MUST(is_name(name));
        MUST(htpasswd_find(file, name).p != NULL);
        check_user(line, name);
        before = p + line.n;
    }
}

/* Everybody but this one has the same line in both. */
static void
check_others(struct bytes file, struct bytes changed, struct bytes but)
{
    struct bytes rest = file, line, name;
    int n = 0;
    while (n++ < 50 && htpasswd_next(&rest, &line, &name))
        MUST(bytes_equal(name, but) ||
             same(htpasswd_find(file, name), htpasswd_find(changed, name)));
}

static void
check_put(struct bytes file, struct bytes name)
{
    struct buf line, once, twice;
    buf_init(&line, 1000);
    buf_init(&once, HTPASSWD_MAX);
    buf_init(&twice, HTPASSWD_MAX);
    buf_put(&line, name.p, name.n);
    buf_puts(&line, ":$5$hash\n");
    htpasswd_put(file, name, buf_bytes(&line), &once);
    MUST(buf_ok(&once) && once.n <= file.n + line.n + 1);
    MUST(bytes_equal(htpasswd_find(buf_bytes(&once), name), bytes_of(line.p, line.n - 1)));
    check_others(file, buf_bytes(&once), name);
    htpasswd_put(buf_bytes(&once), name, buf_bytes(&line), &twice);
    MUST(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    buf_free(&line);
    buf_free(&once);
    buf_free(&twice);
}

static void
check_remove(struct bytes file, struct bytes name)
{
    struct buf once, twice;
    buf_init(&once, HTPASSWD_MAX);
    buf_init(&twice, HTPASSWD_MAX);
    int removed = htpasswd_remove(file, name, &once);
    MUST(removed == 0 || removed == 1);
    MUST((removed == 1) == (once.n < file.n));
    MUST(removed == 1 || htpasswd_find(file, name).p == NULL);
    MUST(htpasswd_find(buf_bytes(&once), name).p == NULL);
    check_others(file, buf_bytes(&once), name);
    MUST(htpasswd_remove(buf_bytes(&once), name, &twice) == 0);
    MUST(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    buf_free(&once);
    buf_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    char *text = fuzz_line(&data, &n);
    struct bytes name = bytes_str(text), file = bytes_of(data, n);
    check_lines(file);
    if (is_name(name)) {
        check_put(file, name);
        check_remove(file, name);
    }
    MUST(htpasswd_check_password(file, &err) == 0 || err.message[0] != '\0');
    free(text);
    return 0;
}
