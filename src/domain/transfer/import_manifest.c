#include "domain/transfer/import_manifest.h"
#include "domain/name.h"
#include "domain/access/immutable.h"
#include "domain/core/push.h"
#include "domain/transfer/import_blob.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/json.h"
#include "util/mem.h"

#define ARENA_MAX ((size_t)16 << 20)
/* Levels of manifests in manifests. */
#define DEPTH_MAX 100

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"

/* A manifest in progress, and the number of indexes around it. */
struct level {
    struct import_store *s;
    const struct digest *d;
    unsigned depth;
    char text[DIGEST_TEXT_MAX];
    struct buf document;
    struct arena arena;
    struct push push;
    const char *tag; /* to be moved to the manifest; NULL: import the manifest itself */
    bool known;      /* it is in the store: its parts are only counted */
};

static int
refuse_document(struct level *l, const char *why)
{
    struct import_store *s = l->s;

    import_store_leave_out(s, "manifest %s@%s is left out: %s", s->name, l->text, why);
    import_set_add(&s->refused, l->d, NULL);
    return 0;
}

/* For a call that failed. */
static int
refuse_unless_fatal(struct level *l, struct err *err)
{
    return import_store_is_fatal(err) ? -1 : refuse_document(l, err->message);
}

/* The Content-Type for a push. docker-registry and layouts keep none, so it is guessed for a
 * document without "mediaType". */
static const char *
document_type(struct bytes document, const char *media_type)
{
    const char *type = media_type_find(media_type) != NULL ? media_type : NULL;
    struct json *doc;
    struct err ignored;

    if (json_parse(document, MANIFEST_DEPTH_MAX, &doc, &ignored) != 0)
        return "";
    if (json_string(json_member(doc, "mediaType")) != NULL)
        type = "";
    else if (type == NULL)
        type = json_type(json_member(doc, "manifests")) == JSON_ARRAY ? OCI_INDEX : OCI_MANIFEST;
    json_free(doc);
    return type;
}

/* An index may also refer to blobs: a build cache does. */
static bool
looks_like_manifest(struct bytes document)
{
    const char *type;
    struct json *doc;
    struct err ignored;
    bool is;

    if (json_parse(document, MANIFEST_DEPTH_MAX, &doc, &ignored) != 0)
        return false;
    type = json_string(json_member(doc, "mediaType"));
    is = (type != NULL && (media_type_find(type) != NULL || media_type_is_schema1(type))) ||
         json_type(json_member(doc, "manifests")) == JSON_ARRAY ||
         json_type(json_member(doc, "fsLayers")) == JSON_ARRAY ||
         (json_member(doc, "config") != NULL && json_member(doc, "layers") != NULL);
    json_free(doc);
    return is;
}

/* Reads the document and checks its digest: 1, 0 (there is none), -1. */
static int
read_imported_document(struct level *l, struct err *err)
{
    struct import_store *s = l->s;
    char is[DIGEST_TEXT_MAX];
    struct digest got;
    int rc = s->source->document(s->source->arg, l->d, &l->document, err);

    if (rc != 1)
        return rc;
    s->counts->bytes += l->document.n;
    digest_of(&got, l->d->algo, buf_bytes(&l->document));
    if (digest_equal(&got, l->d))
        return 1;
    digest_text(is, &got);
    return err_set(err, ERR_DIGEST_MISMATCH, "it is damaged: its bytes are %s", is);
}

/* A blob of a manifest that is in the store already. */
static int
count_known_blob(struct import_store *s, const struct digest *d, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(s->reg->kv), d, &r, err);

    return rc == 1 ? import_store_count_blob(s, d) : rc;
}

static int take_manifest(struct import_store *s, const struct digest *d, const char *media_type,
                         unsigned depth, bool maybe_blob, struct err *err);

/* Imports all that the manifest refers to: 1, 0 (something was left out), -1. */
static int
take_parts(struct level *l, struct err *err)
{
    const struct manifest *m = &l->push.manifest;
    int all = 1;

    for (size_t i = 0; i < m->descriptors_n; i++) {
        const struct manifest_descriptor *part = &m->descriptors[i];
        int rc = 1;

        if (part->elsewhere)
            continue;
        if (part->part == PART_CHILD)
            rc = take_manifest(l->s, &part->digest, "", l->depth + 1, true, err);
        else if (l->known)
            rc = count_known_blob(l->s, &part->digest, err);
        else
            rc = import_blob_ensure(l->s, &part->digest, err);
        if (rc < 0)
            return -1;
        all = rc == 1 ? all : 0;
    }
    return all;
}

