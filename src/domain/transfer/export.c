#include "domain/transfer/export.h"
#include <limits.h>
#include <sys/stat.h>
#include "domain/transfer/export_document.h"
#include "domain/core/pull.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "storage/layers/tar_write.h"
#include "storage/tables/tbl_blob.h"
#include "util/arena.h"
#include "util/fdio.h"

/* The largest document, in bytes: enough for a million tags. */
#define DOCUMENT_MAX ((size_t)1 << 30)
#define MANIFEST_SCRATCH ((size_t)8 << 20)
/* Milliseconds between two calls of is_over. */
#define STEP ((uint64_t)4 << 20)
#define WAIT_MS 500
/* Bytes that a writable pipe takes without waiting. */
#define PIECE ((size_t)PIPE_BUF)

struct out {
    const struct export_plan *plan;
    const struct export_to *to;
    uint64_t done;
    uint64_t all;
};

static int
go_on(const struct out *o, struct err *err)
{
    return o->to->is_over(o->to->arg) ? err_set(err, ERR_BUSY, "the export was interrupted") : 0;
}

/* A pipe's reader may be slow, and the export may have been told to stop. */
static int
wait_for_reader(const struct out *o, struct err *err)
{
    int r;
    do
        r = go_on(o, err) < 0 ? -1 : fdio_can_write(o->to->fd, WAIT_MS, o->to->what, err);
    while (r == 0);
    return r < 0 ? -1 : 0;
}

/* ---- the entries of a tar ---- */

static int
write_bytes(struct out *o, const char *p, size_t n, struct err *err)
{
    while (n > 0) {
        size_t some = n < PIECE ? n : PIECE;
        if (wait_for_reader(o, err) < 0 || fdio_write_all(o->to->fd, p, some, o->to->what, err) < 0)
            return -1;
        p += some;
        n -= some;
    }
    return 0;
}

static int
write_header(struct out *o, const char *name, enum layer_type type, uint64_t size, struct err *err)
{
    const struct tar_entry e = {.path = bytes_str(name),
                                .type = type,
                                .mode = type == LAYER_DIR ? 0755 : 0644,
                                .size = size};
    struct buf header;
    int r;

    buf_init(&header, TAR_WRITE_HEADER_MAX);
    tar_write_header(&header, &e);
    r = buf_ok(&header) ? write_bytes(o, header.p, header.n, err) : arena_full(err);
    buf_free(&header);
    return r;
}

static int
write_padding(struct out *o, uint64_t size, struct err *err)
{
    static const char zeroes[512];
    return write_bytes(o, zeroes, tar_write_padding(size), err);
}

static int
put_file(struct out *o, const char *name, struct bytes content, struct err *err)
{
    if (write_header(o, name, LAYER_FILE, content.n, err) < 0 ||
        write_bytes(o, content.p, content.n, err) < 0)
        return -1;
    return write_padding(o, content.n, err);
}

/* ---- blobs ---- */

static int
blob_is_gone(const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    digest_text(text, d);
    return err_set(err, ERR_NO_BLOB, "%s was deleted while it was exported", text);
}

/* Opens the blob's file, and checks its length. A descriptor, or -1. Tries twice, since a blob that
 * was collected and pushed again has another file. */
static int
open_exported_blob(const struct out *o, const struct export_item *item, struct err *err)
{
    struct rec_blob r;
    struct stat st;
    int fd = -1;
    for (int i = 0; i < 2 && fd < 0; i++) {
        int found = tbl_blob_get(kv_reads(o->plan->reg->kv), &item->digest, &r, err);
        if (found != 1)
            return found < 0 ? -1 : blob_is_gone(&item->digest, err);
        fd = blob_file_open(o->plan->reg->blobs, &item->digest, r.instance, err);
    }
    if (fd >= 0 && (fstat(fd, &st) < 0 || (uint64_t)st.st_size != item->size)) {
        char text[DIGEST_TEXT_MAX];
        digest_text(text, &item->digest);
        err_set(err, ERR_CORRUPT, "the file of %s is damaged: it isn't %llu bytes long", text,
                (unsigned long long)item->size);
        fdio_close(fd);
        fd = -1;
    }
    return fd;
}

