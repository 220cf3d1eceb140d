#include "storage/layers/tarsum.h"
#include <inttypes.h>
#include "storage/layers/tar_library.h"
#include "storage/layers/tar_unpack.h"
#include "storage/layers/tar_walk.h"
#include "util/confined.h"
#include "util/hex.h"
#include "util/mem.h"

#define ENTRIES_MAX 500000
#define MEMORY_MAX ((uint64_t)512 << 20)
#define SECONDS_MAX 60

struct sum {
    uint8_t entry[32];
    uint8_t name[32]; /* a hash of it, to find names that occur twice */
};

struct sums {
    struct sum *p;
    size_t n;
    size_t room;
};

/* ---- one entry ---- */

static void
feed_text(struct digest_state *s, const char *key, struct bytes value)
{
    digest_update(s, key, strlen(key));
    digest_update(s, value.p, value.n);
}

static void
feed_number(struct digest_state *s, const char *key, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, value);
    feed_text(s, key, bytes_str(text));
}

static void
feed_header(struct digest_state *s, const struct tar_walk_entry *e, enum tarsum_version version)
{
    feed_text(s, "name", e->name);
    feed_number(s, "mode", e->mode);
    feed_number(s, "uid", e->uid);
    feed_number(s, "gid", e->gid);
    feed_number(s, "size", e->size);
    if (version == TARSUM_V0)
        feed_number(s, "mtime", e->mtime);
    feed_text(s, "typeflag", bytes_of(&e->type, 1));
    feed_text(s, "linkname", e->linkname);
    feed_text(s, "uname", e->uname);
    feed_text(s, "gname", e->gname);
    feed_number(s, "devmajor", e->devmajor);
    feed_number(s, "devminor", e->devminor);
    for (size_t i = 0; version == TARSUM_V1 && i < e->xattrs_n; i++) {
        digest_update(s, e->xattrs[i].name.p, e->xattrs[i].name.n);
        digest_update(s, e->xattrs[i].value.p, e->xattrs[i].value.n);
    }
}

/* docker compares names without one "./" in front and one slash at the end. */
static void
hash_name(struct sum *out, struct bytes name)
{
    struct digest d;

    if (bytes_start_with(name, bytes_str("./")))
        name = bytes_of((const char *)name.p + 2, name.n - 2);
    if (name.n > 0 && ((const char *)name.p)[name.n - 1] == '/')
        name.n--;
    digest_of(&d, DIGEST_SHA256, name);
    memcpy(out->name, d.bytes, sizeof out->name);
}

static int
sum_entry(struct tar_walk *w, const struct tar_walk_entry *e, enum tarsum_version version,
          struct sum *out, struct err *err)
{
    struct digest_state *s = digest_begin(DIGEST_SHA256);
    struct bytes piece;
    struct digest d;
    int rc;

    if (s == NULL)
        return err_set(err, ERR_SYSTEM, "cannot begin a digest");
    feed_header(s, e, version);
    hash_name(out, e->name);
    while ((rc = tar_walk_data(w, &piece, err)) == 1)
        digest_update(s, piece.p, piece.n);
    digest_end(s, &d);
    if (rc == 0 && d.algo == DIGEST_NONE)
        rc = err_set(err, ERR_SYSTEM, "a digest failed");
    memcpy(out->entry, d.bytes, sizeof out->entry);
    return rc;
}

/* ---- all of them ---- */

static int
grow_sums(struct sums *all, struct err *err)
{
    if (all->n == ENTRIES_MAX)
        return err_set(err, ERR_BAD_IMAGE, "it has more than %d entries", ENTRIES_MAX);
    all->p = mem_grow(all->p, &all->room, all->n + 1, sizeof *all->p);
    return 0;
}

