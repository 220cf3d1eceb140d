#include "process/commands/user_verify.h"
#include "domain/access/htpasswd.h"
#include "process/commands/command.h"
#include "util/clock.h"

static int
verify_line(const struct htpasswd_user *u, const char *name, const char *password, struct err *err)
{
    bool usable;
    int rc;

    password_hash_method(u->hash, &usable);
    if (!usable)
        return err_set(err, ERR_BAD_REQUEST,
                       "nginx can't check the hash of %s: give this user a new password", name);
    rc = password_hash_check(u->hash, password, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_BAD_REQUEST, "this is not the password of %s", name);
    if (htpasswd_has_expired(u, clock_wall_ms() / 1000))
        return err_set(err, ERR_BAD_REQUEST, "the secret is right, but the robot %s has expired",
                       name);
    return 0;
}

int
user_verify_password(const struct user_file *f, const char *name, const char *password,
                     struct err *err)
{
    struct htpasswd_user u;
    struct bytes line;
    struct buf file;
    int rc;

    buf_init(&file, HTPASSWD_MAX);
    rc = f->there ? command_read(&f->dir, &f->who, HTPASSWD_OURS, &file, err) : 0;
    if (rc >= 0) {
        line = htpasswd_find(buf_bytes(&file), bytes_str(name));
        htpasswd_parse(&u, line);
        rc = line.n == 0 ? user_file_no_user(f, name, err) : verify_line(&u, name, password, err);
    }
    buf_free(&file);
    return rc;
}
