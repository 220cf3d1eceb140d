#include "storage/layers/index_store.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "storage/files/blob_cache.h"
#include "storage/files/index_object.h"
#include "util/fdio.h"
#include "util/log.h"

/* A power loss leaves all of a file of this size, or what can't be taken for it (src/README,
 * section 14). A larger one is synced. */
#define WHOLE_SIZE 4096

/* ---- objects ---- */

/* 1; 0: there is none, or one of a newer version; -1: with ERR_CORRUPT: it is damaged. */
static int
fetch_index(struct index_store s, const char *key, const struct digest *layer,
            struct layer_index **x, struct err *err)
{
    int fd, rc = index_object_get(s.bucket, key, &fd, err);

    if (rc != 1)
        return rc;
    rc = index_file_take(fd, layer, x, err);
    if (rc != 1)
        return rc == 0 && err->code == ERR_UNSUPPORTED ? 0 : -1;
    if (layer_index_check(*x, err) != 0) {
        layer_index_close(*x);
        *x = NULL;
        return -1;
    }
    blob_cache_keep(s.bucket, key, fd);
    return 1;
}

static int
open_index_object(struct index_store s, const struct digest *layer, struct layer_index **x,
                  struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];
    int fd, rc;

    *x = NULL;
    index_file_path(key, layer);
    fd = blob_cache_look(s.bucket, key);
    if (fd >= 0) {
        rc = index_file_take(fd, layer, x, err);
        if (rc != 0 || err->code == ERR_UNSUPPORTED)
            return rc;
        blob_cache_remove(s.bucket, key);
    }
    rc = fetch_index(s, key, layer, x, err);
    if (rc >= 0 || err->code != ERR_CORRUPT)
        return rc;
    log_line(LOG_WARN, "an index is made again", "object=%s why=%s", key, err->message);
    return index_object_remove(s.bucket, key, err);
}

/* ---- reading ---- */

int
index_store_open(struct index_store s, const struct digest *layer, struct layer_index **x,
                 struct err *err)
{
    return s.bucket != NULL ? open_index_object(s, layer, x, err)
                            : index_file_open(s.dir, layer, x, err);
}

int
index_store_info(struct index_store s, const struct digest *layer, struct layer_info *info,
                 struct err *err)
{
    struct layer_index *x;
    int rc = index_store_open(s, layer, &x, err);

    if (rc == 1) {
        *info = *layer_index_info(x);
        layer_index_close(x);
    }
    return rc;
}

int
index_store_file(struct index_store s, const struct digest *layer, int *fd, struct err *err)
{
    char path[INDEX_FILE_PATH_MAX];
    struct layer_index *x;
    int rc;

    index_file_path(path, layer);
    if (s.bucket != NULL) {
        rc = index_store_open(s, layer, &x, err);
        if (rc != 1)
            return rc;
        layer_index_close(x);
        *fd = blob_cache_look(s.bucket, path);
        return *fd >= 0;
    }
    *fd = openat(s.dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd >= 0)
        return 1;
    return errno == ENOENT ? 0 : err_errno(err, "open %s", path);
}

int
index_store_has(struct index_store s, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];

    if (s.bucket == NULL)
        return index_file_exists(s.dir, layer);
    index_file_path(key, layer);
    return index_object_look(s.bucket, key, err);
}

int
index_store_look(struct index_store s, const struct digest *layer, bool is_asked, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];
    struct layer_index *x;
    int fd = -1, rc;

    if (s.bucket == NULL) {
        err->code = ERR_NONE;
        rc = index_file_open(s.dir, layer, &x, err);
        layer_index_close(x);
        return rc == 0 && err->code == ERR_UNSUPPORTED ? 1 : rc;
    }
    index_file_path(key, layer);
    if (!is_asked)
        fd = blob_cache_look(s.bucket, key);
    fdio_close(fd);
    return fd >= 0 ? 1 : index_store_has(s, layer, err);
}

/* ---- writing ---- */

int
index_store_check(struct index_store s, struct err *err)
{
    return index_file_check(s.dir, err);
}

int
index_store_send(struct index_store s, int fd, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];
    struct stat st;

    if (s.bucket != NULL) {
        index_file_path(key, layer);
        return index_object_put(s.bucket, key, fd, err);
    }
    if (fstat(fd, &st) != 0)
        return err_errno(err, "cannot stat an index");
    return st.st_size > WHOLE_SIZE ? fdio_fsync(fd, "an index", err) : 0;
}

int
index_store_publish(struct index_store s, int fd, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];

    if (s.bucket == NULL)
        return index_file_publish(s.dir, fd, layer, err);
    index_file_path(key, layer);
    blob_cache_keep(s.bucket, key, fd);
    return 0;
}

int
index_store_put(struct index_store s, int fd, const struct digest *layer, struct err *err)
{
    if (index_store_send(s, fd, layer, err) != 0)
        return -1;
    return s.bucket != NULL ? 0 : index_store_publish(s, fd, layer, err);
}

int
index_store_refuse(struct index_store s, const struct layer_info *info, struct err *err)
{
    int fd = index_file_refuse(s.root, info, err), rc;

    if (fd < 0)
        return -1;
    rc = index_store_put(s, fd, &info->layer, err);
    fdio_close(fd);
    return rc;
}

int
index_store_remove(struct index_store s, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];

    if (s.bucket == NULL)
        return index_file_remove(s.dir, layer, err);
    index_file_path(key, layer);
    return index_object_remove(s.bucket, key, err);
}

/* ---- damage ---- */

int
index_store_mend(struct index_store s, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];
    struct layer_index *x;
    int rc = index_store_open(s, layer, &x, err);

    if (rc <= 0)
        return rc;
    rc = layer_index_check(x, err);
    layer_index_close(x);
    if (rc == 0)
        return 0;
    if (err->code != ERR_CORRUPT)
        return -1;
    if (s.bucket == NULL)
        return index_file_remove(s.dir, layer, err);
    /* The object was whole when it was fetched, and is fetched again. */
    index_file_path(key, layer);
    blob_cache_remove(s.bucket, key);
    return 0;
}

int
index_store_examine(struct index_store s, const struct digest *layer, struct err *err)
{
    char key[INDEX_FILE_PATH_MAX];
    int fd, rc;

    if (s.bucket == NULL) {
        rc = index_store_file(s, layer, &fd, err);
    } else {
        index_file_path(key, layer);
        rc = index_object_get(s.bucket, key, &fd, err);
    }
    return rc == 1 ? index_file_examine(fd, layer, err) : rc;
}

int
index_store_each(struct index_store s, unsigned directory,
                 int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                 struct err *err)
{
    return s.bucket != NULL ? index_object_each(s.bucket, directory, fn, arg, err)
                            : index_file_each(s.dir, directory, fn, arg, err);
}