/* Imports the parts of a new manifest. An index's document is freed meanwhile and read again,
 * because many indexes may be nested. */
static int
fetch_parts(struct level *l, struct err *err)
{
    bool index = l->push.manifest.media_type->kind == DOCUMENT_INDEX;
    int rc;

    if (index)
        buf_free(&l->document);
    rc = take_parts(l, err);
    if (rc != 1)
        return rc < 0 ? -1 : refuse_document(l, "a part of it is missing or damaged");
    if (index && (rc = read_imported_document(l, err)) != 1)
        return rc < 0 ? refuse_unless_fatal(l, err)
                      : refuse_document(l, "it has disappeared meanwhile");
    l->push.document = buf_bytes(&l->document);
    return 1;
}

/* Parses the manifest, imports its parts, and pushes it: 1, 0, -1. */
static int
push_imported_manifest(struct level *l, const char *media_type, struct err *err)
{
    struct import_store *s = l->s;
    struct push *p = &l->push;
    int rc;

    *p = (struct push){.repository = s->name, .digest = *l->d, .actor = &s->actor, .as_is = true};
    p->document = buf_bytes(&l->document);
    p->content_type = document_type(p->document, media_type);
    if (manifest_parse(&p->manifest, p->document, p->content_type, &l->arena, err) != 0)
        return refuse_unless_fatal(l, err);
    if ((rc = import_store_ensure(s, err)) != 1)
        return rc;
    if (l->tag == NULL && (rc = fetch_parts(l, err)) != 1)
        return rc;
    if (l->tag != NULL) {
        p->tags = &l->tag;
        p->tags_n = 1;
    }
    if (push_manifest(s->reg, p, &l->arena, err) != 0)
        return refuse_unless_fatal(l, err);
    return import_store_count_repository(s);
}

static struct level *
begin_level(struct import_store *s, const struct digest *d, unsigned depth)
{
    struct level *l = mem_alloc(sizeof *l);

    l->s = s;
    l->d = d;
    l->depth = depth;
    digest_text(l->text, d);
    buf_init(&l->document, IMPORT_DOCUMENT_MAX);
    arena_init(&l->arena, ARENA_MAX);
    return l;
}

static void
end_level(struct level *l)
{
    buf_free(&l->document);
    arena_reset(&l->arena);
    free(l);
}

static int
is_known_manifest(const struct import_store *s, const struct digest *d, struct err *err)
{
    struct rec_manifest r;

    return s->ensured ? tbl_manifest_get(kv_reads(s->reg->kv), s->repo.id, d, &r, err) : 0;
}

/* For a manifest that is not in the store. */
static int
take_new(struct level *l, const char *media_type, bool maybe_blob, struct err *err)
{
    int rc;

    if (l->depth > DEPTH_MAX)
        return import_store_leave_out(l->s, "manifest %s@%s is left out: it is nested too deeply",
                                      l->s->name, l->text);
    rc = read_imported_document(l, err);
    if (rc < 0)
        return refuse_unless_fatal(l, err);
    if (maybe_blob && (rc == 0 || !looks_like_manifest(buf_bytes(&l->document)))) {
        rc = import_store_ensure(l->s, err);
        return rc == 1 ? import_blob_ensure(l->s, l->d, err) : rc;
    }
    return rc == 1 ? push_imported_manifest(l, media_type, err)
                   : refuse_document(l, "it isn't there");
}

/* Counts the parts of a manifest that is in the store already. Images that an index lacked before
 * are imported. */
static int
count_known(struct level *l, const char *media_type, struct err *err)
{
    struct push *p = &l->push;
    int rc = read_imported_document(l, err);

    l->known = true;
    p->document = buf_bytes(&l->document);
    if (rc == 1)
        rc = manifest_parse(&p->manifest, p->document, document_type(p->document, media_type),
                            &l->arena, err) == 0
                 ? take_parts(l, err)
                 : -1;
    if (rc < 0 && import_store_is_fatal(err))
        return -1;
    return import_store_count_repository(l->s);
}

