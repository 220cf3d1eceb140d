#include "domain/transfer/import_layout.h"
#include "domain/transfer/export_document.h"
#include "domain/transfer/import_name.h"
#include "domain/transfer/import_prune.h"
#include "domain/transfer/import_manifest.h"
#include "util/json.h"

#define ONLY_TAG "latest"

struct layout {
    struct import_store *s;
    const struct import_files *files;
    const char *fallback;
    const struct json *entries;
    char common[RECORD_REPOSITORY_MAX + 1]; /* the repository of what has no name */
    size_t images;                          /* entries, without what is attached to an image */
    char entered[RECORD_REPOSITORY_MAX + 1];
    bool good;            /* the one that was entered may have this name */
    struct buf made;      /* an index with less in it, or nothing */
    struct digest pruned; /* and its digest */
    struct digest image;  /* the last entry that isn't attached to another */
};

/* ---- what import_store asks for ---- */

static int
find_layout_blob(void *arg, const struct digest *d, struct import_file *file, struct err *err)
{
    const struct layout *l = arg;
    char path[DIGEST_TEXT_MAX + 32], hex[DIGEST_TEXT_MAX];
    int rc;

    digest_hex(hex, d);
    snprintf(path, sizeof path, "blobs/%s/%s", digest_algo_name(d->algo), hex);
    rc = import_files_open(l->files, path, file, err);
    file->fixed = rc == 1 && l->files->tar == NULL;
    return rc;
}

/* All documents and blobs are in one place, and in all repositories. */
static int
find_layout_document(void *arg, const struct digest *d, struct buf *out, struct err *err)
{
    const struct layout *l = arg;
    struct import_file file;
    int rc;

    if (l->made.n > 0 && digest_equal(d, &l->pruned)) {
        buf_put(out, l->made.p, l->made.n);
        return buf_ok(out) ? 1 : err_set(err, ERR_TOO_LARGE, "it is too long");
    }
    rc = find_layout_blob(arg, d, &file, err);
    if (rc == 1 && file.size > out->max) /* a layer of a build cache */
        rc = 0;
    if (rc == 1 && import_files_append(&file, out, err) != 0)
        rc = -1;
    import_files_shut(&file);
    return rc;
}

/* ---- index.json ---- */

/* Finds the image's name: 1; 0: it has none; -1: it has an invalid one, which is *text. */
static int
layout_entry_name(const struct layout *l, const struct json *entry, struct import_name *n,
                  const char **text)
{
    static const char *const members[] = {
        EXPORT_DOCUMENT_NAME,
        "io.containerd.image.name",
        "org.opencontainers.image.ref.name",
    };
    const struct json *notes = json_member(entry, "annotations");

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        *text = json_string(json_member(notes, members[i]));
        if (*text == NULL || **text == '\0')
            continue;
        return (i == 0 ? import_name_parse_own(n, *text) : import_name_parse(n, *text, l->fallback))
                   ? 1
                   : -1;
    }
    return 0;
}

/* For an entry of "cosign save" that is attached to the image before it: the end of its tag, as in
 * sha256-<hex>.sig. NULL for others. */
static const char *
attached_as(const struct json *entry)
{
    static const char *const kinds[][2] = {{"dev.cosignproject.cosign/sigs", "sig"},
                                           {"dev.cosignproject.cosign/atts", "att"},
                                           {"dev.cosignproject.cosign/sboms", "sbom"}};
    const char *kind = json_string(json_member(json_member(entry, "annotations"), "kind"));

    for (size_t i = 0; kind != NULL && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i][0]) == 0)
            return kinds[i][1];
    return NULL;
}

static void
count_images(struct layout *l)
{
    for (size_t i = 0; i < json_length(l->entries); i++)
        l->images += attached_as(json_item(l->entries, i)) == NULL;
}

static void
find_common(struct layout *l)
{
    struct import_name n;
    const char *text;
    bool many = false;

    for (size_t i = 0; i < json_length(l->entries) && !many; i++) {
        if (layout_entry_name(l, json_item(l->entries, i), &n, &text) != 1)
            continue;
        many = l->common[0] != '\0' && strcmp(l->common, n.repository) != 0;
        snprintf(l->common, sizeof l->common, "%s", n.repository);
    }
    if (many || l->common[0] == '\0')
        snprintf(l->common, sizeof l->common, "%s", l->fallback);
}

