#include "domain/backup/rebuild.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "util/fdio.h"
#include "util/json.h"

#define LARGEST_MANIFEST ((size_t)4 << 20)
/* Blobs of one page of the table. */
#define PAGE 500

struct rebuilding {
    const struct rebuild *r;
    struct registry reg; /* with a longer lease */
    struct rebuild_counts *n;
};

/* Manifests of more than 64 KiB are files as well. */
static bool
is_manifest_file(int fd, uint64_t size)
{
    struct buf text;
    struct json *j = NULL;
    struct err ignored;
    bool is = false;

    if (size > LARGEST_MANIFEST)
        return false;
    buf_init(&text, LARGEST_MANIFEST + 1);
    if (lseek(fd, 0, SEEK_SET) == 0 && fdio_read_all(fd, "a blob", &text, &ignored) == 0 &&
        text.n > 0 && text.p[0] == '{' && json_parse(buf_bytes(&text), 32, &j, &ignored) == 0)
        is = json_has(j, "schemaVersion") && (json_has(j, "layers") || json_has(j, "manifests"));
    json_free(j);
    buf_free(&text);
    return is;
}

static int
bring_back(struct rebuilding *b, const struct digest *d, int fd, struct err *err)
{
    struct digest found;
    uint64_t size;
    bool is_manifest;

    if (digest_of_fd(&found, d->algo, fd, &size, err) != 0)
        return -1;
    if (!digest_equal(&found, d)) {
        b->n->damaged++;
        return 0;
    }
    is_manifest = is_manifest_file(fd, size);
    if (blob_commit(&b->reg, b->r->repository, d, fd, size, err) != 0)
        return -1;
    b->n->blobs++;
    b->n->bytes += size;
    b->n->manifests += is_manifest;
    b->r->found(b->r->arg, d, size, is_manifest);
    return 0;
}

static int
look_at_file(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct rebuilding *b = arg;
    int fd, rc = tbl_blob_get(kv_reads(b->reg.kv), d, &(struct rec_blob){0}, err);

    (void)age_s;
    b->n->files++;
    b->r->tell(b->r->arg, b->n);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (b->r->is_over(b->r->arg))
        return err_set(err, ERR_BUSY, "interrupted: it can be repeated");
    fd = blob_file_open(b->reg.blobs, d, instance, err);
    if (fd < 0)
        return err->sys == ENOENT ? 0 : -1;
    rc = bring_back(b, d, fd, err);
    fdio_close(fd);
    return rc;
}

/* ---- records without a file ---- */

struct record_page {
    struct digest v[PAGE];
    uint64_t instances[PAGE];
    size_t n;
};

static int
note_record(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct record_page *p = arg;

    (void)err;
    p->instances[p->n] = r->instance;
    p->v[p->n++] = *d;
    return p->n == PAGE;
}

static int
count_missing(struct rebuilding *b, struct err *err)
{
    struct digest after = {.algo = DIGEST_NONE};
    struct record_page p;

    do {
        p.n = 0;
        if (tbl_blob_each(kv_reads(b->reg.kv), &after, note_record, &p, err) != 0)
            return -1;
        for (size_t i = 0; i < p.n; i++) {
            int fd = blob_file_open(b->reg.blobs, &p.v[i], p.instances[i], err);

            b->n->missing += fd < 0 && err->sys == ENOENT;
            fdio_close(fd);
        }
        if (p.n > 0)
            after = p.v[p.n - 1];
        if (b->r->is_over(b->r->arg))
            return err_set(err, ERR_BUSY, "interrupted: it can be repeated");
    } while (p.n == PAGE);
    return 0;
}

int
rebuild_run(const struct rebuild *r, struct rebuild_counts *n, struct err *err)
{
    struct rebuilding b = {.r = r, .reg = *r->reg, .n = n};

    *n = (struct rebuild_counts){0};
    if (b.reg.lease_ms < REBUILD_KEEP_MS)
        b.reg.lease_ms = REBUILD_KEEP_MS;
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        if (blob_file_each(b.reg.blobs, i, look_at_file, &b, err) != 0)
            return -1;
    return count_missing(&b, err);
}
