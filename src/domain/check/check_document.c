#include "domain/check/check_document.h"
#include "domain/core/pull.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_damage.h"
#include "util/arena.h"
#include "util/mem.h"

#define MEMORY (32u << 20)

struct check_document {
    struct arena arena;
    struct digest digest; /* DIGEST_NONE: nothing is here */
    struct manifest manifest;
    struct bytes text;
};

struct check_document *
check_document_new(void)
{
    struct check_document *d = mem_alloc(sizeof *d);

    arena_init(&d->arena, MEMORY);
    return d;
}

void
check_document_free(struct check_document *d)
{
    if (d != NULL)
        arena_reset(&d->arena);
    free(d);
}

static int
take_document(struct check *c, struct check_document *d, const struct check_entry *e,
              struct bytes text, struct err *err)
{
    struct digest actual;

    if (text.n != check_entry_manifest(e)->size)
        return check_fails(c, "its document has %zu bytes instead of %llu", text.n,
                           (unsigned long long)check_entry_manifest(e)->size);
    digest_of(&actual, e->digest.algo, text);
    if (!digest_equal(&actual, &e->digest))
        return check_fails(c, "its document has another digest");
    d->text = bytes_of(arena_copy(&d->arena, text.p, text.n), text.n);
    if (d->text.p == NULL)
        return arena_full(err);
    /* The digest is right, so these are the bytes that some program has accepted. */
    if (manifest_parse(&d->manifest, d->text, check_entry_manifest(e)->media_type, &d->arena,
                       err) != 0)
        return 2;
    manifest_sort(d->manifest.descriptors, d->manifest.descriptors_n);
    d->digest = e->digest;
    return 1;
}

static int
read_small_document(struct check *c, struct txn *t, struct check_document *d,
                    const struct check_entry *e, struct err *err)
{
    struct buf bytes;
    int rc = tbl_content_get(t, &e->digest, &bytes, err);

    if (rc == 0)
        rc = check_fails(c, "its document is missing");
    else if (rc == 1)
        rc = take_document(c, d, e, buf_bytes(&bytes), err);
    buf_free(&bytes);
    return rc;
}

/* A large document is a blob: whether its file is good is looked at there. */
static int
read_large_document(struct check *c, struct txn *t, struct check_document *d,
                    const struct check_entry *e, struct err *err)
{
    struct rec_damage damage;
    struct rec_blob r;
    char *p;
    int rc = tbl_blob_get(t, &e->digest, &r, err);

    if (rc == 0) {
        rc = tbl_damage_get(t, &e->digest, &damage, err);
        return rc == 0 ? check_fails(c, "its document, a blob, is missing") : rc < 0 ? -1 : 2;
    }
    if (rc < 0)
        return -1;
    if (r.size != check_entry_manifest(e)->size)
        return check_fails(c, "its document has %llu bytes instead of %llu",
                           (unsigned long long)r.size,
                           (unsigned long long)check_entry_manifest(e)->size);
    if (t != kv_reads(c->reg->kv))
        return 2;
    p = arena_alloc(&d->arena, (size_t)r.size + 1);
    if (p == NULL)
        return arena_full(err);
    if (blob_file_read(c->reg->blobs, &e->digest, r.instance, p, (size_t)r.size, err) != 0)
        return 2;
    rc = take_document(c, d, e, bytes_of(p, (size_t)r.size), err);
    return rc == 0 ? 2 : rc;
}

int
check_document_get(struct check *c, struct txn *t, const struct check_entry *e,
                   const struct manifest **m, struct bytes *text, struct err *err)
{
    struct check_document *d = c->document;
    int rc = 1;

    if (!digest_equal(&d->digest, &e->digest)) {
        arena_reset(&d->arena);
        d->digest = (struct digest){.algo = DIGEST_NONE};
        rc = check_entry_manifest(e)->size > CONTENT_MAX ? read_large_document(c, t, d, e, err)
                                                         : read_small_document(c, t, d, e, err);
    }
    *m = &d->manifest;
    *text = d->text;
    return rc;
}
