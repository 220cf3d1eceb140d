#include "domain/access/htpasswd.h"
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"

/* Lines of the password file that one reading warns of. */
#define WARNINGS_MAX 20
/* Time until robots that couldn't be removed are tried again. */
#define EXPIRE_AGAIN_S 5

#define ROBOT "robot"
#define EXPIRES "expires="

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

static int
end_user_line(struct buf *lines, struct err *err)
{
    buf_putc(lines, '\n');
    return buf_ok(lines) ? 0 : err_set(err, ERR_TOO_LARGE, "too many users");
}

int
htpasswd_add(struct buf *lines, const char *name, const char *password, const uint8_t *salt,
             struct err *err)
{
    buf_putf(lines, "%s:", name);
    return password_hash_make(lines, password, salt, err) != 0 ? -1 : end_user_line(lines, err);
}

int
htpasswd_add_robot(struct buf *lines, const char *name, const char *secret, const uint8_t *salt,
                   uint64_t expiry_s, struct err *err)
{
    buf_putf(lines, "%s:", name);
    if (password_hash_make_cheap(lines, secret, salt, err) != 0)
        return -1;
    buf_puts(lines, ":" ROBOT);
    if (expiry_s > 0)
        buf_putf(lines, "," EXPIRES "%llu", (unsigned long long)expiry_s);
    return end_user_line(lines, err);
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

/* Cuts *rest at the first such byte. The part before it; *rest is what follows. */
static struct bytes
cut_field(struct bytes *rest, char end)
{
    const char *p = rest->p;
    const char *at = rest->n > 0 ? memchr(p, end, rest->n) : NULL;
    struct bytes field = at != NULL ? bytes_of(p, (size_t)(at - p)) : *rest;

    *rest = at != NULL ? bytes_after(*rest, field.n + 1) : bytes_of(NULL, 0);
    return field;
}

void
htpasswd_parse(struct htpasswd_user *u, struct bytes line)
{
    struct bytes word;

    *u = (struct htpasswd_user){.robot = false};
    u->name = cut_field(&line, ':');
    u->hash = cut_field(&line, ':');
    u->robot = bytes_equal(cut_field(&line, ','), bytes_str(ROBOT));
    while (u->robot && u->expiry_s == 0 && line.n > 0) {
        word = cut_field(&line, ',');
        if (!bytes_start_with(word, bytes_str(EXPIRES)))
            continue;
        word = bytes_after(word, strlen(EXPIRES));
        if (!parse_u64(word.p, word.n, &u->expiry_s) || u->expiry_s == 0)
            u->expiry_s = 1;
    }
}

bool
htpasswd_has_expired(const struct htpasswd_user *u, uint64_t now_s)
{
    return u->expiry_s > 0 && u->expiry_s <= now_s;
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

/* One reading of a password file. */
struct reading {
    struct bytes file, given;
    uint64_t now_s;
    struct bytes *gone; /* names of robots that have expired, sorted */
    size_t gone_n, gone_room;
    unsigned line, warnings;
    bool quiet; /* the file was read before */
    struct htpasswd_state state;
    struct buf out;
};

/* When a robot's line is left out, a later line of the same name must not take its place. */
static void
find_expired(struct reading *r)
{
    struct bytes rest = r->file, line, name;
    struct htpasswd_user u;

    while (htpasswd_next(&rest, &line, &name)) {
        htpasswd_parse(&u, line);
        if (!htpasswd_has_expired(&u, r->now_s))
            continue;
        r->gone = mem_grow(r->gone, &r->gone_room, r->gone_n + 1, sizeof *r->gone);
        r->gone[r->gone_n++] = name;
    }
    if (r->gone_n > 0)
        qsort(r->gone, r->gone_n, sizeof *r->gone, bytes_order);
}

static void
warn_of_user_line(struct reading *r, const char *what)
{
    r->warnings++;
    if (!r->quiet && r->warnings <= WARNINGS_MAX)
        log_line(LOG_WARN, what, "file=" HTPASSWD_OURS " line=%u", r->line);
}

static void
append_user_line(struct reading *r, struct bytes line)
{
    struct htpasswd_user u;
    size_t n;

    if (line.n == 0 || *(const char *)line.p == '#')
        return;
    n = user_name_length(line);
    if (n == 0 || n > HTPASSWD_NAME_MAX) {
        warn_of_user_line(r, n == 0
                                 ? "a line of the password file is left out: not NAME:HASH"
                                 : "a line of the password file is left out: the name is too long");
        return;
    }
    htpasswd_parse(&u, line);
    if (htpasswd_find(r->given, u.name).p != NULL)
        return;
    if (r->gone_n > 0 &&
        bsearch(&u.name, r->gone, r->gone_n, sizeof *r->gone, bytes_order) != NULL) {
        r->state.expired++;
        return;
    }
    if (password_hash_is_slow(u.hash))
        warn_of_user_line(r,
                          "a slow hash in the password file: nginx answers nothing else while it "
                          "checks it; use SHA-512-crypt ($6$)");
    if (u.expiry_s > 0 && (r->state.next_expiry_s == 0 || u.expiry_s < r->state.next_expiry_s))
        r->state.next_expiry_s = u.expiry_s;
    buf_put(&r->out, line.p, line.n);
    buf_putc(&r->out, '\n');
    r->state.users++;
}

/* Fills r->out and r->state from r->given and r->file. */
static void
read_password_file(struct reading *r)
{
    struct bytes line, rest = r->given;

    buf_init(&r->out, 2 * HTPASSWD_MAX);
    while (next_line(&rest, &line))
        r->state.users++;
    buf_put(&r->out, r->given.p, r->given.n);
    find_expired(r);
    rest = r->file;
    for (r->line = 1; next_line(&rest, &line); r->line++)
        append_user_line(r, line);
    if (!r->quiet && r->warnings > WARNINGS_MAX)
        log_line(LOG_WARN, "further lines of the password file are left out, or are slow",
                 "file=" HTPASSWD_OURS " lines=%u", r->warnings - WARNINGS_MAX);
}

static void
forget_reading(struct reading *r)
{
    buf_free(&r->out);
    free(r->gone);
}

int
htpasswd_install(int dirfd, struct bytes given, uint64_t now_s, struct htpasswd_state *state,
                 struct err *err)
{
    struct reading r = {.given = given, .now_s = now_s};
    struct buf file;
    int rc;

    buf_init(&file, HTPASSWD_MAX);
    rc = fdio_read_given(dirfd, HTPASSWD_OURS, &file, err);
    if (rc < 0)
        goto done;
    r.file = buf_bytes(&file);
    r.state.closed = rc == 1 || given.n > 0;
    read_password_file(&r);
    if (!buf_ok(&r.out))
        rc = err_set(err, ERR_TOO_LARGE, "%s: too large", HTPASSWD_OURS);
    else if (r.state.closed)
        rc = fdio_replace_file(dirfd, HTPASSWD_RUN, 0600, buf_bytes(&r.out), err);
    else if (unlinkat(dirfd, HTPASSWD_RUN, 0) < 0 && errno != ENOENT)
        rc = err_errno(err, "cannot remove %s", HTPASSWD_RUN);
    else
        rc = 0;
    if (rc == 0)
        *state = r.state;
    forget_reading(&r);
done:
    buf_free(&file);
    return rc;
}

int
htpasswd_expire(int dirfd, uint64_t now_s, struct htpasswd_state *state, struct err *err)
{
    struct reading r = {.now_s = now_s, .quiet = true};
    struct buf file;
    int rc;

    buf_init(&file, 2 * HTPASSWD_MAX);
    rc = fdio_read_file(dirfd, HTPASSWD_RUN, &file, err);
    if (rc == 0)
        rc = err_set(err, ERR_SYSTEM, "%s is gone", HTPASSWD_RUN);
    if (rc == 1) {
        r.file = buf_bytes(&file);
        read_password_file(&r);
        rc = fdio_replace_file(dirfd, HTPASSWD_RUN, 0600, buf_bytes(&r.out), err);
        forget_reading(&r);
    }
    if (rc == 0) {
        r.state.closed = true;
        r.state.expired += state->expired;
        *state = r.state;
    } else
        state->next_expiry_s = now_s + EXPIRE_AGAIN_S;
    buf_free(&file);
    return rc;
}
