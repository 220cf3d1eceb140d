#include "domain/backup/blob_copy.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
    uint64_t instance;
};

struct bucket_list {
    unsigned directory; /* DIGEST_DIRECTORIES: none yet */
    struct listed_object *v;
    size_t n, room;
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
is_in_bucket(struct blob_copy *c, const struct digest *d, uint64_t instance, struct err *err)
{
    const struct listed_object key = {*d, instance};
    struct bucket_list *l = c->list;
    unsigned directory = digest_directory_of(d);

    if (directory != l->directory) {
        l->n = 0;
        l->directory = DIGEST_DIRECTORIES;
        if (blob_file_each(c->to, directory, add_to_bucket_list, l, err) != 0)
            return -1;
        if (l->n > 0)
            qsort(l->v, l->n, sizeof *l->v, compare_listed);
        l->directory = directory;
    }
    return l->n > 0 && bsearch(&key, l->v, l->n, sizeof *l->v, compare_listed) != NULL;
}

/* 1, 0, -1. */
static int
is_copied_already(struct blob_copy *c, const struct digest *d, uint64_t size, uint64_t instance,
                  struct err *err)
{
    int64_t ignored;

    if (blob_remote_is(c->to))
        return is_in_bucket(c, d, instance, err);
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
            if (copy_one_blob(c, &p.v[i].digest, p.v[i].size, p.v[i].instance, err) != 0)
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
    struct bucket_list list = {.directory = DIGEST_DIRECTORIES};
    int rc;

    c->list = &list;
    rc = copy_all_blobs(c, err);
    free(list.v);
    return rc;
}
