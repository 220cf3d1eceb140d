#include "domain/htpasswd.h"
#include <crypt.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"
#include "util/random.h"
#include "util/banned.h"

#define OURS "auth/htpasswd"
#define NGINX "run/htpasswd"
#define ROUNDS 1000
#define SALT_BYTES 16

int
htpasswd_add(struct buf *lines, const char *name, const char *password, struct err *err)
{
    char salt[SALT_BYTES];
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    random_bytes(salt, sizeof salt);
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: too much for a stack */
    if (data == NULL)
        return err_errno(err, "cannot hash the password of %s", name);
    const char *hash = NULL;
    if (crypt_gensalt_rn("$5$", ROUNDS, salt, sizeof salt, setting, sizeof setting) != NULL)
        hash = crypt_r(password, setting, data);
    bool good = hash != NULL && *hash == '$';
    int why = errno;
    if (good)
        buf_putf(lines, "%s:%s\n", name, hash);
    explicit_bzero(data, sizeof *data);
    free(data);
    errno = why;
    if (!good)
        return err_errno(err, "cannot hash the password of %s", name);
    return buf_ok(lines) ? 0 : err_set(err, ERR_TOO_LARGE, "too many users");
}

/* ---- lines ---- */

/* The next line of *rest without its end; false when there is none. */
static bool
next_line(struct bytes *rest, struct bytes *line)
{
    if (rest->n == 0)
        return false;
    const char *p = rest->p;
    const char *end = memchr(p, '\n', rest->n);
    size_t n = end != NULL ? (size_t)(end - p) : rest->n;
    size_t taken = end != NULL ? n + 1 : n;
    *rest = bytes_of(p + taken, rest->n - taken);
    *line = bytes_of(p, n > 0 && p[n - 1] == '\r' ? n - 1 : n);
    return true;
}

/* How long the name of a line is, 0 when it is none that nginx could use. */
static size_t
name_length(struct bytes line)
{
    const char *p = line.p;
    const char *colon = memchr(p, ':', line.n);
    for (size_t i = 0; i < line.n; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
            return 0;
    if (colon == NULL || colon == p || colon + 1 == p + line.n)
        return 0;
    return (size_t)(colon - p);
}

/* Does one of the lines give this name? */
static bool
has_name(struct bytes lines, struct bytes name)
{
    struct bytes line;
    while (next_line(&lines, &line))
        if (name_length(line) == name.n && bytes_start_with(line, name))
            return true;
    return false;
}

/* These take a tenth of a second each, and more, in which nginx does nothing else. */
static bool
is_slow(struct bytes hash)
{
    static const char *const slow[] = {"$2", "$y$", "$gy$", "$7$"};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (bytes_start_with(hash, bytes_str(slow[i])))
            return true;
    return false;
}

static void
take_line(struct buf *out, struct bytes given, struct bytes line, unsigned number, size_t *users)
{
    const char *p = line.p;
    if (line.n == 0 || *p == '#')
        return;
    size_t n = name_length(line);
    if (n == 0) {
        log_line(LOG_WARN, "line left out: not NAME:HASH", "file=" OURS " line=%u", number);
        return;
    }
    if (has_name(given, bytes_of(p, n)))
        return;
    if (is_slow(bytes_of(p + n + 1, line.n - n - 1)))
        log_line(LOG_WARN,
                 "slow hash: every request with it stops all others for a moment; "
                 "SHA-256-crypt ($5$) doesn't",
                 "file=" OURS " line=%u", number);
    buf_put(out, line.p, line.n);
    buf_putc(out, '\n');
    (*users)++;
}

int
htpasswd_install(int dirfd, struct bytes given, struct htpasswd_state *state, struct err *err)
{
    struct htpasswd_state new = {.users = 0};
    struct bytes line, rest = given;
    struct buf file, out;
    buf_init(&file, HTPASSWD_MAX);
    buf_init(&out, 2 * HTPASSWD_MAX);

    int r = fdio_read_file(dirfd, OURS, &file, err);
    if (r < 0)
        goto done;
    new.closed = r == 1 || given.n > 0;
    while (next_line(&rest, &line))
        new.users++;
    buf_put(&out, given.p, given.n);
    rest = buf_bytes(&file);
    for (unsigned number = 1; next_line(&rest, &line); number++)
        take_line(&out, given, line, number, &new.users);
    if (!buf_ok(&out))
        r = err_set(err, ERR_TOO_LARGE, "%s: too large", OURS);
    else if (new.closed)
        r = fdio_replace_file(dirfd, NGINX, 0600, buf_bytes(&out), err);
    else if (unlinkat(dirfd, NGINX, 0) < 0 && errno != ENOENT)
        r = err_errno(err, "cannot remove %s", NGINX);
    else
        r = 0;
    if (r == 0)
        *state = new;
done:
    buf_free(&file);
    buf_free(&out);
    return r;
}