static int
take_manifest(struct import_store *s, const struct digest *d, const char *media_type,
              unsigned depth, bool maybe_blob, struct err *err)
{
    struct level *l;
    int is_known, rc;

    if (import_set_has(&s->refused, d))
        return 0;
    if (import_set_has(&s->taken, d))
        return 1;
    if (import_store_go_on(s, err) != 0 || (is_known = is_known_manifest(s, d, err)) < 0)
        return -1;
    l = begin_level(s, d, depth);
    rc = is_known ? count_known(l, media_type, err) : take_new(l, media_type, maybe_blob, err);
    end_level(l);
    s->access->tell(s->access->arg, s->counts);
    if (rc == 1)
        import_set_add(&s->taken, d, NULL);
    return rc;
}

int
import_manifest_take(struct import_store *s, const struct digest *d, const char *media_type,
                     struct err *err)
{
    return take_manifest(s, d, media_type, 0, false, err);
}

/* ---- tags ---- */

/* 1: the tag points to the manifest already. 0, -1. */
static int
tag_is_there(const struct import_store *s, const char *tag, const struct digest *d, struct err *err)
{
    struct rec_tag r;
    int rc = tbl_tag_get(kv_reads(s->reg->kv), s->repo.id, tag, &r, err);

    return rc == 1 ? digest_equal(&r.target, d) : rc;
}

/* For a tag that doesn't point to the manifest: is it immutable? *why: the reason. 1, 0, -1. */
static int
tag_is_immutable(const struct import_store *s, const char *tag, struct err *why, struct err *err)
{
    struct rec_tag r;
    int rc = tbl_tag_get(kv_reads(s->reg->kv), s->repo.id, tag, &r, err);

    if (rc != 1)
        return rc;
    return immutable_check(s->reg, &s->actor, s->name, tag, &r.target, why) != 0;
}

static int
move_tag(struct import_store *s, const char *tag, const struct digest *d, const char *media_type,
         struct err *err)
{
    struct level *l = begin_level(s, d, 0);
    int rc;

    l->tag = tag;
    rc = read_imported_document(l, err);
    if (rc == 1)
        rc = push_imported_manifest(l, media_type, err);
    else if (rc == 0)
        rc = refuse_document(l, "it isn't there");
    else
        rc = refuse_unless_fatal(l, err);
    end_level(l);
    return rc;
}

int
import_manifest_tag(struct import_store *s, const char *tag, const struct digest *d,
                    const char *media_type, struct err *err)
{
    struct err why;
    int rc;

    if (!name_is_tag(tag))
        return import_store_leave_out(s, "tag %.300s of %s is left out: it can't have this name",
                                      tag, s->name);
    rc = import_manifest_take(s, d, media_type, err);
    if (rc == 1 && tag_is_there(s, tag, d, err) != 1) {
        rc = tag_is_immutable(s, tag, &why, err);
        if (rc == 1)
            return import_store_leave_out(s, "tag %s:%s is left out: %s", s->name, tag,
                                          why.message);
        if (rc == 0)
            rc = move_tag(s, tag, d, media_type, err);
    }
    if (rc < 0)
        return -1;
    if (rc == 0)
        return import_store_leave_out(s, "tag %s:%s is left out with its manifest", s->name, tag);
    return import_store_count_tag(s);
}

int
import_manifest_name(struct import_store *s, const char *tag, const struct digest *d,
                     const char *media_type, struct err *err)
{
    char name[RECORD_REPOSITORY_MAX + RECORD_TAG_MAX + 2];
    struct digest hash;
    int rc;

    snprintf(name, sizeof name, "%s:%s", s->name, tag);
    digest_of(&hash, DIGEST_SHA256, bytes_str(name));
    if (!import_set_has(&s->names, &hash)) {
        rc = import_manifest_tag(s, tag, d, media_type, err);
        if (rc == 1)
            import_set_add(&s->names, &hash, NULL);
        return rc;
    }
    rc = import_store_ensure(s, err);
    if (rc == 1)
        rc = tag_is_there(s, tag, d, err);
    return rc != 0 ? rc
                   : import_store_leave_out(s,
                                            "%s is left out: another image of the source has this "
                                            "name, too",
                                            name);
}
