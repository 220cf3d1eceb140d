#include "domain/backup/blob_copy.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "storage/files/blob_file.h"
#include "storage/files/blob_remote.h"
#include "storage/tables/tbl_blob.h"
#include "util/fdio.h"
#include "util/mem.h"

/* Blobs of one page of the table. */
#define PAGE 500

struct copy_page {
    struct {
        struct digest digest;
        uint64_t size, instance;
    } v[PAGE];
    size_t n;
};

static int
add_blob_to_copy(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct copy_page *p = arg;

    (void)err;
    p->v[p->n].digest = *d;
    p->v[p->n].size = r->size;
    p->v[p->n++].instance = r->instance;
    return p->n == PAGE;
}

static void
complain_of_blob(struct blob_copy *c, const struct digest *d, const char *why)
{
    char digest[DIGEST_TEXT_MAX], text[ERR_MESSAGE_MAX + DIGEST_TEXT_MAX];

    digest_text(digest, d);
    snprintf(text, sizeof text, "%s is damaged, and wasn't copied: %s", digest, why);
    c->complain(c->arg, text);
    c->damaged++;
}

/* fd: open on the file. */
static int
copy_open_blob(struct blob_copy *c, int fd, const struct digest *d, uint64_t size,
               uint64_t instance, struct err *err)
{
    struct digest found;
    uint64_t bytes;

    if (digest_of_fd(&found, d->algo, fd, &bytes, err) != 0) {
        if (err->sys != EIO)
            return -1;
        complain_of_blob(c, d, "its file can't be read");
        return 0;
    }
    if (bytes != size || !digest_equal(&found, d)) {
        complain_of_blob(c, d, "its file has other contents");
        return 0;
    }
    if (blob_file_put_back(c->to, fd, d, instance, err) != 0)
        return -1;
    c->new_blobs++;
    c->new_bytes += size;
    return 0;
}

/* ---- what is in a bucket ----
 *
 * A list of a directory is one request for a thousand objects, and the table has its blobs one
 * after the other. */

struct listed_object {
    struct digest digest;
    uint64_t instance; /* 0: of an index */
};

struct bucket_list {
    unsigned directory; /* DIGEST_DIRECTORIES: none yet */
    struct listed_object *v;
    size_t n, room;
};

struct copy_lists {
    struct bucket_list blobs, indexes_from, indexes_to;
};

static int
compare_listed(const void *a, const void *b)
{
    const struct listed_object *x = a, *y = b;
    int order = digest_compare(&x->digest, &y->digest);

    return order != 0 ? order : (x->instance > y->instance) - (x->instance < y->instance);
}

static int
add_to_bucket_list(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
                   struct err *err)
{
    struct bucket_list *l = arg;

    (void)age_s;
    (void)err;
    l->v = mem_grow(l->v, &l->room, l->n + 1, sizeof *l->v);
    l->v[l->n++] = (struct listed_object){*d, instance};
    return 0;
}

static int
add_index_to_list(const struct digest *layer, void *arg, struct err *err)
{
    return add_to_bucket_list(layer, 0, 0, arg, err);
}

/* Reads the directory of the digest, unless it is the last one. blobs NULL: that of indexes. */
static int
read_bucket_list(struct bucket_list *l, const struct digest *d, const struct blob_store *blobs,
                 struct index_store indexes, struct err *err)
{
    unsigned directory = digest_directory_of(d);
    int rc;

    if (directory == l->directory)
        return 0;
    l->n = 0;
    l->directory = DIGEST_DIRECTORIES;
    rc = blobs != NULL ? blob_file_each(blobs, directory, add_to_bucket_list, l, err)
                       : index_store_each(indexes, directory, add_index_to_list, l, err);
    if (rc != 0)
        return -1;
    if (l->n > 0)
        qsort(l->v, l->n, sizeof *l->v, compare_listed);
    l->directory = directory;
    return 0;
}

static bool
is_in_bucket_list(const struct bucket_list *l, const struct digest *d, uint64_t instance)
{
    const struct listed_object key = {*d, instance};

    return l->n > 0 && bsearch(&key, l->v, l->n, sizeof *l->v, compare_listed) != NULL;
}

/* 1, 0, -1. */
static int
is_copied_already(struct blob_copy *c, const struct digest *d, uint64_t size, uint64_t instance,
                  struct err *err)
{
    int64_t ignored;

