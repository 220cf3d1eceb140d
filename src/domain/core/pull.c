#include "domain/core/pull.h"
#include <errno.h>
#include "domain/core/document_file.h"
#include "domain/core/foreign_images.h"
#include "domain/core/repository.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"

static int
refuse_no_manifest(const char *repository, const struct reference *reference, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    if (reference->tag != NULL)
        return err_set(err, ERR_NO_MANIFEST, "repository %s has no tag %s", repository,
                       reference->tag);
    digest_text(text, &reference->digest);
    return err_set(err, ERR_NO_MANIFEST, "repository %s has no manifest %s", repository, text);
}

static void
expect_document(const struct registry *reg, uint64_t repo, const struct digest *d,
                bool want_document)
{
    struct txn *t = kv_reads(reg->kv);

    if (!kv_expects(t))
        return;
    tbl_manifest_expect(t, repo, d);
    if (want_document)
        tbl_content_expect(t, d);
}

/* One flight fetches the repository and the tag, and one the manifest that the tag names. */
static void
expect_reference(const struct registry *reg, const char *repository,
                 const struct reference *reference, bool want_document)
{
    struct txn *t = kv_reads(reg->kv);
    uint64_t repo = kv_expects(t) ? repository_expect(reg, repository) : 0;

    if (repo != 0 && reference->tag != NULL)
        tbl_tag_expect(t, repo, reference->tag);
    else if (repo != 0)
        expect_document(reg, repo, &reference->digest, want_document);
}

/* Finds the digest and the record of the manifest: 1, 0, -1. */
static int
resolve_reference(const struct registry *reg, uint64_t repo, const struct reference *reference,
                  bool want_document, struct digest *d, struct rec_manifest *r, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    struct rec_tag tag;
    int rc;

    *d = reference->digest;
    if (reference->tag != NULL) {
        rc = tbl_tag_get(t, repo, reference->tag, &tag, err);
        if (rc != 1)
            return rc;
        *d = tag.target;
        if (d->algo == DIGEST_V1_ID)
            return reg->foreign->refuse_manifest(t, reference->tag, d, err);
        expect_document(reg, repo, d, want_document);
    }
    return tbl_manifest_get(t, repo, d, r, err);
}

static int
take_from_bound(const struct registry *reg, uint64_t n, struct err *err)
{
    if (reg->may_read == NULL)
        return 0;
    if (n > *reg->may_read)
        return err_set(err, ERR_LONG, "more has to be read than this process may read");
    *reg->may_read -= n;
    return 0;
}

/* The records of a damaged or wrongly restored database name bytes that it doesn't have. Only the
 * JSON of a v1 image has no digest. */
static int
verify_content(const struct digest *d, struct bytes content, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct digest found;

    if (d->algo != DIGEST_V1_ID)
        digest_of(&found, d->algo, content);
    if (d->algo == DIGEST_V1_ID ? content.n > 0 : digest_equal(&found, d))
        return 0;
    digest_text(text, d);
    return err_set(err, ERR_CORRUPT,
                   "the database has other bytes (%zu) for %s: run docker-registry-server fsck",
                   content.n, text);
}

int
pull_content(const struct registry *reg, const struct digest *d, struct arena *arena,
             struct bytes *document, struct err *err)
{
    struct buf bytes;
    int rc = tbl_content_get(kv_reads(reg->kv), d, &bytes, err);

    if (rc == 1 &&
        (take_from_bound(reg, bytes.n, err) != 0 || verify_content(d, buf_bytes(&bytes), err) != 0))
        rc = -1;
    if (rc == 1) {
        *document = bytes_of(arena_copy(arena, bytes.p, bytes.n), bytes.n);
        if (document->p == NULL)
            rc = arena_full(err);
    }
    buf_free(&bytes);
    return rc;
}