static int
put_blob(struct out *o, const char *name, const struct export_item *item, struct err *err)
{
    int fd = open_exported_blob(o, item, err);
    int r;
    uint64_t at;

    if (fd < 0)
        return -1;
    r = write_header(o, name, LAYER_FILE, item->size, err);
    at = 0;
    while (r == 0 && at < item->size) {
        uint64_t before = at, n = item->size - at < STEP ? item->size - at : STEP;
        r = wait_for_reader(o, err) < 0 ? -1 : fdio_send(o->to->fd, fd, &at, n, o->to->what, err);
        o->done += at - before;
        o->to->tell(o->to->arg, o->done, o->all);
    }
    fdio_close(fd);
    return r < 0 ? -1 : write_padding(o, item->size, err);
}

static int
write_manifest(struct out *o, const char *name, const struct export_item *item, struct err *err)
{
    struct bytes document;
    struct arena arena;
    int r;

    arena_init(&arena, MANIFEST_SCRATCH);
    r = pull_document(o->plan->reg, &item->digest, item->size, &arena, &document, err);
    if (r == 0)
        r = blob_is_gone(&item->digest, err);
    if (r == 1)
        r = put_file(o, name, document, err);
    arena_reset(&arena);
    o->done += item->size;
    o->to->tell(o->to->arg, o->done, o->all);
    return r;
}

/* Has the item before this one the same digest? Then its file serves both. */
static bool
is_again(const struct export_plan *p, size_t i)
{
    return i > 0 && digest_equal(&p->items[i].digest, &p->items[i - 1].digest);
}

static int
put_items(struct out *o, struct err *err)
{
    char name[32 + DIGEST_TEXT_MAX], hex[DIGEST_TEXT_MAX];
    const struct export_plan *p = o->plan;
    int r = write_header(o, "blobs", LAYER_DIR, 0, err);
    for (size_t i = 0; r == 0 && i < p->n; i++) {
        const struct export_item *item = &p->items[i];
        const char *algo = digest_algo_name(item->digest.algo);
        if (is_again(p, i))
            continue;
        snprintf(name, sizeof name, "blobs/%s", algo);
        if (i == 0 || item->digest.algo != p->items[i - 1].digest.algo)
            r = write_header(o, name, LAYER_DIR, 0, err);
        digest_hex(hex, &item->digest);
        snprintf(name, sizeof name, "blobs/%s/%s", algo, hex);
        if (r == 0)
            r = item->repository == EXPORT_PLAN_BLOB ? put_blob(o, name, item, err)
                                                     : write_manifest(o, name, item, err);
    }
    return r;
}

/* ---- the rest ---- */

static int
put_documents(struct out *o, struct err *err)
{
    struct buf docker, index;
    int r;

    buf_init(&docker, DOCUMENT_MAX);
    buf_init(&index, DOCUMENT_MAX);
    r = export_document_docker(o->plan, &docker, o->to->is_over, o->to->arg, err);
    export_document_index(o->plan, &index);
    if (r == 0 && !(buf_ok(&docker) && buf_ok(&index)))
        r = err_set(err, ERR_TOO_MANY, "too many tags for one export: make several");
    if (r == 0 && docker.n > 0)
        r = put_file(o, "manifest.json", buf_bytes(&docker), err);
    if (r == 0)
        r = put_file(o, "oci-layout", bytes_str("{\"imageLayoutVersion\":\"1.0.0\"}"), err);
    if (r == 0)
        r = put_file(o, "index.json", buf_bytes(&index), err);
    buf_free(&docker);
    buf_free(&index);
    return r;
}

int
export_write(const struct export_plan *p, const struct export_to *to, struct err *err)
{
    struct out o = {.plan = p, .to = to};
    struct buf end;
    int r;

    for (size_t i = 0; i < p->n; i++)
        o.all += is_again(p, i) ? 0 : p->items[i].size;
    if (put_items(&o, err) < 0 || put_documents(&o, err) < 0)
        return -1;
    buf_init(&end, TAR_WRITE_HEADER_MAX);
    tar_write_end(&end);
    r = buf_ok(&end) ? write_bytes(&o, end.p, end.n, err) : arena_full(err);
    buf_free(&end);
    return r;
}
