#include "storage/files/index_object.h"
#include <stdio.h>
#include <string.h>
#include "storage/files/blob_cache.h"
#include "storage/s3/s3_client.h"
#include "util/fdio.h"
#include "util/hex.h"

int
index_object_put(const struct blob_store *s, const char *key, int fd, struct err *err)
{
    struct digest d;
    uint64_t size;

    if (digest_of_fd(&d, DIGEST_SHA256, fd, &size, err) != 0)
        return -1;
    return s3_client_put(s->s3, key, fd, size, &d, err);
}

int
index_object_look(const struct blob_store *s, const char *key, struct err *err)
{
    struct s3_object o;

    return s3_client_head(s->s3, key, &o, err);
}

int
index_object_remove(const struct blob_store *s, const char *key, struct err *err)
{
    blob_cache_remove(s, key);
    return s3_client_delete(s->s3, key, err);
}

int
index_object_get(const struct blob_store *s, const char *key, int *fd, struct err *err)
{
    struct digest ignored = {.algo = DIGEST_SHA256};
    uint64_t bytes;
    int rc;

    *fd = blob_cache_create(s, err);
    if (*fd < 0)
        return -1;
    rc = s3_client_get(s->s3, key, *fd, blob_cache_room(s), 0, &bytes, &ignored, err);
    if (rc == 1)
        return 1;
    fdio_close(*fd);
    *fd = -1;
    return rc;
}

/* ---- the sweep ---- */

struct index_walk {
    enum digest_algo algo;
    int (*fn)(const struct digest *layer, void *arg, struct err *err);
    void *arg;
};

static int
see_index_object(const struct s3_object *o, int64_t now_s, void *arg, struct err *err)
{
    const struct index_walk *w = arg;
    struct digest layer = {.algo = w->algo};
    const char *slash = strrchr(o->key, '/');

    (void)now_s;
    if (slash == NULL ||
        !hex_decode(layer.bytes, digest_size(w->algo), slash + 1, strlen(slash + 1)))
        return 0;
    return w->fn(&layer, w->arg, err);
}

int
index_object_each(const struct blob_store *s, unsigned directory,
                  int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                  struct err *err)
{
    char part[DIGEST_PATH_MAX], prefix[DIGEST_PATH_MAX + sizeof "index//"];
    struct index_walk w = {digest_directory(part, directory), fn, arg};

    snprintf(prefix, sizeof prefix, "index/%s/", part);
    return s3_client_list(s->s3, prefix, see_index_object, &w, err);
}