    if (blob_remote_is(c->to))
        return read_bucket_list(&c->lists->blobs, d, c->to, c->indexes_to, err) == 0
                   ? is_in_bucket_list(&c->lists->blobs, d, instance)
                   : -1;
    return blob_file_is(c->to, d, instance, size, &ignored);
}

static int
copy_one_blob(struct blob_copy *c, const struct digest *d, uint64_t size, uint64_t instance,
              struct err *err)
{
    int fd, rc = is_copied_already(c, d, size, instance, err);

    c->blobs++;
    c->bytes += size;
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    fd = blob_file_open(c->from, d, instance, err);
    if (fd < 0 && err->sys != ENOENT)
        return -1;
    if (fd < 0 && !c->is_changing)
        complain_of_blob(c, d, "its file is missing");
    if (fd < 0)
        return 0;
    rc = blob_store_check_room(c->to, size, err);
    if (rc == 0)
        rc = copy_open_blob(c, fd, d, size, instance, err);
    fdio_close(fd);
    return rc;
}

/* ---- indexes ---- */

/* 1, 0, -1. */
static int
has_index(struct index_store s, struct bucket_list *l, const struct digest *layer, struct err *err)
{
    if (s.bucket == NULL)
        return index_store_has(s, layer, err);
    return read_bucket_list(l, layer, NULL, s, err) == 0 ? is_in_bucket_list(l, layer, 0) : -1;
}

static int
copy_index_bytes(struct blob_copy *c, int from, const struct digest *layer, struct err *err)
{
    int to = index_file_create(c->indexes_to.root, err), rc = -1;
    struct stat st;

    if (to < 0)
        return -1;
    if (fstat(from, &st) != 0)
        err_errno(err, "cannot stat an index");
    else if (fdio_append(to, 0, from, (uint64_t)st.st_size, "an index", err) == 0)
        rc = index_store_put(c->indexes_to, to, layer, err);
    fdio_close(to);
    return rc;
}

static bool
are_same_place(const struct index_store *a, const struct index_store *b)
{
    return a->dir == b->dir && a->bucket == b->bucket;
}

/* An index that goes meanwhile, or can't be read, is made again when it is needed. */
static int
copy_layer_index(struct blob_copy *c, const struct digest *layer, struct err *err)
{
    int fd, rc;

    if (are_same_place(&c->indexes_from, &c->indexes_to))
        return 0;
    rc = has_index(c->indexes_from, &c->lists->indexes_from, layer, err);
    if (rc != 1)
        return rc;
    rc = has_index(c->indexes_to, &c->lists->indexes_to, layer, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    rc = index_store_file(c->indexes_from, layer, &fd, err);
    if (rc != 1)
        return rc;
    rc = copy_index_bytes(c, fd, layer, err);
    fdio_close(fd);
    return rc;
}

static int
copy_all_blobs(struct blob_copy *c, struct err *err)
{
    struct digest after = {.algo = DIGEST_NONE};
    struct copy_page p;

    c->blobs = c->bytes = c->new_blobs = c->new_bytes = c->damaged = 0;
    do {
        p.n = 0;
        if (tbl_blob_each(kv_reads(c->kv), &after, add_blob_to_copy, &p, err) != 0)
            return -1;
        for (size_t i = 0; i < p.n; i++) {
            if (copy_one_blob(c, &p.v[i].digest, p.v[i].size, p.v[i].instance, err) != 0 ||
                copy_layer_index(c, &p.v[i].digest, err) != 0)
                return -1;
            c->tell(c->arg, c);
            if (c->is_over(c->arg))
                return err_set(err, ERR_BUSY, "interrupted: it can be repeated");
        }
        if (p.n > 0)
            after = p.v[p.n - 1].digest;
    } while (p.n == PAGE);
    return c->new_blobs > 0 ? blob_store_sync(c->to, err) : 0;
}

int
blob_copy_run(struct blob_copy *c, struct err *err)
{
    const struct bucket_list none = {.directory = DIGEST_DIRECTORIES};
    struct copy_lists lists = {none, none, none};
    int rc;

    c->lists = &lists;
    rc = copy_all_blobs(c, err);
    free(lists.blobs.v);
    free(lists.indexes_from.v);
    free(lists.indexes_to.v);
    return rc;
}