static int
read_blob_into(const struct registry *reg, const struct digest *d, uint64_t max,
               struct arena *arena, struct bytes *out, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), d, &r, err);
    char *p;

    if (rc != 1 || r.size > max)
        return rc < 0 ? -1 : 0;
    if (take_from_bound(reg, r.size, err) != 0)
        return -1;
    p = arena_alloc(arena, (size_t)r.size + 1);
    if (p == NULL)
        return arena_full(err);
    if (blob_file_read(reg->blobs, d, r.instance, p, (size_t)r.size, err) != 0)
        return -1;
    *out = bytes_of(p, (size_t)r.size);
    return 1;
}

static bool
is_damaged_file(const struct err *err)
{
    return err->code == ERR_CORRUPT || err->sys == ENOENT || err->sys == EIO;
}

int
pull_blob(const struct registry *reg, const struct digest *d, uint64_t max, struct arena *arena,
          struct bytes *out, struct err *err)
{
    int rc = read_blob_into(reg, d, max, arena, out, err);

    if (rc < 0 && is_damaged_file(err)) /* or a new push has just replaced it */
        rc = read_blob_into(reg, d, max, arena, out, err);
    if (rc >= 0 || !is_damaged_file(err))
        return rc;
    document_file_tell_damage(d, err->message);
    return 0;
}

int
pull_document(const struct registry *reg, const struct digest *d, uint64_t size,
              struct arena *arena, struct bytes *document, struct err *err)
{
    struct digest found;
    int rc;

    if (size <= CONTENT_MAX)
        return pull_content(reg, d, arena, document, err);
    rc = pull_blob(reg, d, size, arena, document, err);
    if (rc != 1)
        return rc;
    digest_of(&found, d->algo, *document);
    if (digest_equal(&found, d))
        return 1;
    document_file_tell_damage(d, "its file has another digest");
    return 0;
}

static int
refuse_damaged(const struct digest *d, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return err_set(err, ERR_DAMAGED_MANIFEST, "the manifest %s is damaged on the registry's disk",
                   text);
}

/* A large document has a file. Its record goes with the manifest's, and before that if the file was
 * found damaged (domain/check/damage.h). 1, 0, -1. */
static int
find_large_document(const struct registry *reg, uint64_t repo, struct pulled *out, struct err *err)
{
    struct rec_manifest again;
    struct rec_blob blob;
    int rc = tbl_blob_get(kv_reads(reg->kv), &out->digest, &blob, err);

    if (rc == 1) {
        rc = document_file_check(reg, &out->digest, blob.instance, err);
        if (rc == 1)
            blob_file_path(out->path, &out->digest, blob.instance);
        if (rc != 0)
            return rc;
        rc = tbl_blob_get(kv_reads(reg->kv), &out->digest, &blob, err);
    }
    if (rc == 0)
        rc = tbl_manifest_get(kv_reads(reg->kv), repo, &out->digest, &again, err);
    return rc == 1 ? refuse_damaged(&out->digest, err) : rc;
}

static int
pull_once(const struct registry *reg, uint64_t repo, const struct reference *reference,
          bool want_document, struct arena *arena, struct pulled *out, struct err *err)
{
    struct rec_manifest r = {.size = 0};
    int rc = resolve_reference(reg, repo, reference, want_document, &out->digest, &r, err);

    if (rc != 1)
        return rc;
    out->size = r.size;
    snprintf(out->media_type, sizeof out->media_type, "%s", r.media_type);
    if (out->size > CONTENT_MAX)
        return find_large_document(reg, repo, out, err);
    return want_document ? pull_content(reg, &out->digest, arena, &out->document, err) : 1;
}

int
pull_manifest(const struct registry *reg, const char *repository, const struct reference *reference,
              bool want_document, struct arena *arena, struct pulled *out, struct err *err)
{
    struct rec_repo repo;
    int rc;

    *out = (struct pulled){.size = 0};
    expect_reference(reg, repository, reference, want_document);
    rc = repository_need(reg, repository, &repo, err);
    if (rc == 0)
        out->repo = repo.id;
    /* Each read sees its own moment. If the tag moves between the two reads, both are repeated. */
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = pull_once(reg, repo.id, reference, want_document, arena, out, err);
    kv_expect_end(kv_reads(reg->kv));
    if (rc == 0)
        return refuse_no_manifest(repository, reference, err);
    return rc < 0 ? -1 : 0;
}
