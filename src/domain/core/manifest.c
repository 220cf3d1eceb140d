#include "domain/core/manifest.h"
#include <strings.h>
#include "util/json.h"

static int
refuse_manifest(struct err *err, const char *what, const char *where)
{
    return err_set(err, ERR_BAD_MANIFEST, "manifest invalid: %s %s", where, what);
}

/* Media types are compared without case (RFC 6838 4.2). The last of them is NULL. */
static bool
begins_with_one(const char *type, const char *const *with)
{
    while (*with != NULL && strncasecmp(type, *with, strlen(*with)) != 0)
        with++;
    return *with != NULL;
}

static bool
are_layers(const struct json *layers, const char *const *types)
{
    for (size_t i = 0; i < json_length(layers); i++) {
        const char *type = json_string(json_member(json_item(layers, i), "mediaType"));

        if (type == NULL || !begins_with_one(type, types))
            return false;
    }
    return true;
}

static bool
is_dockers(const struct manifest *m)
{
    return strncmp(m->media_type->name, "application/vnd.docker.", 23) == 0;
}

/* By the media types of OCI image-spec "media-types.md", and docker's. Signatures and attestations
 * may have the config of an image; the media types of their layers tell them apart. Docker 1.10
 * and 1.11, and proxies, gave configs any type, but none of a vendor, as plugins have it. */
static bool
has_image_types(const struct manifest *m, const struct json *config, const struct json *layers)
{
    static const char *const configs[] = {"application/vnd.oci.image.config.v1+json",
                                          "application/vnd.docker.container.image.v1+json", NULL};
    static const char *const layer_types[] = {"application/vnd.docker.image.rootfs.",
                                              "application/octet-stream",
                                              "application/vnd.oci.image.layer.", NULL};
    static const char *const others[] = {"application/vnd.", NULL};
    const char *type = json_string(json_member(config, "mediaType"));

    if (type != NULL && begins_with_one(type, configs))
        return are_layers(layers, layer_types);
    return is_dockers(m) && (type == NULL || !begins_with_one(type, others)) &&
           json_length(layers) > 0 && are_layers(layers, layer_types);
}

static int
is_bad_annotation(const char *name, const struct json *value, void *arg)
{
    (void)name;
    (void)arg;
    return json_type(value) != JSON_STRING;
}

bool
manifest_annotations_are_good(const struct json *annotations)
{
    if (annotations == NULL)
        return true;
    return json_type(annotations) == JSON_OBJECT &&
           json_each(annotations, is_bad_annotation, NULL) == 0;
}

/* where: the member of the manifest that has them. */
static void
note_annotations(struct manifest *m, const struct json *of, const char *where)
{
    if (m->bad_annotations == NULL &&
        !manifest_annotations_are_good(json_member(of, "annotations")))
        m->bad_annotations = where;
}

static void
note_media_type(struct manifest *m, const char *type, const char *where)
{
    if (m->bad_type == NULL && (type == NULL || !media_type_is_valid(type)))
        m->bad_type = where;
}

static int
parse_descriptor(const struct json *j, const char *where, struct manifest *m,
                 struct manifest_descriptor *d, struct err *err)
{
    const char *digest = json_string(json_member(j, "digest"));
    uint64_t size;

    if (json_type(j) != JSON_OBJECT)
        return refuse_manifest(err, "is not an object", where);
    if (digest == NULL)
        return refuse_manifest(err, "has no digest", where);
    if (digest_parse(&d->digest, digest, strlen(digest), err) != 0) {
        err->code = ERR_BAD_MANIFEST;
        return -1;
    }
    if (!json_u64(json_member(j, "size"), &size))
        return refuse_manifest(err, "has no size", where);
    if (d->part != PART_CONFIG || !is_dockers(m))
        note_media_type(m, json_string(json_member(j, "mediaType")), where);
    d->elsewhere = json_length(json_member(j, "urls")) > 0;
    return 0;
}