static int
enter_layout_repository(struct layout *l, const char *repository, struct err *err)
{
    int rc;

    if (l->entered[0] != '\0' && strcmp(l->entered, repository) == 0)
        return l->good;
    rc = import_store_enter(l->s, repository, err);
    snprintf(l->entered, sizeof l->entered, "%s", repository);
    l->good = rc == 1;
    return rc;
}

/* If not all that the index names came along, *d is that of another one. */
static int
prune(struct layout *l, struct digest *d, struct err *err)
{
    char was[DIGEST_TEXT_MAX], is[DIGEST_TEXT_MAX];
    struct buf document;
    struct digest got;
    int rc;

    buf_reset(&l->made);
    buf_init(&document, IMPORT_DOCUMENT_MAX);
    rc = find_layout_document(l, d, &document, err);
    if (rc == 1) {
        digest_of(&got, d->algo, buf_bytes(&document));
        rc = digest_equal(&got, d) ? import_prune(l->s->source, buf_bytes(&document), &l->made, err)
                                   : 0;
    }
    buf_free(&document);
    if (rc < 0)
        return import_store_is_fatal(err) ? -1 : 0; /* else it is said by who takes it */
    if (rc == 0)
        return 0;
    digest_of(&l->pruned, d->algo, buf_bytes(&l->made));
    digest_text(was, d);
    digest_text(is, &l->pruned);
    import_store_say(l->s, "index %s lacks images: imported as %s, with those that are there", was,
                     is);
    *d = l->pruned;
    return 0;
}

static int
import_layout_entry(struct layout *l, const struct json *entry, struct err *err)
{
    const char *text = json_string(json_member(entry, "digest")), *name;
    const char *type = json_string(json_member(entry, "mediaType"));
    const char *end = attached_as(entry);
    bool attached = end != NULL && l->image.algo == DIGEST_SHA256;
    struct import_name n = {.tag = ""};
    char hex[DIGEST_TEXT_MAX];
    struct digest d;
    int rc = attached ? 1 : layout_entry_name(l, entry, &n, &name);

    if (end == NULL)
        l->image = (struct digest){.algo = DIGEST_NONE};
    if (text == NULL || digest_parse(&d, text, strlen(text), err) != 0)
        return import_store_leave_out(l->s, "index.json has an entry without a digest: left out");
    if (rc < 0)
        return import_store_leave_out(
            l->s, "%.300s is left out: a repository or tag can't have this name here", name);
    if (rc == 0) {
        snprintf(n.repository, sizeof n.repository, "%s", l->common);
        if (l->images == 1)
            snprintf(n.tag, sizeof n.tag, ONLY_TAG);
    }
    if (attached) {
        digest_hex(hex, &l->image);
        snprintf(n.repository, sizeof n.repository, "%s", l->entered);
        snprintf(n.tag, sizeof n.tag, "sha256-%.64s.%s", hex, end);
    } else if (end == NULL) {
        l->image = d;
    }
    rc = enter_layout_repository(l, n.repository, err);
    if (rc != 1)
        return rc;
    if (prune(l, &d, err) != 0)
        return -1;
    type = type != NULL ? type : "";
    return n.tag[0] != '\0' ? import_manifest_name(l->s, n.tag, &d, type, err)
                            : import_manifest_take(l->s, &d, type, err);
}

static int
import_layout_entries(struct layout *l, struct err *err)
{
    size_t n = json_length(l->entries);

    count_images(l);
    find_common(l);
    l->s->counts->all = n;
    for (size_t i = 0; i < n; i++) {
        l->s->counts->at = i + 1;
        if (import_layout_entry(l, json_item(l->entries, i), err) < 0)
            return -1;
    }
    return 0;
}

int
import_layout_run(struct import_store *s, const struct import_files *files, const char *name,
                  struct err *err)
{
    struct layout l = {.s = s, .files = files, .fallback = name};
    struct import_source source = {
        .document = find_layout_document, .blob = find_layout_blob, .arg = &l};
    struct json *index;
    int rc = import_files_json(files, "index.json", &index, err);

    if (rc != 1)
        return rc < 0 ? -1 : err_set(err, ERR_NO_FILE, "it has no index.json");
    s->source = &source;
    buf_init(&l.made, IMPORT_DOCUMENT_MAX);
    l.entries = json_member(index, "manifests");
    rc = json_type(l.entries) == JSON_ARRAY || json_type(l.entries) == JSON_NULL
             ? import_layout_entries(&l, err)
             : err_set(err, ERR_BAD_MANIFEST, "index.json has no list of manifests");
    json_free(index);
    buf_free(&l.made);
    return rc;
}
