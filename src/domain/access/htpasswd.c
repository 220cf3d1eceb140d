#include "domain/access/htpasswd.h"
#include <crypt.h>
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

/* Rounds of SHA-256-crypt: 0 is the format's default, 5000. */
#define ROUNDS 0

_Static_assert(HTPASSWD_PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "libcrypt's limit");

static bool
has_control(struct bytes text)
{
    const unsigned char *p = text.p;

    for (size_t i = 0; i < text.n; i++)
        if (p[i] < ' ' || p[i] == 0x7f)
            return true;
    return false;
}

int
htpasswd_check_name(struct bytes name, struct err *err)
{
    if (name.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "the name is empty");
    if (name.n > HTPASSWD_NAME_MAX)
        return err_set(err, ERR_BAD_REQUEST, "the name has more than %d bytes", HTPASSWD_NAME_MAX);
    if (has_control(name))
        return err_set(err, ERR_BAD_REQUEST, "the name contains a control character");
    if (memchr(name.p, ':', name.n) != NULL)
        return err_set(err, ERR_BAD_REQUEST, "the name contains a colon");
    if (*(const char *)name.p == '#')
        return err_set(err, ERR_BAD_REQUEST, "a name can't start with #");
    return 0;
}

int
htpasswd_check_password(struct bytes password, struct err *err)
{
    if (password.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "the password is empty");
    if (password.n > HTPASSWD_PASSWORD_MAX)
        return err_set(err, ERR_BAD_REQUEST, "the password has more than %d bytes",
                       HTPASSWD_PASSWORD_MAX);
    if (has_control(password))
        return err_set(err, ERR_BAD_REQUEST, "the password contains a control character");
    return 0;
}