static int
refuse_descriptors(size_t n, const char *where, struct err *err)
{
    refuse_manifest(err, "has too many entries: 1000 descriptors at most", where);
    err_expected(err, "at most %d descriptors", MANIFEST_DESCRIPTORS_MAX);
    return err_found(err, "%zu", n);
}

static int
parse_descriptors(const struct json *list, const char *where, enum manifest_part part,
                  size_t before, struct manifest *m, struct arena *arena, struct err *err)
{
    size_t n = json_length(list);

    if (json_type(list) != JSON_ARRAY && json_type(list) != JSON_NULL)
        return refuse_manifest(err, "is not an array", where);
    if (n > MANIFEST_DESCRIPTORS_MAX - before)
        return refuse_descriptors(before + n, where, err);
    m->descriptors = arena_array(arena, n + before + 1, sizeof *m->descriptors);
    if (m->descriptors == NULL)
        return arena_full(err);
    for (size_t i = 0; i < n; i++) {
        struct manifest_descriptor *d = &m->descriptors[before + i];

        d->part = part;
        if (parse_descriptor(json_item(list, i), where, m, d, err) != 0)
            return -1;
        note_annotations(m, json_item(list, i), where);
    }
    m->descriptors_n = before + n;
    return 0;
}

static int
parse_image(const struct json *doc, struct manifest *m, struct arena *arena, struct err *err)
{
    const struct json *config = json_member(doc, "config");
    struct manifest_descriptor d = {.part = PART_CONFIG};
    const char *type = json_string(json_member(config, "mediaType"));

    if (parse_descriptor(config, "config", m, &d, err) != 0 ||
        parse_descriptors(json_member(doc, "layers"), "layers", PART_LAYER, 1, m, arena, err) != 0)
        return -1;
    note_annotations(m, config, "config");
    d.elsewhere = false;
    m->descriptors[0] = d;
    m->config = d.digest;
    m->is_image =
        m->artifact_type[0] == '\0' && has_image_types(m, config, json_member(doc, "layers"));
    if (m->artifact_type[0] == '\0' && type != NULL && media_type_is_valid(type))
        m->artifact_type = arena_strdup(arena, type);
    if (m->artifact_type == NULL)
        return arena_full(err);
    return 0;
}

static int
parse_subject(const struct json *doc, struct manifest *m, struct err *err)
{
    const struct json *subject = json_member(doc, "subject");
    struct manifest_descriptor d = {.part = PART_LAYER};

    if (json_type(subject) == JSON_NULL)
        return 0;
    if (parse_descriptor(subject, "subject", m, &d, err) != 0)
        return -1;
    note_annotations(m, subject, "subject");
    m->has_subject = true;
    m->subject = d.digest;
    return 0;
}

static int
refuse_content_type(const char *outer, const char *inner, struct err *err)
{
    err_set(err, ERR_BAD_MANIFEST, "manifest invalid: Content-Type is %s, but mediaType is %s",
            outer, inner);
    err_expected(err, "Content-Type: %s", inner);
    return err_found(err, "Content-Type: %s", outer);
}

/* A schema 1 manifest has no mediaType, and may be sent as application/json, or without a type. */
static bool
is_schema1(const struct json *doc, const char *media_type)
{
    uint64_t version;

    return media_type_is_schema1(media_type) ||
           (json_u64(json_member(doc, "schemaVersion"), &version) && version == 1 &&
            json_type(json_member(doc, "fsLayers")) == JSON_ARRAY);
}

/* Of the types in the header and in the document one may be missing; they may not differ. */
static int
parse_media_type(const struct json *doc, const char *content_type, struct manifest *m,
                 struct err *err)
{
    const char *inner = json_string(json_member(doc, "mediaType"));
    const char *name = content_type[0] != '\0' ? content_type : inner;

