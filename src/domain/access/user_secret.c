#include "domain/access/user_secret.h"
#include "domain/access/htpasswd.h"
#include "util/fdio.h"

_Static_assert(USER_SECRET_MAX >= HTPASSWD_MAX, "a line is no longer than its file");

int
user_secret_find(const struct registry *reg, struct bytes user, struct buf *secret, struct err *err)
{
    struct bytes line;
    struct buf file;
    int rc;

    if (reg->users_trusted)
        return 0;
    buf_init(&file, 2 * HTPASSWD_MAX);
    rc = fdio_read_file(reg->dirfd, HTPASSWD_RUN, &file, err);
    if (rc == 1) {
        line = htpasswd_find(buf_bytes(&file), user);
        rc = line.n > 0;
        buf_put(secret, line.p, line.n);
    }
    buf_free(&file);
    return rc;
}