int
htpasswd_add(struct buf *lines, const char *name, const char *password, const uint8_t *salt,
             struct err *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = mem_alloc(sizeof *data); /* 32 KiB: too much for the stack */
    const char *hash = NULL;
    bool good;
    int why;

    if (crypt_gensalt_rn("$5$", ROUNDS, (const char *)salt, HTPASSWD_SALT_BYTES, setting,
                         sizeof setting) != NULL)
        hash = crypt_r(password, setting, data);
    good = hash != NULL && *hash == '$';
    why = errno;
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

/* The next line of *rest, with its newline if it has one. False at the end. */
static bool
next_line_with_end(struct bytes *rest, struct bytes *line)
{
    const char *p = rest->p, *end;
    size_t n;

    if (rest->n == 0)
        return false;
    end = memchr(p, '\n', rest->n);
    n = end != NULL ? (size_t)(end - p) + 1 : rest->n;
    *line = bytes_of(p, n);
    *rest = bytes_of(p + n, rest->n - n);
    return true;
}

/* The next line without its line end (LF or CRLF). */
static bool
next_line(struct bytes *rest, struct bytes *line)
{
    const char *p;

    if (!next_line_with_end(rest, line))
        return false;
    p = line->p;
    if (line->n > 0 && p[line->n - 1] == '\n')
        line->n--;
    if (line->n > 0 && p[line->n - 1] == '\r')
        line->n--;
    return true;
}

/* The length of the user name in a line of the form NAME:HASH; 0 for any other line. */
static size_t
user_name_length(struct bytes line)
{
    const char *p = line.p;
    const char *colon = line.n > 0 ? memchr(p, ':', line.n) : NULL;

    if (colon == NULL || colon == p || colon + 1 == p + line.n || *p == '#' || has_control(line))
        return 0;
    return (size_t)(colon - p);
}

bool
htpasswd_next(struct bytes *rest, struct bytes *line, struct bytes *name)
{
    while (next_line(rest, line)) {
        size_t n = user_name_length(*line);

        *name = bytes_of(line->p, n);
        if (n > 0 && n <= HTPASSWD_NAME_MAX)
            return true;
    }
    return false;
}

struct bytes
htpasswd_find(struct bytes file, struct bytes name)
{
    struct bytes line, other;

    while (htpasswd_next(&file, &line, &other))
        if (bytes_equal(other, name))
            return line;
    return bytes_of(NULL, 0);
}

/* ---- editing ---- */

/* Does the line begin with "NAME:"? What follows doesn't matter. */
static bool
line_is_of(struct bytes line, struct bytes name)
{
    return line.n > name.n && bytes_start_with(line, name) && ((const char *)line.p)[name.n] == ':';
}

void
htpasswd_put(struct bytes file, struct bytes name, struct bytes line, struct buf *out)
{
    struct bytes old;
    bool done = false;

    while (next_line_with_end(&file, &old)) {
        if (!line_is_of(old, name)) {
            buf_put(out, old.p, old.n);
        } else if (!done) {
            buf_put(out, line.p, line.n);
            done = true;
        }
    }
    if (done)
        return;
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        buf_putc(out, '\n');
    buf_put(out, line.p, line.n);
}

int
htpasswd_remove(struct bytes file, struct bytes name, struct buf *out)
{
    struct bytes line;
    int removed = 0;

    while (next_line_with_end(&file, &line)) {
        if (line_is_of(line, name))
            removed = 1;
        else
            buf_put(out, line.p, line.n);
    }
    return removed;
}

/* ---- what nginx reads ---- */

/* Hashes that take a tenth of a second or more, during which nginx answers no other request. */
static bool
is_slow_hash(struct bytes hash)
{
    static const char *const slow[] = {"$2", "$y$", "$gy$", "$7$"};

    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (bytes_start_with(hash, bytes_str(slow[i])))
            return true;
    return false;
}

static void
append_user_line(struct buf *out, struct bytes given, struct bytes line, unsigned number,
                 size_t *users)
{
    const char *p = line.p;
    size_t n;

    if (line.n == 0 || *p == '#')
        return;
    n = user_name_length(line);
    if (n == 0) {
        log_line(LOG_WARN, "a line of the password file is left out: not NAME:HASH",
                 "file=" HTPASSWD_OURS " line=%u", number);
        return;
    }
    if (n > HTPASSWD_NAME_MAX) {
        log_line(LOG_WARN, "a line of the password file is left out: the name is too long",
                 "file=" HTPASSWD_OURS " line=%u max=%d", number, HTPASSWD_NAME_MAX);
        return;
    }
    if (htpasswd_find(given, bytes_of(p, n)).p != NULL)
        return;
    if (is_slow_hash(bytes_of(p + n + 1, line.n - n - 1)))
        log_line(
            LOG_WARN,
            "a slow hash in the password file: nginx answers nothing else while it checks it; use "
            "SHA-256-crypt ($5$)",
            "file=" HTPASSWD_OURS " line=%u", number);
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
    int rc;

    buf_init(&file, HTPASSWD_MAX);
    buf_init(&out, 2 * HTPASSWD_MAX);

    rc = fdio_read_file(dirfd, HTPASSWD_OURS, &file, err);
    if (rc < 0)
        goto done;
    new.closed = rc == 1 || given.n > 0;
    while (next_line(&rest, &line))
        new.users++;
    buf_put(&out, given.p, given.n);
    rest = buf_bytes(&file);
    for (unsigned number = 1; next_line(&rest, &line); number++)
        append_user_line(&out, given, line, number, &new.users);
    if (!buf_ok(&out))
        rc = err_set(err, ERR_TOO_LARGE, "%s: too large", HTPASSWD_OURS);
    else if (new.closed)
        rc = fdio_replace_file(dirfd, HTPASSWD_RUN, 0600, buf_bytes(&out), err);
    else if (unlinkat(dirfd, HTPASSWD_RUN, 0) < 0 && errno != ENOENT)
        rc = err_errno(err, "cannot remove %s", HTPASSWD_RUN);
    else
        rc = 0;
    if (rc == 0)
        *state = new;
done:
    buf_free(&file);
    buf_free(&out);
    return rc;
}
