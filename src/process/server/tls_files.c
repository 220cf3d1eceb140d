#include "process/server/tls_files.h"
#include <unistd.h>
#include "process/server/runfile.h"
#include "process/options/option_file.h"
#include "util/clock.h"
#include "util/log.h"

#define PEM_MAX (1u << 20)
#define CERT_NAME "run/tls.crt"
#define KEY_NAME "run/tls.key"
#define SOON_SECONDS (30 * 24 * 3600)

bool
tls_files_wanted(const struct options *o)
{
    return o->tls_cert != NULL;
}

/* A growing buffer would leave copies of the key in freed memory, so it gets all of its room at
 * once. */
static int
read_pem(struct buf *b, int dirfd, const char *name, const char *option, struct err *err)
{
    struct err inner;

    buf_init(b, PEM_MAX);
    if (buf_extend(b, 64 * 1024) == NULL)
        return err_set(err, ERR_SYSTEM, "out of memory");
    if (option_file_read(dirfd, name, b, err) == 0) {
        if (b->n > 0)
            return 0;
        return err_set(err, ERR_BAD_REQUEST, "%s %s: the file is empty", option, name);
    }
    inner = *err;
    return err_set(err, inner.code, "%s: %s", option, inner.message);
}

/* If the two don't match, in the middle of a renewal for example, nginx would refuse to start. */
static int
check_pair(struct tls_files *t, const struct options *o, struct err *err)
{
    struct err inner;

    if (certificate_check(buf_bytes(&t->cert), buf_bytes(&t->key), &t->span, &inner) == 0)
        return 0;
    return err_set(err, inner.code, "--tls-cert %s, --tls-key %s: %s", o->tls_cert, o->tls_key,
                   inner.message);
}

int
tls_files_read(struct tls_files *t, int dirfd, const struct options *o, struct err *err)
{
    *t = (struct tls_files){.span = {0}};
    if (read_pem(&t->cert, dirfd, o->tls_cert, "--tls-cert", err) == 0 &&
        read_pem(&t->key, dirfd, o->tls_key, "--tls-key", err) == 0 && check_pair(t, o, err) == 0)
        return 0;
    tls_files_free(t);
    return -1;
}

int
tls_files_install(const struct tls_files *t, int dirfd, struct err *err)
{
    if (runfile_write(dirfd, CERT_NAME, buf_bytes(&t->cert), err) < 0)
        return -1;
    return runfile_write(dirfd, KEY_NAME, buf_bytes(&t->key), err);
}

void
tls_files_warn(const struct certificate_span *span, const char *file)
{
    int64_t now = (int64_t)(clock_wall_ms() / 1000);
    const char *what;
    char until[CLOCK_RFC3339_MAX];

    if (now >= span->until)
        what = "the certificate has expired";
    else if (span->until - now < SOON_SECONDS)
        what = "the certificate expires soon";
    else if (now < span->from)
        what = "the certificate isn't valid yet";
    else
        return;
    clock_rfc3339(until, span->until > 0 ? (uint64_t)span->until * 1000 : 0);
    log_line(LOG_WARN, what, "file=%s until=%s", file, until);
}

void
tls_files_remove(int dirfd)
{
    unlinkat(dirfd, CERT_NAME, 0);
    unlinkat(dirfd, KEY_NAME, 0);
}

void
tls_files_free(struct tls_files *t)
{
    if (t->key.p != NULL)
        explicit_bzero(t->key.p, t->key.room);
    buf_free(&t->key);
    buf_free(&t->cert);
}
