#include "storage/files/blob_object.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "storage/s3/s3_client.h"

#define QUARANTINE "quarantine/"
/* Times that other bytes than expected are read. */
#define READS 2

int
blob_object_put(const struct blob_store *s, const char *path, int fd, const struct digest *d,
                struct err *err)
{
    struct digest sha256 = *d;
    struct stat st;
    uint64_t size;

    if (fstat(fd, &st) != 0)
        return err_errno(err, "cannot look at the file of %s", path);
    if (d->algo != DIGEST_SHA256 && digest_of_fd(&sha256, DIGEST_SHA256, fd, &size, err) != 0)
        return -1;
    return s3_client_put(s->s3, path, fd, (uint64_t)st.st_size, &sha256, err);
}

static int
confirm_missing(const struct blob_store *s, struct err *err)
{
    uint64_t id;
    int rc = blob_store_read_id(s, &id, err);

    if (rc == 1)
        return 0;
    return rc < 0 ? -1 : err_set(err, ERR_FAULT, "%.200s has no registry-id any more", s->name);
}

int
blob_object_look(const struct blob_store *s, const char *path, uint64_t *bytes, int64_t *modified,
                 struct err *err)
{
    struct s3_object o;
    int rc = s3_client_head(s->s3, path, &o, err);

    if (rc == 1) {
        *bytes = o.size;
        *modified = o.modified_s;
    }
    return rc == 0 ? confirm_missing(s, err) : rc;
}

int
blob_object_get(const struct blob_store *s, const char *path, int fd, uint64_t most, uint64_t rate,
                const struct digest *d, struct err *err)
{
    struct digest got = {.algo = d->algo};
    uint64_t bytes;

    for (int i = 0; i < READS; i++) {
        int rc = s3_client_get(s->s3, path, fd, most, rate, &bytes, &got, err);

        if (rc == 0)
            return confirm_missing(s, err);
        if (rc < 0 || digest_equal(&got, d))
            return rc;
    }
    err_set(err, ERR_CORRUPT, "S3 has other bytes for %.150s", path);
    err->sys = EIO;
    return -1;
}

/* ---- damaged ones ---- */

struct held_objects {
    uint64_t n, bytes;
    struct s3_object oldest;
};

static int
look_at_held_object(const struct s3_object *o, int64_t now_s, void *arg, struct err *err)
{
    struct held_objects *h = arg;

    (void)now_s;
    (void)err;
    if (h->n++ == 0 || o->modified_s < h->oldest.modified_s)
        h->oldest = *o;
    h->bytes += o->size;
    return 0;
}

int
blob_object_quarantine(const struct blob_store *s, const char *path, uint64_t files_max,
                       uint64_t bytes_max, struct err *err)
{
    char to[DIGEST_PATH_MAX + 20 + sizeof QUARANTINE];
    struct held_objects h;
    struct s3_object o;
    int rc;

    /* S3 copies no larger one in one request. It has no record any more: the sweep removes it. */
    rc = s3_client_head(s->s3, path, &o, err);
    if (rc != 1 || o.size > s->s3->put_max)
        return rc < 0 ? -1 : 0;
    snprintf(to, sizeof to, QUARANTINE "%s", strrchr(path, '/') + 1);
    rc = s3_client_copy(s->s3, path, to, err);
    if (rc < 0 || (rc == 1 && s3_client_delete(s->s3, path, err) != 0))
        return -1;
    for (;;) {
        h = (struct held_objects){.n = 0};
        if (s3_client_list(s->s3, QUARANTINE, look_at_held_object, &h, err) != 0)
            return -1;
        if (h.n == 0 || (h.n <= files_max && h.bytes <= bytes_max))
            return 0;
        if (s3_client_delete(s->s3, h.oldest.key, err) != 0)
            return -1;
    }
}