    if (inner == NULL && json_type(json_member(doc, "mediaType")) != JSON_NULL)
        return refuse_manifest(err, "is not a string", "mediaType");
    if (is_schema1(doc, name != NULL ? name : ""))
        return err_set(err, ERR_UNSUPPORTED,
                       "schema 1 manifests aren't accepted: push with a client that writes "
                       "schema 2 or OCI manifests (docker 1.10 or later)");
    if (name == NULL)
        return refuse_manifest(err, "has no type: send Content-Type, or set mediaType",
                               "the document");
    m->media_type = media_type_find(name);
    if (m->media_type == NULL)
        return err_set(err, ERR_BAD_MANIFEST, "manifest invalid: unknown media type %s", name);
    if (inner != NULL && strcasecmp(inner, name) != 0)
        return refuse_content_type(name, inner, err);
    return 0;
}

static int
parse_manifest_document(const struct json *doc, const char *content_type, struct manifest *m,
                        struct arena *arena, struct err *err)
{
    const char *artifact_type = json_string(json_member(doc, "artifactType"));
    uint64_t version;
    bool index, image;

    if (json_type(doc) != JSON_OBJECT)
        return refuse_manifest(err, "is not an object", "the document");
    if (parse_media_type(doc, content_type, m, err) != 0)
        return -1;
    if (!json_u64(json_member(doc, "schemaVersion"), &version) || version != 2)
        return refuse_manifest(err, "is not 2", "schemaVersion");
    /* One client would read it as a manifest, and another as an index (CVE-2021-41190). */
    index = json_member(doc, "manifests") != NULL;
    image = json_member(doc, "layers") != NULL || json_member(doc, "config") != NULL;
    if (index && image)
        return refuse_manifest(err, "could be read as an index and as a manifest", "the document");
    if (json_type(json_member(doc, "artifactType")) != JSON_NULL &&
        (artifact_type == NULL || artifact_type[0] != '\0'))
        note_media_type(m, artifact_type, "artifactType");
    m->artifact_type =
        arena_strdup(arena, m->bad_type == NULL && artifact_type != NULL ? artifact_type : "");
    if (m->artifact_type == NULL)
        return arena_full(err);
    note_annotations(m, doc, "the document");
    if (parse_subject(doc, m, err) != 0)
        return -1;
    if (m->media_type->kind == DOCUMENT_INDEX && (image || !json_has(doc, "manifests")))
        return refuse_manifest(err, "are missing in an index", "manifests");
    if (m->media_type->kind == DOCUMENT_INDEX)
        return parse_descriptors(json_member(doc, "manifests"), "manifests", PART_CHILD, 0, m,
                                 arena, err);
    return parse_image(doc, m, arena, err);
}

int
manifest_parse(struct manifest *m, struct bytes document, const char *content_type,
               struct arena *arena, struct err *err)
{
    struct json *doc;
    int rc;

    *m = (struct manifest){.artifact_type = ""};
    if (json_parse(document, MANIFEST_DEPTH_MAX, &doc, err) != 0) {
        err->code = ERR_BAD_MANIFEST;
        return -1;
    }
    rc = parse_manifest_document(doc, content_type, m, arena, err);
    json_free(doc);
    return rc;
}

int
manifest_check(const struct manifest *m, struct err *err)
{
    if (m->bad_type != NULL)
        return refuse_manifest(err, "has no valid media type", m->bad_type);
    if (m->bad_annotations == NULL)
        return 0;
    refuse_manifest(err, "has annotations that are not a map of strings", m->bad_annotations);
    return err_expected(err, "annotations: an object whose values are all strings");
}

const struct digest *
manifest_id(const struct manifest *m, const struct digest *d)
{
    return m->is_image ? &m->config : d;
}

static int
compare_descriptors(const void *a, const void *b)
{
    const struct manifest_descriptor *x = a, *y = b;

    return digest_compare(&x->digest, &y->digest);
}

void
manifest_sort(struct manifest_descriptor *descriptors, size_t n)
{
    if (n > 0)
        qsort(descriptors, n, sizeof *descriptors, compare_descriptors);
}