static int
sum_all(struct tar_walk *w, enum tarsum_version version, struct sums *all, struct err *err)
{
    struct tar_walk_entry e;
    int rc;

    while ((rc = tar_walk_next(w, &e, err)) == 1) {
        if ((all->n == all->room || all->n == ENTRIES_MAX) && grow_sums(all, err) != 0)
            return -1;
        if (all->p == NULL) /* impossible, but clang --analyze doesn't know what err_set returns */
            return -1;
        if (sum_entry(w, &e, version, &all->p[all->n], err) != 0)
            return -1;
        all->n++;
    }
    return rc;
}

static int
compare_sum_names(const void *a, const void *b)
{
    const struct sum *x = a, *y = b;

    return memcmp(x->name, y->name, sizeof x->name);
}

/* Compares as hex strings, which gives the order of the bytes. */
static int
by_entry(const void *a, const void *b)
{
    const struct sum *x = a, *y = b;

    return memcmp(x->entry, y->entry, sizeof x->entry);
}

static int
conclude(struct sums *all, struct bytes json, struct tarsum *out, struct err *err)
{
    struct digest_state *s = digest_begin(DIGEST_SHA256);
    char hex[65];

    if (s == NULL)
        return err_set(err, ERR_SYSTEM, "cannot begin a digest");
    if (all->p == NULL)
        all->n = 0;
    if (all->n > 0)
        qsort(all->p, all->n, sizeof *all->p, compare_sum_names);
    for (size_t i = 1; i < all->n; i++)
        out->duplicates = out->duplicates || compare_sum_names(&all->p[i - 1], &all->p[i]) == 0;
    if (all->n > 0)
        qsort(all->p, all->n, sizeof *all->p, by_entry);
    digest_update(s, json.p, json.n);
    for (size_t i = 0; i < all->n; i++) {
        hex_encode(hex, all->p[i].entry, sizeof all->p[i].entry);
        digest_update(s, hex, sizeof hex - 1);
    }
    digest_end(s, &out->digest);
    out->computed = out->digest.algo != DIGEST_NONE;
    return 0;
}

int
tarsum_here(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
            struct err *err)
{
    struct tar_unpack *unpack = tar_unpack_open(fd, err);
    struct tar_walk *walk = unpack != NULL ? tar_walk_begin(unpack) : NULL;
    struct sums all = {.n = 0};
    int rc = -1;

    *out = (struct tarsum){.computed = false};
    if (unpack != NULL && (rc = sum_all(walk, version, &all, err)) == 0)
        rc = conclude(&all, json, out, err);
    tar_walk_end(walk);
    tar_unpack_close(unpack);
    free(all.p);
    if (rc == 0 || err->code != ERR_BAD_IMAGE)
        return rc;
    snprintf(out->why, sizeof out->why, "%s", err->message);
    return 0;
}

/* ---- in a process of its own ---- */

struct work {
    int fd;
    enum tarsum_version version;
    struct bytes json;
};

static void
compute(void *arg, void *answer)
{
    const struct work *work = arg;
    struct tarsum sum;
    struct err err;

    if (tarsum_here(work->fd, work->version, work->json, &sum, &err) != 0)
        snprintf(sum.why, sizeof sum.why, "%s", err.message);
    *(struct tarsum *)answer = sum;
}

int
tarsum_of_fd(int fd, enum tarsum_version version, struct bytes json, struct tarsum *out,
             struct err *err)
{
    static const struct confined_limits limits = {.memory = MEMORY_MAX, .seconds = SECONDS_MAX};
    struct work work = {fd, version, json};
    char why[TARSUM_WHY_MAX];
    int rc;

    *out = (struct tarsum){.computed = false};
    if (tar_library_load(err) != 0) /* here, so that it is loaded once */
        return -1;
    rc = confined_run(compute, &work, fd, &limits, out, sizeof *out, why, sizeof why, err);
    if (rc == 1)
        return 0;
    *out = (struct tarsum){.computed = false};
    snprintf(out->why, sizeof out->why, "%s", rc == 0 ? why : "");
    return rc;
}
