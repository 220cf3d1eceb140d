#include "process/commands/user_change.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "domain/access/htpasswd.h"
#include "process/commands/command.h"
#include "util/clock.h"
#include "util/random.h"

/* The user's line, parsed. Without a line its name is empty. */
static void
find_old(const struct user_edit *e, const char *name, struct htpasswd_user *old)
{
    htpasswd_parse(old, htpasswd_find(buf_bytes(&e->text), bytes_str(name)));
}

static int
check_kind(const struct user_file *f, const struct user_change *c, const struct htpasswd_user *old,
           struct err *err)
{
    if (old->name.n == 0)
        return c->must_exist ? user_file_no_user(f, c->name, err) : 0;
    if (old->robot && !c->robot)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s is a robot: \"user passwd --robot\" gives it a new secret; \"user del\" "
                       "removes it",
                       c->name);
    if (!old->robot && c->robot)
        return err_set(err, ERR_BAD_REQUEST,
                       "%s has a password and is no robot: take another name, or remove this user "
                       "first",
                       c->name);
    return 0;
}

/* Makes the secret and the line of a robot. */
static int
make_robot(struct user_change *c, const struct htpasswd_user *old, struct err *err)
{
    uint8_t salt[HTPASSWD_SALT_BYTES];

    if (c->must_exist && !c->expiry_given) {
        if (htpasswd_has_expired(old, clock_wall_ms() / 1000))
            return err_set(err, ERR_BAD_REQUEST,
                           "the robot %s has expired: say with --expires how long the new secret "
                           "is valid",
                           c->name);
        c->expiry_s = old->expiry_s;
    }
    password_generate_secret(c->secret);
    random_bytes(salt, sizeof salt);
    return htpasswd_add_robot(&c->line, c->name, c->secret, salt, c->expiry_s, err);
}

static int
write_change(const struct user_file *f, struct user_edit *e, struct user_change *c, struct err *err)
{
    struct htpasswd_user old;
    bool nobody;
    int rc = user_file_begin(f, e, err);

    if (rc == 0) {
        find_old(e, c->name, &old);
        rc = check_kind(f, c, &old, err);
    }
    if (rc == 0 && c->robot)
        rc = make_robot(c, &old, err);
    if (rc == 0 && user_file_write(f, e, c->name, buf_bytes(&c->line), &nobody, err) < 0)
        rc = -1;
    user_file_end(e);
    return rc;
}

/* After the file was written, so that a secret that was seen is valid. */
static int
print_secret(const struct user_change *c, struct err *err)
{
    if (c->secret[0] == '\0')
        return 0;
    printf("%s\n", c->secret);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return err_errno(err,
                     "the new secret of %s is valid, but can't be printed: make another one with "
                     "\"user passwd\"",
                     c->name);
}

int
user_change_put(const struct user_file *f, struct user_change *c, struct err *err)
{
    struct user_edit e;
    int rc = write_change(f, &e, c, err);

    if (rc == 0)
        rc = print_secret(c, err);
    if (rc == 0 && faccessat(f->dir.fd, "db/format", F_OK, 0) < 0 && errno == ENOENT)
        command_note("there is no registry in %s yet; %s may use it as soon as there is",
                     f->dir.name, c->name);
    if (rc == 0)
        user_file_await(f, &e, c->name);
    user_file_free(&e);
    return rc;
}

int
user_change_del(const struct user_file *f, const char *name, struct err *err)
{
    struct user_edit e;
    bool nobody = false;
    int rc;

    if (!f->there)
        return user_file_no_user(f, name, err);
    rc = user_file_begin(f, &e, err);
    if (rc == 0) {
        rc = user_file_write(f, &e, name, bytes_of(NULL, 0), &nobody, err);
        if (rc == 0)
            rc = user_file_no_user(f, name, err);
    }
    user_file_end(&e);
    if (rc >= 0)
        user_file_await(f, &e, name);
    user_file_free(&e);
    if (rc < 0)
        return -1;
    if (nobody)
        command_note("%s was the last user: nobody may push or pull now, unless the server has a "
                     "--user. To open the registry to everybody, remove %s/%s, and send SIGHUP "
                     "to the server if it runs",
                     name, f->dir.name, HTPASSWD_OURS);
    return 0;
}
